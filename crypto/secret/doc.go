// Package secret holds key material in containers that cannot be printed by
// accident, and loads it from files that only their owner can read.
//
// A container keeps its bytes behind pointers. Every way to format or marshal
// one yields [redacted]; and where fmt cannot call a method, in an unexported
// field of another struct, it prints an address instead of the bytes.
// What may be shown of a key is its Fingerprint.
//
// Wipe overwrites the bytes of a container and of all its copies. It cannot
// reach copies that others made: the expanded key inside crypto/aes, and what
// the garbage collector moved from a growing stack. Do not rely on it against
// someone who reads the process's memory.
//
// Layer 0: no other ZTOS package, no goroutine, no clock.
package secret

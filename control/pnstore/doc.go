// Package pnstore keeps, across restarts, how far the packet numbers of each
// transmit SA may have been used.
//
// A SAK from a file outlives the process; a packet number used twice with one
// SAK gives away the plaintext of both frames and the key that authenticates.
// So numbers are granted in blocks, and a block is on disk, synced, before its
// first number is used. After a crash the rest of the block is skipped, never
// used again.
//
// On the receive side it keeps how far a peer's packet numbers had come, so that
// frames recorded before a restart are not accepted after it. That is saved from
// time to time and at the end: what came in between may be replayed once after a
// crash.
//
// The file names no key: an entry is keyed by a digest that the caller makes of
// key and channel. Layer 4.
package pnstore

// Package sample says where the samples of a profile lie: in ciphers, in the
// kernel, in the engine, in Go's runtime or in other code.
//
// Each sample belongs to one Family, by this order:
//
//	crypto   a cipher's function is anywhere on its stack (see Cipher)
//	kernel   its leaf is where the program enters the kernel (see Kernel)
//	         otherwise the family of its leaf:
//	engine   packages of ZTOS
//	crypto   other cryptography: hashes, key agreement
//	runtime  Go's scheduler, memory, garbage collector, synchronisation
//	other    all else
//
// A CPU profile counts what the kernel does on behalf of a thread, sending and
// receiving packets for the most part, at the leaf that entered it. What is left
// without those samples is the program's own time; the AEAD share is given of
// both. Pure functions on profiles; they change nothing in them.
package sample

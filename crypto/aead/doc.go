// Package aead seals and opens messages with AES-GCM and ChaCha20-Poly1305,
// under nonces that the caller chooses, one at a time or a batch at once.
//
// Each algorithm has two implementations, which give the same bytes for every
// input; tests run both. The portable ones are thin layers over crypto/cipher and
// golang.org/x/crypto. The wide ones, written for this package, are taken where
// the processor has what they need:
//
//   - AES-GCM (VAES, VPCLMULQDQ and AVX-512) works on four blocks at once and
//     costs little for short messages. FIPS 140 mode takes the portable one. See
//     docs/adr/0008-wide-gcm.md.
//   - ChaCha20-Poly1305 (AVX-512 with IFMA) works on a batch: sixteen messages make
//     a group, whose ChaCha20 blocks go sixteen at a time whichever messages they
//     belong to, and whose Poly1305 goes eight messages at a time, or sixteen
//     blocks of one message where that is faster. See
//     docs/adr/0007-wide-chacha.md.
//
// The assembly is written by programs under asm/, a module of its own; go generate
// runs them. Its code takes no branch and no address from a key or a message.
//
// Nonces. Nothing here detects a nonce that is used twice with one key. Whoever
// numbers messages (package macsec, package wireguard) guarantees that.
//
// Keys. An AEAD keeps its key until Wipe, whose caller knows that nobody uses it
// any more; package control wipes those of sessions and associations that ended.
//
// FIPS. With GODEBUG=fips140=only NewGCM returns an error, because caller
// nonces are not approved there, and so does NewChaCha20Poly1305; with
// fips140=on both work.
//
// Layer 0: no other ZTOS package, no goroutine, no clock.
package aead

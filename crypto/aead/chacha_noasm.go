//go:build !amd64

package aead

// chachaWideUsable: there is no wide implementation for this platform.
const chachaWideUsable = false

func newChaChaWide([]byte, AEAD) AEAD { panic("aead: no wide ChaCha20-Poly1305 on this platform") }

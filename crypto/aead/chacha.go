package aead

import (
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// NewChaCha20Poly1305 returns the AEAD of RFC 8439. key is 32 bytes and may be
// wiped afterwards.
//
// On amd64 with AVX-512 (F, BW, DQ, VL, IFMA) it works up to sixteen messages of
// a batch side by side, unless they are so few and small that x/crypto is faster;
// elsewhere they go one after the other to x/crypto.
func NewChaCha20Poly1305(key []byte) (AEAD, error) {
	a, err := newChaChaPortable(key)
	if err != nil {
		return nil, err
	}
	if !chachaWideUsable {
		return a, nil
	}
	return newChaChaWide(key, a), nil
}

// newChaChaPortable returns the implementation that every platform has.
func newChaChaPortable(key []byte) (AEAD, error) {
	c, err := chacha20poly1305.New(key)
	if err != nil {
		return nil, fmt.Errorf("aead: ChaCha20-Poly1305 key of %d bytes: %w", len(key), err)
	}
	return &serial{c}, nil
}

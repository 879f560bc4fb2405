package aead

import (
	"crypto/cipher"
	"fmt"
	"reflect"
	"unsafe"

	"golang.org/x/crypto/chacha20poly1305"
)

// keySize is the length of a ChaCha20 key, bytes.
const keySize = chacha20poly1305.KeySize

// NewChaCha20Poly1305 returns the AEAD of RFC 8439. key is 32 bytes and may be
// wiped afterwards; the AEAD's own copies live until Wipe.
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
	return &serial{c: c, key: keyIn(c)}, nil
}

// keyIn returns the key that x/crypto keeps in c, whose package has no way to
// wipe it: the only field of a struct, as it has been since 2016. It returns nil
// when that is no longer so, which TestWipe would tell.
func keyIn(c cipher.AEAD) *[keySize]byte {
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct || v.Elem().NumField() != 1 {
		return nil
	}
	if f := v.Elem().Field(0); f.Type() == reflect.TypeFor[[keySize]byte]() {
		return (*[keySize]byte)(unsafe.Pointer(f.UnsafeAddr()))
	}
	return nil
}

package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// Sizes, bytes, that hold for every algorithm here.
const (
	NonceSize = 12
	TagSize   = 16
)

// Op is one message to seal or open. The slices are borrowed during the call.
//
// Dst may start at the same address as In; otherwise they must not overlap, and
// AAD must not overlap the part of Dst that is written. The part of Dst that is
// written must not overlap any slice of another Op of the batch: they may be worked
// at the same time.
type Op struct {
	// Dst receives the output in its first bytes: len(In)+TagSize when
	// sealing, len(In)-TagSize when opening. It may be longer; the rest stays
	// as it is.
	Dst []byte
	// Nonce is NonceSize bytes.
	Nonce []byte
	// In is the plaintext, or the ciphertext with its tag behind it.
	In []byte
	// AAD is authenticated and not encrypted; may be empty.
	AAD []byte
	// OK is set by the call: the output is there. When an Open fails, the
	// output's place in Dst is zeroed or untouched, never unauthenticated
	// plaintext.
	OK bool
}

// AEAD is one algorithm with one key. Its methods keep no state and may be
// called from any goroutine; none allocates.
//
// A message whose Nonce has the wrong length, whose Dst is too small, or whose
// In is shorter than a tag when opening, fails; overlaps that Op forbids panic.
type AEAD interface {
	// Seal encrypts in to dst and appends the tag. It reports false, with dst
	// untouched, when the lengths do not fit.
	Seal(dst, nonce, in, aad []byte) bool
	// Open verifies in and decrypts it to dst. It reports false when the tag
	// does not verify or the lengths do not fit.
	Open(dst, nonce, in, aad []byte) bool
	// SealBatch seals every op, in any order, and sets OK of each.
	SealBatch(ops []Op)
	// OpenBatch opens every op, in any order, and sets OK of each. A message
	// that does not verify has no effect on the others.
	OpenBatch(ops []Op)
	// Wipe overwrites the key, expanded or not, where the implementation is
	// ours or x/crypto's, and lets go of it elsewhere: crypto/cipher's AES-GCM
	// leaves it to the garbage collector. No call may be running; later ones
	// fail. Any number of times.
	Wipe()
}

// serial is an AEAD that works a batch in order.
type serial struct {
	c   cipher.AEAD    // nil after Wipe
	key *[keySize]byte // the key that c keeps, where it can be reached
}

// NewGCM returns AES-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte
// tags. key is 16 or 32 bytes and may be wiped afterwards; the expanded key
// lives until Wipe.
func NewGCM(key []byte) (AEAD, error) {
	if len(key) != 16 && len(key) != 32 {
		return nil, fmt.Errorf("aead: AES-GCM key of %d bytes, want 16 or 32", len(key))
	}
	if g := newGCMWide(key); g != nil {
		return g, nil
	}
	return newGCMPortable(key)
}

// newGCMPortable returns AES-GCM by crypto/cipher. key is 16 or 32 bytes. It
// fails in FIPS-only mode, where caller nonces are not approved.
func newGCMPortable(key []byte) (AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("aead: %w", err)
	}
	c, err := cipher.NewGCM(b)
	if err != nil {
		return nil, fmt.Errorf("aead: %w", err)
	}
	return &serial{c: c}, nil
}

// Wipe implements AEAD.
func (s *serial) Wipe() {
	if s.key != nil {
		clear(s.key[:])
	}
	s.c, s.key = nil, nil
}

// Seal implements AEAD.
//
// Hot path: no allocation (TestNoAllocs).
func (s *serial) Seal(dst, nonce, in, aad []byte) bool {
	n := len(in) + TagSize
	if len(dst) < n || len(nonce) != NonceSize || s.c == nil {
		return false
	}
	// The capacity is cut so that neither implementation can reach the bytes
	// behind the output.
	s.c.Seal(dst[:0:n], nonce, in, aad)
	return true
}

// Open implements AEAD.
//
// Hot path: no allocation (TestNoAllocs).
func (s *serial) Open(dst, nonce, in, aad []byte) bool {
	n := len(in) - TagSize
	if n < 0 || len(dst) < n || len(nonce) != NonceSize || s.c == nil {
		return false
	}
	_, err := s.c.Open(dst[:0:n], nonce, in, aad)
	return err == nil
}

// SealBatch implements AEAD.
func (s *serial) SealBatch(ops []Op) {
	for i := range ops {
		o := &ops[i]
		o.OK = s.Seal(o.Dst, o.Nonce, o.In, o.AAD)
	}
}

// OpenBatch implements AEAD.
func (s *serial) OpenBatch(ops []Op) {
	for i := range ops {
		o := &ops[i]
		o.OK = s.Open(o.Dst, o.Nonce, o.In, o.AAD)
	}
}

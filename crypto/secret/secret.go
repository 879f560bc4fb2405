package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that a container says of its content.
const redacted = "[redacted]"

// fingerprintLabel keeps fingerprints apart from every other use of SHA-256
// over a key. It is part of the format: a change changes all fingerprints.
const fingerprintLabel = "ztos key fingerprint v1\x00"

// box is what the containers share. The bytes are two pointers away, because
// fmt cannot call methods on unexported fields: with %v it prints a pointer
// there as an address, but with a verb that does not fit (%s) it follows the
// first one.
type box struct{ m *material }

// material is the memory of one key, shared by the copies of its container. b
// is never nil; *b is nil after Wipe.
type material struct{ b *[]byte }

// boxed returns a box with a copy of b.
func boxed(b []byte) box {
	c := append([]byte(nil), b...)
	return box{&material{&c}}
}

// Key is key material of any length. The zero value is empty. Copies share the
// bytes. Any goroutine may read; Wipe must not run beside a reader.
type Key struct{ box }

// Key32 is key material of exactly 32 bytes, as X25519 and ChaCha20 use it. The
// zero value is empty: Valid reports false. Sharing and concurrency as for Key.
type Key32 struct{ box }

// New returns a container with a copy of b. The caller may wipe b.
func New(b []byte) Key {
	return Key{boxed(b)}
}

// New32 returns a container with a copy of b. The caller may wipe b.
func New32(b *[32]byte) Key32 {
	return Key32{boxed(b[:])}
}

// Key32 returns the same bytes, shared, as a Key32; ok is false when k does not
// hold 32 bytes.
func (k Key) Key32() (k32 Key32, ok bool) {
	if k.Len() != 32 {
		return Key32{}, false
	}
	return Key32(k), true
}

// Key returns the same bytes, shared, as a Key.
func (k Key32) Key() Key { return Key(k) }

// Equal reports whether both hold the same bytes. Its time depends on the
// lengths only. Two empty keys are equal.
func (k Key) Equal(o Key) bool {
	return subtle.ConstantTimeCompare(k.Bytes(), o.Bytes()) == 1
}

// Equal reports, in constant time, whether both hold the same bytes.
func (k Key32) Equal(o Key32) bool {
	return subtle.ConstantTimeCompare(k.Bytes(), o.Bytes()) == 1
}

// Array returns the bytes themselves, borrowed: they change when the key is
// wiped. nil for an empty key.
func (k Key32) Array() *[32]byte {
	if len(k.Bytes()) != 32 {
		return nil
	}
	return (*[32]byte)(k.Bytes())
}

// Bytes returns the key itself, borrowed: it must not be changed, kept, or
// formatted. nil for an empty key.
func (x box) Bytes() []byte {
	if x.m == nil {
		return nil
	}
	return *x.m.b
}

// Len returns the number of bytes, 0 for an empty or wiped key.
func (x box) Len() int { return len(x.Bytes()) }

// Valid reports whether there is key material.
func (x box) Valid() bool { return x.Len() > 0 }

// Wipe overwrites the bytes and empties this container and all its copies.
// Nobody may use the key meanwhile.
func (x box) Wipe() {
	if x.m == nil {
		return
	}
	clear(*x.m.b)
	*x.m.b = nil
}

// Fingerprint returns 16 hex digits that name the key: the first 8 bytes of
// SHA-256 over a label and the key. It is safe to show for keys with the entropy
// of a key (128 bits and more), not for passwords. Empty for an empty key.
func (x box) Fingerprint() string {
	if !x.Valid() {
		return ""
	}
	h := sha256.New()
	h.Write([]byte(fingerprintLabel))
	h.Write(*x.m.b)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// String returns [redacted].
func (x box) String() string { return redacted }

// GoString returns [redacted]; it is what %#v shows.
func (x box) GoString() string { return redacted }

// Format writes [redacted] for every verb and flag.
func (x box) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText returns [redacted]. A container cannot be read back from it.
func (x box) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]". A container cannot be read back from it.
func (x box) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalBinary returns [redacted], so that gob carries no key either.
func (x box) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns [redacted], for log/slog.
func (x box) LogValue() slog.Value { return slog.StringValue(redacted) }

package noise

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/curve25519"

	"github.com/ztos/ztos/crypto/secret"
)

// KeySize is the length of every key, bytes.
const KeySize = 32

var (
	// ErrKey: a private key is empty, or a public key has not 32 bytes.
	ErrKey = errors.New("noise: not a key of 32 bytes")
	// ErrLowOrder: a public key is of low order, so the shared secret would
	// be zero whatever the private key is (RFC 7748 section 6.1).
	ErrLowOrder = errors.New("noise: public key of low order")
)

// PublicKey is a Curve25519 public key: a peer's name. It is not secret.
type PublicKey [KeySize]byte

// ParsePublicKey returns the key that s holds in base64, as `wg pubkey` prints it.
func ParsePublicKey(s string) (PublicKey, error) {
	var k PublicKey
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return k, fmt.Errorf("noise: public key %q: %w", s, err)
	}
	if len(b) != KeySize {
		return k, fmt.Errorf("noise: public key %q: %w", s, ErrKey)
	}
	copy(k[:], b)
	return k, nil
}

// String returns the key in base64.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText returns the key in base64.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// IsZero reports whether k is the zero key, which names nobody.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// PublicOf returns the public key of a private one. The private key need not be
// clamped: X25519 clamps (RFC 7748 section 5). ErrKey when it is empty.
func PublicOf(private secret.Key32) (PublicKey, error) {
	var p PublicKey
	if !private.Valid() {
		return p, ErrKey
	}
	b, err := curve25519.X25519(private.Bytes(), curve25519.Basepoint)
	if err != nil {
		return p, fmt.Errorf("noise: public key: %w", err)
	}
	copy(p[:], b)
	return p, nil
}

// newPrivate reads a new private key from random.
func newPrivate(random io.Reader) (secret.Key32, error) {
	var b [KeySize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return secret.Key32{}, fmt.Errorf("noise: random: %w", err)
	}
	defer clear(b[:])
	return secret.New32(&b), nil
}

// dh returns the whitepaper's DH(private, public); ErrLowOrder when it would be
// zero. The caller clears it.
func dh(private secret.Key32, public *PublicKey) (out hash32, err error) {
	if !private.Valid() {
		return out, ErrKey
	}
	b, err := curve25519.X25519(private.Bytes(), public[:])
	if err != nil {
		return out, ErrLowOrder
	}
	copy(out[:], b)
	clear(b)
	return out, nil
}

// opaque is embedded in every type that holds secrets in unexported fields: fmt
// would print those by reflection.
type opaque struct{}

// Format prints a placeholder for every verb.
func (opaque) Format(f fmt.State, _ rune) {
	io.WriteString(f, "[redacted]") //nolint:errcheck // fmt.State reports no errors
}

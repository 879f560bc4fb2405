package macsec

import (
	"encoding/binary"
	"fmt"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/secret"
)

// Suite is a cipher suite. All have a 16-octet ICV.
type Suite uint8

// Suites. With the XPN suites (IEEE 802.1AEbw, since 2018 part of 802.1AE) packet
// numbers have 64 bits, of which the wire carries the lower 32.
const (
	GCMAES128 Suite = 1 + iota
	GCMAES256
	GCMAESXPN128
	GCMAESXPN256
)

// suites holds what differs. id is the cipher suite reference number that MKA
// carries.
var suites = [...]struct {
	name   string
	keyLen int
	xpn    bool
	id     uint64
}{
	GCMAES128:    {"gcm-aes-128", 16, false, 0x0080c20001000001},
	GCMAES256:    {"gcm-aes-256", 32, false, 0x0080c20001000002},
	GCMAESXPN128: {"gcm-aes-xpn-128", 16, true, 0x0080c20001000003},
	GCMAESXPN256: {"gcm-aes-xpn-256", 32, true, 0x0080c20001000004},
}

// ParseSuite returns the suite of a name as String gives it.
func ParseSuite(name string) (Suite, error) {
	for s, d := range suites {
		if d.name == name && name != "" {
			return Suite(s), nil
		}
	}
	return 0, fmt.Errorf("macsec: cipher suite %q: want gcm-aes-128, gcm-aes-256, gcm-aes-xpn-128 or gcm-aes-xpn-256", name)
}

// Valid reports whether s is one of the four suites.
func (s Suite) Valid() bool { return s >= GCMAES128 && s <= GCMAESXPN256 }

// String returns the configuration name, as gcm-aes-xpn-256.
func (s Suite) String() string {
	if !s.Valid() {
		return fmt.Sprintf("suite-%d", uint8(s))
	}
	return suites[s].name
}

// MarshalText is String.
func (s Suite) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// KeyLen returns the length of a SAK, bytes: 16 or 32; 0 for an invalid suite.
func (s Suite) KeyLen() int {
	if !s.Valid() {
		return 0
	}
	return suites[s].keyLen
}

// XPN reports whether packet numbers have 64 bits.
func (s Suite) XPN() bool { return s.Valid() && suites[s].xpn }

// ID returns the 8-octet cipher suite reference number, host order.
func (s Suite) ID() uint64 {
	if !s.Valid() {
		return 0
	}
	return suites[s].id
}

// SaltLen is the length of an XPN salt, bytes.
const SaltLen = 12

// Packet numbers from which on control should have a new SAK ready: three
// quarters of the space. 0xc0000000 is what key agreement uses too.
const (
	softPN  = 0xc000_0000
	softXPN = 0xc000_0000_0000_0000
)

// pnEnd returns the first packet number that may not be used any more. It keeps
// one number back with XPN: replay.MaxNumber is 2^64 - 2.
func (s Suite) pnEnd() uint64 {
	if s.XPN() {
		return 1<<64 - 1
	}
	return 1 << 32
}

// softLimit returns the packet number from which on a new SAK is due.
func (s Suite) softLimit() uint64 {
	if s.XPN() {
		return softXPN
	}
	return softPN
}

// cipherState is what sealing and opening under one SAK needs. Immutable.
//
// The 12-octet IV is SCI || PN, or with XPN (SSCI || PN) XOR salt, PN 32 and 64
// bits wide. Both are base XOR PN, which is what is kept.
type cipherState struct {
	aead   aead.AEAD
	ivHigh uint32 // octets 0 to 3 of the base
	ivLow  uint64 // octets 4 to 11 of the base
}

// newCipherState checks and takes in the key material of an SA of channel sci.
func newCipherState(suite Suite, sci SCI, sak secret.Key, ssci uint32, salt secret.Key) (cipherState, error) {
	if sak.Len() != suite.KeyLen() {
		return cipherState{}, fmt.Errorf("%w: SAK has %d bytes, %v takes %d", ErrKey, sak.Len(), suite, suite.KeyLen())
	}
	a, err := aead.NewGCM(sak.Bytes())
	if err != nil {
		return cipherState{}, fmt.Errorf("macsec: %w", err)
	}
	c := cipherState{aead: a}
	if !suite.XPN() {
		if salt.Valid() || ssci != 0 {
			return cipherState{}, fmt.Errorf("%w: %v takes neither salt nor SSCI", ErrKey, suite)
		}
		c.ivHigh = binary.BigEndian.Uint32(sci[:4])
		c.ivLow = uint64(binary.BigEndian.Uint32(sci[4:])) << 32
		return c, nil
	}
	if salt.Len() != SaltLen || ssci == 0 {
		return cipherState{}, fmt.Errorf("%w: %v takes a salt of %d bytes, got %d, and an SSCI that is not 0, got %d",
			ErrKey, suite, SaltLen, salt.Len(), ssci)
	}
	c.ivHigh = binary.BigEndian.Uint32(salt.Bytes()) ^ ssci
	c.ivLow = binary.BigEndian.Uint64(salt.Bytes()[4:])
	return c, nil
}

// RetiredSA is the key of an SA that was removed; see SecY.TakeRetired.
type RetiredSA struct{ aead aead.AEAD }

// Wipe overwrites the expanded SAK as far as aead.AEAD.Wipe does; what a worker
// would still protect or validate with it fails. Only when none can any more.
func (r RetiredSA) Wipe() { r.aead.Wipe() }

// putIV writes the IV for pn into iv[:12].
//
// Hot path: no allocation, inlined.
func (c *cipherState) putIV(iv *[aead.NonceSize]byte, pn uint64) {
	binary.BigEndian.PutUint32(iv[:4], c.ivHigh)
	binary.BigEndian.PutUint64(iv[4:], c.ivLow^pn)
}

// recoverPN returns the 64-bit packet number whose lower half is low and that
// lies nearest to next, the number expected now: next-2^31 to next+2^31-1. A
// peer that lost 2^31 frames in a row is lost for good.
//
// The standard takes the lowest acceptable PN for reference, and looks at its top
// bit only. The nearest number is the same one inside the window; behind it, this
// tells late frames from invalid ones.
func recoverPN(low uint32, next uint64) uint64 {
	const epoch = 1 << 32
	pn := next&^(epoch-1) | uint64(low)
	switch {
	case pn < next && next-pn > epoch/2 && pn <= ^uint64(0)-epoch:
		pn += epoch
	case pn > next && pn-next >= epoch/2 && pn >= epoch:
		pn -= epoch
	}
	return pn
}

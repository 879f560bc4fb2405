package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Duration is a time span written as Go writes it: 300ms, 25s, 5m.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String returns the shortest form that Go prints.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText returns String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText sets d; a number without a unit is refused, except 0.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number with a unit, as 300ms or 25s", b)
	}
	*d = Duration(v)
	return nil
}

// Switch is a yes/no whose default may be yes: the zero value means that the
// document does not say.
type Switch uint8

// The values of a Switch.
const (
	Unset Switch = iota // Defaults decides
	On
	Off
)

// SwitchOf returns On or Off.
func SwitchOf(on bool) Switch {
	if on {
		return On
	}
	return Off
}

// On reports whether s is On. Unset is not, so call it after Defaults.
func (s Switch) On() bool { return s == On }

// String returns "true", "false" or "unset".
func (s Switch) String() string {
	switch s {
	case On:
		return "true"
	case Off:
		return "false"
	}
	return "unset"
}

// PublicKey is a Curve25519 public key, written in base64 as wg prints it. The
// zero value means none.
type PublicKey [32]byte

// IsZero reports whether k is none.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// String returns the base64 form, empty for none.
func (k PublicKey) String() string {
	if k.IsZero() {
		return ""
	}
	return base64.StdEncoding.EncodeToString(k[:])
}

// MarshalText returns String.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText sets k from 44 characters of base64; empty is none. The text is
// not in the error, because people paste private keys here.
func (k *PublicKey) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*k = PublicKey{}
		return nil
	}
	v, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || len(v) != len(k) {
		return errors.New("not a WireGuard public key: want the 44 characters of base64 that `wg pubkey` prints")
	}
	copy(k[:], v)
	return nil
}

// SCI is a MACsec secure channel identifier, in the order of the wire: a 6-byte
// system identifier and a 2-byte port identifier. The zero value means none.
type SCI [8]byte

// IsZero reports whether s is none.
func (s SCI) IsZero() bool { return s == SCI{} }

// String returns 16 hex digits, lower case.
func (s SCI) String() string { return hex.EncodeToString(s[:]) }

// MarshalText returns String.
func (s SCI) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets s from exactly 16 hex digits.
func (s *SCI) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(s) {
		return fmt.Errorf("%q is not an SCI: want 16 hex digits, in quotes", b)
	}
	copy(s[:], v)
	return nil
}

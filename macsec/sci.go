package macsec

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// SCI is a secure channel identifier: 6 octets of system identifier (a MAC
// address) and 2 of port identifier, in the order of the wire.
type SCI [8]byte

// MakeSCI returns the SCI of a system and a port.
func MakeSCI(system [6]byte, port uint16) SCI {
	var s SCI
	copy(s[:6], system[:])
	binary.BigEndian.PutUint16(s[6:], port)
	return s
}

// ParseSCI reads 16 hex digits.
func ParseSCI(text string) (SCI, error) {
	var s SCI
	if len(text) != 16 {
		return SCI{}, fmt.Errorf("macsec: SCI %q: want 16 hex digits", text)
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return SCI{}, fmt.Errorf("macsec: SCI %q: want 16 hex digits", text)
	}
	return s, nil
}

// String returns 16 hex digits, lower case.
func (s SCI) String() string { return hex.EncodeToString(s[:]) }

// MarshalText is String.
func (s SCI) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseSCI; s is unchanged after an error.
func (s *SCI) UnmarshalText(text []byte) error {
	v, err := ParseSCI(string(text))
	if err == nil {
		*s = v
	}
	return err
}

// word returns the SCI as one number, for lookup and for IVs.
func (s SCI) word() uint64 { return binary.BigEndian.Uint64(s[:]) }

// AN is an association number, 0 to 3: it says which of a channel's SAs a frame
// belongs to.
type AN uint8

// NumANs is the number of SAs that a channel can have at once.
const NumANs = 4

// Valid reports whether a is 0 to 3.
func (a AN) Valid() bool { return a < NumANs }

package evpn

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ztos/ztos/engine/table"
)

// ESI names an Ethernet segment: a type octet and nine octets of value (RFC 7432
// section 5). The zero value means no segment: a host with one link.
type ESI [10]byte

// MaxESI is reserved (RFC 7432 section 5).
var MaxESI = ESI{255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// ESIFromValue returns a type 0 identifier: any nine octets that the operator
// chose. All zero is no segment.
func ESIFromValue(v [9]byte) ESI {
	var e ESI
	copy(e[1:], v[:])
	return e
}

// ESIFromLACP returns a type 1 identifier: the LACP system MAC of the host and
// its port key.
func ESIFromLACP(system table.MAC, key uint16) ESI {
	e := ESI{0: 1}
	system.Put(e[1:])
	binary.BigEndian.PutUint16(e[7:], key)
	return e
}

// ESIFromMAC returns a type 3 identifier: a MAC of the system and a number below
// 1<<24 that differs between its segments.
func ESIFromMAC(system table.MAC, n uint32) ESI {
	e := ESI{0: 3}
	system.Put(e[1:])
	e[7], e[8], e[9] = byte(n>>16), byte(n>>8), byte(n)
	return e
}

// IsZero reports whether e means no segment.
func (e ESI) IsZero() bool { return e == ESI{} }

// shared reports whether e names a segment that several nodes may be on: routes
// with a reserved identifier stand for themselves (RFC 7432 section 9.2.2).
func (e ESI) shared() bool { return !e.IsZero() && e != MaxESI }

// Import returns the MAC of the ES-Import route target: the six octets after the
// type (RFC 7432 section 7.6).
func (e ESI) Import() table.MAC { return table.MACFrom(e[1:7]) }

// importRT returns the ES-Import route target as an extended community: type 6,
// sub-type 2, then the MAC (RFC 7432 section 7.6).
func (e ESI) importRT() RT {
	rt := RT{0x06, 0x02}
	copy(rt[2:], e[1:7])
	return rt
}

// IsESImport reports whether rt is the ES-Import route target of a segment.
func (rt RT) IsESImport() bool { return rt[0] == 0x06 && rt[1] == 0x02 }

// String returns ten octets in hex with colons.
func (e ESI) String() string {
	var b strings.Builder
	for i, o := range e {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", o)
	}
	return b.String()
}

// ParseESI reads ten octets in hex, with colons or without.
func ParseESI(s string) (ESI, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(b) != len(ESI{}) {
		return ESI{}, fmt.Errorf("evpn: Ethernet segment identifier %q: want ten octets in hex", s)
	}
	e := ESI(b)
	switch {
	case e.IsZero(), e == MaxESI:
		return ESI{}, fmt.Errorf("evpn: Ethernet segment identifier %q is reserved", s)
	case e[0] > 5:
		return ESI{}, fmt.Errorf("evpn: Ethernet segment identifier %q: type %d is not 0 to 5", s, e[0])
	}
	return e, nil
}

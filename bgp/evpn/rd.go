package evpn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// RD is a route distinguisher, its eight octets as they are sent: type, then a
// value that the type divides into an administrator and a number (RFC 4364
// section 4.2). It only makes routes differ; nothing else may be read from it.
type RD [8]byte

// NewRD returns the type 1 distinguisher of a node: its address (RFC 7432
// section 7.9 recommends this form) and a number that differs between the
// node's VNIs and VRFs. A router that is not IPv4 gives a type 0 RD of AS 0.
func NewRD(router netip.Addr, n uint16) RD {
	var rd RD
	if router.Is4() {
		a := router.As4()
		rd[1] = 1
		copy(rd[2:6], a[:])
	}
	binary.BigEndian.PutUint16(rd[6:], n)
	return rd
}

// String returns "65000:7", "192.0.2.1:7" or, for a type that has no such form,
// 16 hex digits.
func (d RD) String() string { return administered(d[:], binary.BigEndian.Uint16(d[:])) }

// ParseRD reads what String writes for types 0, 1 and 2: "AS:number" or
// "IPv4:number". An AS above 65535 gives type 2.
func ParseRD(s string) (RD, error) {
	var rd RD
	kind, err := parseAdministered(s, rd[2:])
	if err != nil {
		return RD{}, fmt.Errorf("evpn: route distinguisher %q: %w", s, err)
	}
	rd[1] = kind
	return rd, nil
}

// administered writes the three forms that RDs and route targets share: kind 0
// is a 2-octet AS and a 4-octet number, 1 an IPv4 address and a 2-octet number,
// 2 a 4-octet AS and a 2-octet number. The value is in b[2:8].
func administered(b []byte, kind uint16) string {
	switch kind {
	case 0:
		return fmt.Sprintf("%d:%d", binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]))
	case 1:
		return fmt.Sprintf("%s:%d", netip.AddrFrom4([4]byte(b[2:6])), binary.BigEndian.Uint16(b[6:]))
	case 2:
		return fmt.Sprintf("%d:%d", binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint16(b[6:]))
	}
	return fmt.Sprintf("%x", b[:8])
}

// parseAdministered writes the value of s into v[:6] and returns its kind.
func parseAdministered(s string, v []byte) (kind byte, err error) {
	left, right, ok := strings.Cut(s, ":")
	if !ok {
		return 0, fmt.Errorf("want AS:number or IPv4:number")
	}
	n, err := strconv.ParseUint(right, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("number %q is not 0 to 4294967295", right)
	}
	if addr, err := netip.ParseAddr(left); err == nil {
		if !addr.Is4() {
			return 0, fmt.Errorf("administrator %q is not IPv4", left)
		}
		if n > 0xffff {
			return 0, fmt.Errorf("number %d after an address is above 65535", n)
		}
		a := addr.As4()
		copy(v, a[:])
		binary.BigEndian.PutUint16(v[4:], uint16(n))
		return 1, nil
	}
	as, err := strconv.ParseUint(left, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("administrator %q is no AS and no IPv4 address", left)
	}
	if as <= 0xffff {
		binary.BigEndian.PutUint16(v, uint16(as))
		binary.BigEndian.PutUint32(v[2:], uint32(n))
		return 0, nil
	}
	if n > 0xffff {
		return 0, fmt.Errorf("number %d after a 4-octet AS is above 65535", n)
	}
	binary.BigEndian.PutUint32(v, uint32(as))
	binary.BigEndian.PutUint16(v[4:], uint16(n))
	return 2, nil
}

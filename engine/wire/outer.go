package wire

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IP address in two words: it compares with one instruction each,
// hashes as a map key and needs no allocation. An IPv4 address is held in its
// mapped form, ::ffff:a.b.c.d. The zero value is ::, which here means none.
type Addr struct {
	Hi, Lo uint64 // the 16 octets, first in the highest byte of Hi
}

// mapped4 is what stands above an IPv4 address in Lo: ::ffff:0:0.
const mapped4 uint64 = 0xffff << 32

// AddrFrom4 returns the IPv4 address a, host order.
//
// Hot path: no allocation, inlined.
func AddrFrom4(a uint32) Addr { return Addr{Lo: mapped4 | uint64(a)} }

// AddrFrom16 returns the address in b[:16].
//
// Hot path: no allocation, inlined.
func AddrFrom16(b []byte) Addr {
	_ = b[15]
	return Addr{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// AddrFrom returns a without its zone; the zero Addr when a is not valid.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	b := a.As16()
	return AddrFrom16(b[:])
}

// Is4 reports whether a is an IPv4 address, mapped.
func (a Addr) Is4() bool { return a.Hi == 0 && a.Lo>>32 == 0xffff }

// IsLinkLocal reports whether a is of fe80::/10.
//
// Hot path: no allocation, inlined.
func (a Addr) IsLinkLocal() bool { return a.Hi>>54 == 0xfe80>>6 }

// Uint32 returns the low 32 bits: the IPv4 address, host order, when Is4.
func (a Addr) Uint32() uint32 { return uint32(a.Lo) }

// Put16 writes the 16 octets into b[:16].
func (a Addr) Put16(b []byte) {
	_ = b[15]
	binary.BigEndian.PutUint64(b, a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
}

// Netip returns a as netip.Addr, an IPv4 address unmapped, the zero Addr as an
// invalid one. For people and control, not for packets.
func (a Addr) Netip() netip.Addr {
	if a == (Addr{}) {
		return netip.Addr{}
	}
	var b [16]byte
	a.Put16(b[:])
	return netip.AddrFrom16(b).Unmap()
}

// String returns the usual text of the address.
func (a Addr) String() string { return a.Netip().String() }

// Outer is what the tunnel layers ask of an outer IP header: the packet between
// two VTEPs, inside WireGuard or bare.
type Outer struct {
	Src, Dst Addr
	HdrLen   int   // bytes of the IP header, IPv4 options included; the payload starts here
	TotalLen int   // bytes of the whole packet; what follows it is padding
	Proto    uint8 // of the payload; for IPv6 the first next header, extension headers not walked
	TTL      uint8 // or hop limit
	TOS      uint8 // or traffic class
	V6       bool
	Fragment bool // IPv4 only: part of a packet; a VTEP must not fragment, so nobody reassembles
}

// Parse fills o from the IP packet at the start of b and reports whether it is
// one: header and payload all there, IPv4 header checksum right. It writes every
// field when it returns true; b may be longer than the packet (WireGuard pads).
//
// Hot path: no allocation (TestNoAllocs).
func (o *Outer) Parse(b []byte) bool {
	if len(b) < IPv4Len {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		h := IPv4(b)
		n, total := h.HeaderLen(), h.TotalLen()
		if n < IPv4Len || n > total || total > len(b) || h.HeaderSum() != 0xffff {
			return false
		}
		*o = Outer{
			Src: AddrFrom4(h.Src()), Dst: AddrFrom4(h.Dst()),
			HdrLen: n, TotalLen: total,
			Proto: h.Proto(), TTL: h.TTL(), TOS: h.TOS(), Fragment: h.IsFragment(),
		}
		return true
	case 6:
		h := IPv6(b)
		if len(b) < IPv6Len {
			return false
		}
		total := IPv6Len + h.PayloadLen()
		if total > len(b) {
			return false
		}
		*o = Outer{
			Src: AddrFrom16(h[8:]), Dst: AddrFrom16(h[24:]),
			HdrLen: IPv6Len, TotalLen: total,
			Proto: h.NextHeader(), TTL: h.HopLimit(), TOS: h.TrafficClass(), V6: true,
			Fragment: h.NextHeader() == ProtoFragment,
		}
		return true
	}
	return false
}

// UDP returns the view of the UDP datagram in b, the packet that o was parsed
// from: exactly as long as its length field says. ok is false when the payload
// is not UDP, is a fragment, or when the length field is less than the header
// or more than the payload.
//
// Hot path: no allocation.
func (o *Outer) UDP(b []byte) (u UDP, ok bool) {
	u = UDP(b[o.HdrLen:o.TotalLen])
	if o.Proto != ProtoUDP || o.Fragment || len(u) < UDPLen {
		return nil, false
	}
	n := u.Len()
	if n < UDPLen || n > len(u) {
		return nil, false
	}
	return u[:n:n], true
}

// Pseudo returns the unfolded pseudo-header sum for o's payload of l4Len bytes.
func (o *Outer) Pseudo(b []byte, l4Len int) uint32 {
	if o.V6 {
		return IPv6(b).Pseudo(o.Proto, l4Len)
	}
	return IPv4(b).Pseudo(o.Proto, l4Len)
}

// DecTTL takes one hop off the IP packet at the start of b, which Outer.Parse
// has passed, and keeps the IPv4 checksum right. It reports false, and changes
// nothing, when the TTL or hop limit is 0 or 1.
//
// Hot path: no allocation.
func DecTTL(b []byte) bool {
	if b[0]>>4 == 4 {
		return IPv4(b).DecTTL()
	}
	return IPv6(b).DecHopLimit()
}

package wire

import "encoding/binary"

// Types of neighbour discovery messages (RFC 4861 section 4).
const (
	NDRouterSolicit     uint8 = 133
	NDRouterAdvert      uint8 = 134
	NDNeighbourSolicit  uint8 = 135
	NDNeighbourAdvert   uint8 = 136
	NDSourceLinkAddr    uint8 = 1 // option: the sender's MAC
	NDTargetLinkAddr    uint8 = 2 // option: the target's MAC
	NDPrefix            uint8 = 3 // option: prefix information
	NDMTU               uint8 = 5 // option: the link's MTU
	ndHopLimit          uint8 = 255
	ndSolicitLen              = ICMPLen + 16
	ndLinkAddrLen             = 8
	ndRouterAdvertLen         = ICMPLen + 8
	ndPrefixLen               = 32
	ndRouter            uint8 = 0x80 // flags of an advertisement
	ndSolicited         uint8 = 0x40
	ndOverride          uint8 = 0x20
	ndPrefixOnLink      uint8 = 0x80 // flags of prefix information
	ndPrefixAutonomous  uint8 = 0x40
	ndPrefixFlagsOff          = 3
	ndPrefixValidOff          = 4
	ndPrefixPreferOff         = 8
	ndPrefixAddrOff           = 16
	ndSolicitTargetOff        = 8
	ndAdvertLifetimeOff       = 6
)

// ND is a view of a neighbour solicitation or advertisement (RFC 4861 sections
// 4.3 and 4.4).
//
//	+---------------+---------------+-------------------------------+
//	|  Type 135/136 |     Code 0    |           Checksum            |  0
//	+-+-+-+---------+---------------+-------------------------------+
//	|R|S|O|     (advertisement only)  Reserved                      |  4
//	+-+-+-+---------------------------------------------------------+
//	|                    Target Address, 16 bytes                   |  8
//	+---------------------------------------------------------------+
//	|  options: type, length in units of 8 bytes, value             | 24
type ND []byte

// IsND reports whether t is the type of a neighbour discovery message that the
// gateway of a link looks at.
//
// Hot path: no allocation, inlined.
func IsND(t uint8) bool { return t >= NDRouterSolicit && t <= NDNeighbourAdvert }

// Valid reports whether m is a whole solicitation or advertisement of a neighbour
// in packet h, as a receiver has to check it (RFC 4861 sections 7.1.1 and
// 7.1.2): hop limit 255, code 0, checksum, a target that is not multicast,
// options that are whole and not empty; a solicitation from the unspecified
// address goes to a solicited-node group and says no source MAC; an advertisement
// to a group is not solicited.
func (m ND) Valid(h IPv6) bool {
	if len(m) < ndSolicitLen || h.HopLimit() != ndHopLimit || m[1] != 0 || m[ndSolicitTargetOff] == 0xff {
		return false
	}
	if Fold(Sum(m, h.Pseudo(ProtoICMPv6, len(m)))) != 0xffff || !ndOptionsValid(m[ndSolicitLen:]) {
		return false
	}
	switch m[0] {
	case NDNeighbourSolicit:
		if AddrFrom16(h.Src()) == (Addr{}) {
			_, named := m.LinkAddr(NDSourceLinkAddr)
			d := AddrFrom16(h.Dst())
			return !named && d.Hi == 0xff02<<48 && d.Lo>>24 == 0x1ff
		}
		return true
	case NDNeighbourAdvert:
		return h.Dst()[0] != 0xff || m[4]&ndSolicited == 0
	}
	return false
}

// ndOptionsValid reports whether b is a row of whole options.
func ndOptionsValid(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// Target returns the address that is asked for or told of.
func (m ND) Target() Addr { return AddrFrom16(m[ndSolicitTargetOff:]) }

// Router returns the R flag of an advertisement: its sender is a router.
func (m ND) Router() bool { return m[4]&ndRouter != 0 }

// Override returns the O flag of an advertisement: it is newer than what is known.
func (m ND) Override() bool { return m[4]&ndOverride != 0 }

// LinkAddr returns the six octets of a link-layer address option, a slice of m.
func (m ND) LinkAddr(option uint8) (mac []byte, ok bool) {
	return ndLinkAddr(m[ndSolicitLen:], option)
}

func ndLinkAddr(b []byte, option uint8) (mac []byte, ok bool) {
	for len(b) >= ndLinkAddrLen {
		n := int(b[1]) * 8
		if n == 0 || n > len(b) {
			return nil, false
		}
		if b[0] == option && n == ndLinkAddrLen {
			return b[2:8:8], true
		}
		b = b[n:]
	}
	return nil, false
}

// RouterSolicitValid reports whether m is a router solicitation in packet h that
// a router answers (RFC 4861 section 6.1.1).
func RouterSolicitValid(m ICMP, h IPv6) bool {
	if len(m) < ICMPLen || h.HopLimit() != ndHopLimit || m[0] != NDRouterSolicit || m[1] != 0 {
		return false
	}
	if Fold(Sum(m, h.Pseudo(ProtoICMPv6, len(m)))) != 0xffff || !ndOptionsValid(m[ICMPLen:]) {
		return false
	}
	_, named := ndLinkAddr(m[ICMPLen:], NDSourceLinkAddr)
	return !named || AddrFrom16(h.Src()) != (Addr{})
}

// SolicitedNode returns the group in which the owner of a listens (RFC 4291
// section 2.7.1), and that group's MAC, low 48 bits (RFC 2464 section 7).
func SolicitedNode(a Addr) (group Addr, mac uint64) {
	low := a.Lo & 0xffffff
	return Addr{Hi: 0xff02 << 48, Lo: 1<<32 | 0xff<<24 | low}, 0x3333ff<<24 | low
}

// NDSolicitLen is the length of what PutSolicit writes: IPv6 40, message 24 and
// one option 8 bytes; that of PutAdvert is the same.
const NDSolicitLen = IPv6Len + ndSolicitLen + ndLinkAddrLen

// PutSolicit writes into h[:NDSolicitLen] the packet by which src with MAC mac,
// six octets, asks dst for target.
func (h IPv6) PutSolicit(src, dst, target Addr, mac []byte) {
	h.putND(NDNeighbourSolicit, 0, src, dst, target, NDSourceLinkAddr, mac)
}

// PutAdvert writes into h[:NDSolicitLen] the packet by which router src tells
// dst that target has MAC mac, six octets. solicited says that dst has asked.
func (h IPv6) PutAdvert(src, dst, target Addr, mac []byte, solicited bool) {
	h.PutNeighbourAdvert(src, dst, target, mac, true, solicited)
}

// PutNeighbourAdvert is PutAdvert for a target that may be no router.
func (h IPv6) PutNeighbourAdvert(src, dst, target Addr, mac []byte, router, solicited bool) {
	flags := ndOverride
	if router {
		flags |= ndRouter
	}
	if solicited {
		flags |= ndSolicited
	}
	h.putND(NDNeighbourAdvert, flags, src, dst, target, NDTargetLinkAddr, mac)
}

func (h IPv6) putND(typ, flags uint8, src, dst, target Addr, option uint8, mac []byte) {
	h.Put(&IPv6Fields{PayloadLen: NDSolicitLen - IPv6Len, NextHeader: ProtoICMPv6, HopLimit: ndHopLimit, Src: src, Dst: dst})
	m := ICMP(h[IPv6Len:NDSolicitLen])
	m.put(typ, 0, uint32(flags)<<24)
	target.Put16(m[ndSolicitTargetOff:])
	m[ndSolicitLen], m[ndSolicitLen+1] = option, 1
	copy(m[ndSolicitLen+2:], mac[:6])
	m.setChecksum(h.Pseudo(ProtoICMPv6, len(m)))
}

// NDRouter is what a router advertisement says (RFC 4861 section 4.2).
type NDRouter struct {
	HopLimit uint8  // for the hosts' packets
	Lifetime uint16 // of the router as a default router, seconds; 0: it is none
	MTU      uint32 // of the link, bytes
	MAC      []byte // six octets
}

// NDPrefixInfo is a prefix of the link from which hosts may make addresses.
type NDPrefixInfo struct {
	Prefix     Addr // host bits are 0
	Bits       uint8
	Autonomous bool // hosts may make addresses: /64 only (RFC 4862 section 5.5.3)
	Valid      uint32
	Preferred  uint32 // seconds, as Valid
}

// PutRouterAdvert writes a router advertisement from src to dst and returns its
// length: IPv6 40, message 16, two options of 8 and 32 for each prefix; 0 when h
// has no room.
func (h IPv6) PutRouterAdvert(src, dst Addr, r *NDRouter, prefixes []NDPrefixInfo) int {
	n := IPv6Len + ndRouterAdvertLen + 2*ndLinkAddrLen + len(prefixes)*ndPrefixLen
	if len(h) < n {
		return 0
	}
	h.Put(&IPv6Fields{PayloadLen: n - IPv6Len, NextHeader: ProtoICMPv6, HopLimit: ndHopLimit, Src: src, Dst: dst})
	m := ICMP(h[IPv6Len:n])
	clear(m)
	m.put(NDRouterAdvert, 0, uint32(r.HopLimit)<<24)
	binary.BigEndian.PutUint16(m[ndAdvertLifetimeOff:], r.Lifetime)
	o := m[ndRouterAdvertLen:]
	o[0], o[1] = NDSourceLinkAddr, 1
	copy(o[2:], r.MAC[:6])
	o = o[ndLinkAddrLen:]
	o[0], o[1] = NDMTU, 1
	binary.BigEndian.PutUint32(o[4:], r.MTU)
	o = o[ndLinkAddrLen:]
	for i := range prefixes {
		p := &prefixes[i]
		o[0], o[1], o[2], o[ndPrefixFlagsOff] = NDPrefix, ndPrefixLen/8, p.Bits, ndPrefixOnLink
		if p.Autonomous {
			o[ndPrefixFlagsOff] |= ndPrefixAutonomous
		}
		binary.BigEndian.PutUint32(o[ndPrefixValidOff:], p.Valid)
		binary.BigEndian.PutUint32(o[ndPrefixPreferOff:], p.Preferred)
		p.Prefix.Put16(o[ndPrefixAddrOff:])
		o = o[ndPrefixLen:]
	}
	m.setChecksum(h.Pseudo(ProtoICMPv6, len(m)))
	return n
}

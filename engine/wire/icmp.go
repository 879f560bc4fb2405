package wire

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/pkt"
)

// ICMPLen is the length of an ICMP or ICMPv6 error's header, bytes.
const ICMPLen = 8

// ICMP types and codes.
const (
	ICMPEchoReply      uint8 = 0
	ICMPUnreachable    uint8 = 3
	ICMPSourceQuench   uint8 = 4
	ICMPRedirect       uint8 = 5
	ICMPEcho           uint8 = 8
	ICMPTimeExceeded   uint8 = 11
	ICMPParameter      uint8 = 12
	ICMPCodeFragNeeded uint8 = 4
	ICMPv6TooBig       uint8 = 2
	ICMPv6Unreachable  uint8 = 1
	ICMPv6TimeExceeded uint8 = 3
	ICMPv6Echo         uint8 = 128
	ICMPv6EchoReply    uint8 = 129
	ICMPv6FirstInfo    uint8 = 128 // types below are errors (RFC 4443 section 2.1)
	ICMPv6Redirect     uint8 = 137
	icmpTTL            uint8 = 64
	icmpTOS            uint8 = 0xc0 // precedence 6, internetwork control (RFC 1812 section 4.3.2.5)
	icmpMaxLen               = 576  // longest ICMPv4 error packet (RFC 1812 section 4.3.2.3)
	icmpMinMTU               = 68   // every IPv4 link carries that much (RFC 791 section 3.2)
	ipv6MinMTU               = 1280 // every IPv6 link does; longest ICMPv6 error (RFC 8200 section 5)
)

// ICMP is a view of an ICMP or ICMPv6 message (RFC 792, RFC 4443).
//
//	+---------------+---------------+-------------------------------+
//	|     Type      |     Code      |           Checksum            |  0
//	+---------------+---------------+-------------------------------+
//	|  too big: MTU, IPv4 in the low 16 bits (RFC 1191), IPv6 in 32 |  4
//	+---------------------------------------------------------------+
//	|  errors: as much of the packet that caused it as fits         |  8
type ICMP []byte

// Valid reports whether the header is all there.
func (m ICMP) Valid() bool { return len(m) >= ICMPLen }

// Type returns the message type.
func (m ICMP) Type() uint8 { return m[0] }

// Code returns the message code.
func (m ICMP) Code() uint8 { return m[1] }

// MTU returns the next hop's MTU of a too-big message, bytes.
func (m ICMP) MTU() uint32 { return binary.BigEndian.Uint32(m[4:]) }

// SetType writes the message type; the checksum is left.
func (m ICMP) SetType(t uint8) { m[0] = t }

// Checksum returns the checksum field.
func (m ICMP) Checksum() uint16 { return binary.BigEndian.Uint16(m[2:]) }

// SetChecksum computes the checksum of the whole message m and writes it; pseudo
// is the sum of the pseudo-header for ICMPv6 and 0 for ICMP.
func (m ICMP) SetChecksum(pseudo uint32) {
	m[2], m[3] = 0, 0
	m.setChecksum(pseudo)
}

// put writes the header with a zero checksum.
func (m ICMP) put(typ, code uint8, mtu uint32) {
	m[0], m[1], m[2], m[3] = typ, code, 0, 0
	binary.BigEndian.PutUint32(m[4:], mtu)
}

// setChecksum computes the checksum of the whole message m; pseudo is the sum of
// the pseudo-header for ICMPv6 and 0 for ICMP.
func (m ICMP) setChecksum(pseudo uint32) {
	binary.BigEndian.PutUint16(m[2:], ^Fold(Sum(m, pseudo)))
}

// MaxTooBig is the length of the longest frame that TooBig and ICMPFault write:
// Ethernet, the tags that Parse looks behind, and a packet of 1280 bytes.
const MaxTooBig = EthernetLen + maxTagWalk*TagLen + ipv6MinMTU

// TooBig writes into dst the frame that tells the sender of f that its IP packet
// is larger than mtu: ICMP fragmentation-needed (RFC 792, RFC 1191 section 4) or
// ICMPv6 packet-too-big (RFC 4443 section 3.2). An IPv4 packet without DF is
// answered too: a bridge may not fragment, so silence would lose every such
// packet for good, while a sender that is told (Linux, for one) fragments from
// then on. It returns the frame's length, or 0 when nobody can or may be told:
//
//   - f is not parsed, or is not a whole IPv4 or IPv6 header;
//   - f is an IPv4 fragment beyond the first;
//   - the sender's MAC or IP address does not name one node, or the frame went to
//     a group (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4);
//   - f is itself an ICMP error or a redirect;
//   - mtu is below what the protocol guarantees (68 and 1280), or dst is too
//     short; MaxTooBig bytes always suffice.
//
// from is the source address of the message, the gateway's where there is one.
// The zero Addr takes f's own destination, as a bridge without addresses must;
// its MAC is always f's destination. Tags still in f's bytes are copied; those in
// f.Tags are the caller's to copy. f is not changed.
func TooBig(dst []byte, f *pkt.Frame, mtu int, from Addr) int {
	switch {
	case mtu > 0xffff:
		return 0
	case f.EtherType == TypeIPv4 && mtu >= icmpMinMTU:
		return ICMPFault(dst, f, ICMPUnreachable, ICMPCodeFragNeeded, uint32(mtu), from)
	case f.EtherType == TypeIPv6 && mtu >= ipv6MinMTU:
		return ICMPFault(dst, f, ICMPv6TooBig, 0, uint32(mtu), from)
	}
	return 0
}

// ICMPFault is TooBig for any ICMP (RFC 792) or ICMPv6 (RFC 4443) error: typ and
// code are of f's family, word is what stands behind the checksum.
func ICMPFault(dst []byte, f *pkt.Frame, typ, code uint8, word uint32, from Addr) int {
	l3 := int(f.L3Off)
	if !f.Parsed || l3 == 0 || f.Head[0]&1 != 0 || f.Head[6]&1 != 0 {
		return 0
	}
	// The quoted packet, without Ethernet padding.
	orig := f.Head[l3:]
	var n int
	switch f.EtherType {
	case TypeIPv4:
		orig = orig[:min(len(orig), IPv4(orig).TotalLen())]
		n = l3 + min(IPv4Len+ICMPLen+len(orig), icmpMaxLen)
		if len(dst) < n || !faultIPv4(dst[l3:n], orig, typ, code, word, from) {
			return 0
		}
	case TypeIPv6:
		orig = orig[:min(len(orig), IPv6Len+IPv6(orig).PayloadLen())]
		n = l3 + min(IPv6Len+ICMPLen+len(orig), ipv6MinMTU)
		if len(dst) < n || !faultIPv6(dst[l3:n], orig, typ, code, word, from) {
			return 0
		}
	default:
		return 0
	}
	copy(dst[0:6], f.Head[6:12])
	copy(dst[6:12], f.Head[0:6])
	copy(dst[12:l3], f.Head[12:l3])
	return n
}

// faultIPv4 writes the packet into the whole of dst and reports whether it may
// be sent.
func faultIPv4(dst, orig IPv4, typ, code uint8, word uint32, from Addr) bool {
	if orig.FragmentOffset() != 0 {
		return false
	}
	if orig.Proto() == ProtoICMP {
		m := ICMP(orig[orig.HeaderLen():])
		if !m.Valid() {
			return false
		}
		switch m.Type() {
		case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameter:
			return false
		}
	}
	src := from.Uint32()
	if !from.Is4() {
		src = orig.Dst()
	}
	if !oneHostIPv4(orig.Src()) || !oneHostIPv4(src) || orig.Dst()>>28 >= 0xe {
		return false
	}
	dst.Put(&IPv4Fields{
		TOS: icmpTOS, TotalLen: len(dst), DF: true, TTL: icmpTTL, Proto: ProtoICMP,
		Src: src, Dst: orig.Src(),
	})
	m := ICMP(dst[IPv4Len:])
	m.put(typ, code, word)
	copy(m[ICMPLen:], orig)
	m.setChecksum(0)
	return true
}

// oneHostIPv4 reports whether a can be the address of one host: not in 0/8,
// 127/8, nor in class D and E with the limited broadcast.
func oneHostIPv4(a uint32) bool {
	return a>>24 != 0 && a>>24 != 127 && a>>28 < 0xe
}

// faultIPv6 is faultIPv4 for IPv6. To a multicast destination RFC 4443 allows
// a packet-too-big; it is refused here, because one frame would bring an answer
// from every leaf.
func faultIPv6(dst, orig IPv6, typ, code uint8, word uint32, from Addr) bool {
	u, ok := orig.Walk()
	if !ok {
		return false
	}
	if u.Proto == ProtoICMPv6 {
		if u.Beyond || u.Off >= len(orig) {
			return false
		}
		if t := orig[u.Off]; t < ICMPv6FirstInfo || t == ICMPv6Redirect {
			return false
		}
	}
	to, src := AddrFrom16(orig.Src()), from
	if src == (Addr{}) || src.Is4() {
		src = AddrFrom16(orig.Dst())
	}
	if !oneHostIPv6(to) || !oneHostIPv6(src) || orig.Dst()[0] == 0xff {
		return false
	}
	dst.Put(&IPv6Fields{
		TrafficClass: icmpTOS, PayloadLen: len(dst) - IPv6Len,
		NextHeader: ProtoICMPv6, HopLimit: icmpTTL, Src: src, Dst: to,
	})
	m := ICMP(dst[IPv6Len:])
	m.put(typ, code, word)
	copy(m[ICMPLen:], orig)
	m.setChecksum(dst.Pseudo(ProtoICMPv6, len(m)))
	return true
}

// oneHostIPv6 reports whether a can be the address of one host: not ::, not
// ::1, not multicast.
func oneHostIPv6(a Addr) bool {
	return a.Hi>>56 != 0xff && (a.Hi != 0 || a.Lo > 1)
}

// ClampMSS lowers the MSS option of a TCP SYN to what fits into an IP packet of
// mtu bytes without options: mtu-40 for IPv4, mtu-60 for IPv6. It reports whether
// it changed f. The checksum is updated with it (RFC 1624), unless f.Offload says
// that it is still to be made.
//
// f must be parsed. Hot path: no allocation; one test for what is not a SYN.
func ClampMSS(f *pkt.Frame, mtu int) bool {
	if f.IPProto != ProtoTCP || f.L4Off == 0 {
		return false
	}
	t := TCP(f.Head[f.L4Off:])
	if t.Flags()&FlagSYN == 0 {
		return false
	}
	limit := mtu - IPv4Len - TCPLen
	if f.EtherType == TypeIPv6 {
		limit = mtu - IPv6Len - TCPLen
	}
	if limit < 1 || limit > 0xffff {
		return false
	}
	for o := t.Options(); ; {
		kind, data, ok := o.Next()
		if !ok {
			return false
		}
		if kind != TCPOptMSS || len(data) != 2 {
			continue
		}
		old, now := binary.BigEndian.Uint16(data), uint16(limit)
		if old <= now {
			return false
		}
		binary.BigEndian.PutUint16(data, now)
		if f.Offload.NeedsCsum {
			return true
		}
		// An option may stand at an odd offset: its bytes then count for the
		// other halves of their words.
		if at := t.HeaderLen() - len(o.rest) - 2; at%2 == 1 {
			old, now = old<<8|old>>8, now<<8|now>>8
		}
		t.SetChecksum(UpdateChecksum(t.Checksum(), old, now))
		return true
	}
}

package l3

import (
	"net/netip"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// MaxAnswer is the room that the functions of this file need at most, bytes.
const MaxAnswer = wire.MaxTooBig

// minFrame is the shortest Ethernet frame without FCS, bytes; the kernel pads
// frames that are shorter for some devices and not for others.
const minFrame = 60

// Answer writes into dst the frame by which the gateway answers f, an ARP or ND
// message or an echo request to it, and returns its length; 0 when f asks it
// nothing. f is not changed. dst has room for MaxAnswer bytes, and for len(f.Head).
//
//   - ARP request for an address of the gateway: a reply (RFC 826).
//   - Neighbour solicitation: an advertisement, to all nodes when the asker has no
//     address yet, who then knows that the address is taken (RFC 4861 section 7.2.4).
//   - Router solicitation: an advertisement to all nodes.
//   - ICMP or ICMPv6 echo request: a reply with the same content (RFC 792, RFC 4443
//     section 4.2).
func (i *Interface) Answer(dst []byte, f *pkt.Frame) int {
	if f.L3Off != wire.EthernetLen {
		return 0
	}
	switch f.EtherType {
	case wire.TypeARP:
		return i.answerARP(dst, wire.ARP(f.Head[wire.EthernetLen:]))
	case wire.TypeIPv4:
		return echo4(dst, f)
	case wire.TypeIPv6:
		if f.IPProto != wire.ProtoICMPv6 || f.L4Off == 0 {
			return 0
		}
		h := wire.IPv6(f.Head[wire.EthernetLen:])
		switch m := message(f); {
		case len(m) == 0:
			return 0
		case m[0] == wire.NDNeighbourSolicit:
			return i.answerSolicit(dst, f, h, m)
		case m[0] == wire.NDRouterSolicit:
			if !i.Advertise || !wire.RouterSolicitValid(m, h) {
				return 0
			}
			return i.RouterAdvert(dst)
		case m[0] == wire.ICMPv6Echo:
			return echo6(dst, f, m)
		}
	}
	return 0
}

// Echo is Answer for an echo request to an address of the leaf in a VRF, which is no
// gateway's.
func Echo(dst []byte, f *pkt.Frame) int {
	switch {
	case f.L3Off != wire.EthernetLen:
		return 0
	case f.EtherType == wire.TypeIPv4:
		return echo4(dst, f)
	case f.IPProto == wire.ProtoICMPv6 && f.EtherType == wire.TypeIPv6 && f.L4Off != 0:
		if m := message(f); len(m) > 0 && m[0] == wire.ICMPv6Echo {
			return echo6(dst, f, m)
		}
	}
	return 0
}

func (i *Interface) answerARP(dst []byte, a wire.ARP) int {
	if a.Op() != wire.ARPRequest || !i.Owns(wire.AddrFrom4(a.TargetIP())) {
		return 0
	}
	var mac [6]byte
	i.MAC.Put(mac[:])
	frame := dst[:minFrame]
	clear(frame)
	wire.Ethernet(frame).Put(a.SenderMAC(), mac[:], wire.TypeARP)
	wire.ARP(frame[wire.EthernetLen:]).Put(wire.ARPReply, mac[:], a.TargetIP(), a.SenderMAC(), a.SenderIP())
	return len(frame)
}

// Groups of a link (RFC 4291 section 2.7.1) and the MAC of the first.
var (
	allNodes    = wire.Addr{Hi: 0xff02 << 48, Lo: 1}
	allNodesMAC = table.MAC(0x333300000001)
)

func (i *Interface) answerSolicit(dst []byte, f *pkt.Frame, h wire.IPv6, m wire.ND) int {
	if !m.Valid(h) || !i.Owns(m.Target()) {
		return 0
	}
	var mac [6]byte
	i.MAC.Put(mac[:])
	to, toMAC := wire.AddrFrom16(h.Src()), table.MACFrom(f.Head[6:])
	solicited := to != (wire.Addr{})
	if !solicited {
		to, toMAC = allNodes, allNodesMAC
	}
	n := wire.EthernetLen + wire.NDSolicitLen
	i.put(dst, toMAC, wire.TypeIPv6)
	wire.IPv6(dst[wire.EthernetLen:n]).PutAdvert(m.Target(), to, m.Target(), mac[:], solicited)
	return n
}

// put writes the Ethernet header of a frame from the gateway.
func (i *Interface) put(dst []byte, to table.MAC, typ uint16) {
	to.Put(dst)
	i.MAC.Put(dst[6:])
	wire.Ethernet(dst).SetType(typ)
}

// Lifetimes that router advertisements say, seconds: AdvDefaultLifetime is three
// times the longest interval, the others the defaults of RFC 4861 section 6.2.1.
const (
	routerLifetime    = 1800
	prefixValid       = 2592000
	prefixPreferred   = 604800
	advertHopLimit    = 64
	autonomousPrefix  = 64
	maxAdvertPrefixes = 32
)

// RouterAdvert writes into dst the frame that tells all nodes of the bridge
// domain that the gateway is a router, the MTU and the IPv6 prefixes, and returns
// its length.
func (i *Interface) RouterAdvert(dst []byte) int {
	var prefixes [maxAdvertPrefixes]wire.NDPrefixInfo
	n := 0
	for _, p := range i.prefixes {
		if p.Addr().Is4() || n == len(prefixes) {
			continue
		}
		prefixes[n] = wire.NDPrefixInfo{
			Prefix: wire.AddrFrom(p.Addr()), Bits: uint8(p.Bits()), Autonomous: p.Bits() == autonomousPrefix,
			Valid: prefixValid, Preferred: prefixPreferred,
		}
		n++
	}
	var mac [6]byte
	i.MAC.Put(mac[:])
	i.put(dst, allNodesMAC, wire.TypeIPv6)
	size := wire.IPv6(dst[wire.EthernetLen:]).PutRouterAdvert(wire.AddrFrom(i.LinkLocal), allNodes, &wire.NDRouter{
		HopLimit: advertHopLimit, Lifetime: routerLifetime, MTU: uint32(i.MTU), MAC: mac[:],
	}, prefixes[:n])
	if size == 0 {
		return 0
	}
	return wire.EthernetLen + size
}

// echo4 answers a whole ICMP echo request: addresses change places, and the type.
func echo4(dst []byte, f *pkt.Frame) int {
	h := wire.IPv4(f.Head[wire.EthernetLen:])
	n := wire.EthernetLen + h.TotalLen()
	if f.IPProto != wire.ProtoICMP || f.L4Off == 0 || h.IsFragment() || n > len(f.Head) || n > len(dst) {
		return 0
	}
	m := wire.ICMP(f.Head[f.L4Off:n])
	if m.Type() != wire.ICMPEcho || m.Code() != 0 || wire.Fold(wire.Sum(m, 0)) != 0xffff {
		return 0
	}
	// Options are left out: a route or a timestamp of the request is not the
	// reply's.
	size := wire.IPv4Len + len(m)
	swapMACs(dst, f.Head)
	r := wire.IPv4(dst[wire.EthernetLen:])
	r.Put(&wire.IPv4Fields{
		TOS: h.TOS(), TotalLen: size, ID: h.ID(), TTL: advertHopLimit, Proto: wire.ProtoICMP, Src: h.Dst(), Dst: h.Src(),
	})
	copy(r[wire.IPv4Len:], m)
	reply := wire.ICMP(r[wire.IPv4Len:size])
	reply.SetType(wire.ICMPEchoReply)
	reply.SetChecksum(0)
	return wire.EthernetLen + size
}

// echo6 is echo4 for the ICMPv6 message m of f.
func echo6(dst []byte, f *pkt.Frame, m wire.ICMP) int {
	h := wire.IPv6(f.Head[wire.EthernetLen:])
	u, ok := h.Walk()
	n := wire.EthernetLen + wire.IPv6Len + len(m)
	if !ok || u.Fragment || u.Routing || h.Dst()[0] == 0xff || n > len(dst) || !m.Valid() || m.Code() != 0 ||
		wire.EthernetLen+wire.IPv6Len+h.PayloadLen() > len(f.Head) ||
		wire.Fold(wire.Sum(m, h.Pseudo(wire.ProtoICMPv6, len(m)))) != 0xffff {
		return 0
	}
	swapMACs(dst, f.Head)
	r := wire.IPv6(dst[wire.EthernetLen:n])
	r.Put(&wire.IPv6Fields{
		TrafficClass: h.TrafficClass(), PayloadLen: len(m), NextHeader: wire.ProtoICMPv6, HopLimit: advertHopLimit,
		Src: wire.AddrFrom16(h.Dst()), Dst: wire.AddrFrom16(h.Src()),
	})
	copy(r[wire.IPv6Len:], m)
	reply := wire.ICMP(r[wire.IPv6Len:])
	reply.SetType(wire.ICMPv6EchoReply)
	reply.SetChecksum(r.Pseudo(wire.ProtoICMPv6, len(m)))
	return n
}

// swapMACs writes the Ethernet header of an answer to the frame b.
func swapMACs(dst, b []byte) {
	copy(dst[0:6], b[6:12])
	copy(dst[6:12], b[0:6])
	copy(dst[12:14], b[12:14])
}

// Codes of destination unreachable (RFC 792, RFC 4443 section 3.1).
const (
	netUnreachable4  = 0
	hostUnreachable4 = 1
	portUnreachable4 = 3
	noRoute6         = 0
	addrUnreachable6 = 3
	portUnreachable6 = 4
)

// Fault writes into dst the ICMP error that tells f's sender why it goes no
// further, from address from, and returns the frame's length; 0 when nobody may
// or can be told (wire.ICMPFault says when). mtu is that of the way, for
// PacketTooBig.
func Fault(dst []byte, f *pkt.Frame, c Cause, mtu int, from netip.Addr) int {
	v6 := f.EtherType == wire.TypeIPv6
	src := wire.AddrFrom(from)
	kind := func(typ4, code4, typ6, code6 uint8) int {
		if v6 {
			return wire.ICMPFault(dst, f, typ6, code6, 0, src)
		}
		return wire.ICMPFault(dst, f, typ4, code4, 0, src)
	}
	switch c {
	case Expired:
		return kind(wire.ICMPTimeExceeded, 0, wire.ICMPv6TimeExceeded, 0)
	case NoRoute:
		return kind(wire.ICMPUnreachable, netUnreachable4, wire.ICMPv6Unreachable, noRoute6)
	case Unresolved:
		return kind(wire.ICMPUnreachable, hostUnreachable4, wire.ICMPv6Unreachable, addrUnreachable6)
	case ForGateway: // nothing listens on the gateway
		if f.IPProto != wire.ProtoUDP {
			return 0
		}
		return kind(wire.ICMPUnreachable, portUnreachable4, wire.ICMPv6Unreachable, portUnreachable6)
	case PacketTooBig:
		return wire.TooBig(dst, f, mtu, src)
	}
	return 0
}

// Probe writes into dst the frame by which the gateway asks for host, mac being
// what is known of it, 0 when nothing is, and returns the frame's length; 0 when
// the gateway has no address to ask from.
func (i *Interface) Probe(dst []byte, host netip.Addr, mac table.MAC) int {
	from := i.Source(host)
	if !from.IsValid() {
		return 0
	}
	var own, none [6]byte
	i.MAC.Put(own[:])
	if host.Is4() {
		frame := dst[:minFrame]
		clear(frame)
		to := mac
		if to == 0 {
			to = table.Broadcast
		}
		i.put(frame, to, wire.TypeARP)
		wire.ARP(frame[wire.EthernetLen:]).Put(wire.ARPRequest, own[:], wire.AddrFrom(from).Uint32(), none[:], wire.AddrFrom(host).Uint32())
		return len(frame)
	}
	target := wire.AddrFrom(host)
	to, toMAC := target, mac
	if mac == 0 {
		group, m := wire.SolicitedNode(target)
		to, toMAC = group, table.MAC(m)
	}
	n := wire.EthernetLen + wire.NDSolicitLen
	i.put(dst, toMAC, wire.TypeIPv6)
	wire.IPv6(dst[wire.EthernetLen:n]).PutSolicit(wire.AddrFrom(from), to, target, own[:])
	return n
}

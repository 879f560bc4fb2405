package l3

import (
	"net/netip"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3/dhcp"
)

// Interest is what a gateway wants of a frame of its bridge domain that is not
// addressed to its MAC.
type Interest uint8

const (
	None    Interest = iota // nothing
	Copy                    // a copy: it tells of its sender, or asks who routers are
	Mine                    // all of it: nobody else answers
	Relayed                 // all of it: a DHCP message that goes to servers instead
)

// Inspect says what the gateway wants of f, which is parsed and goes to a group.
//
// Hot path: no allocation; a few comparisons for what is neither ARP nor ICMPv6.
func (i *Interface) Inspect(f *pkt.Frame) Interest {
	if f.L3Off != wire.EthernetLen {
		return None
	}
	switch {
	case f.EtherType == wire.TypeARP:
		a := wire.ARP(f.Head[wire.EthernetLen:])
		if a.Op() == wire.ARPRequest && i.Owns(wire.AddrFrom4(a.TargetIP())) {
			return Mine
		}
		return Copy
	case f.IPProto == wire.ProtoICMPv6 && f.EtherType == wire.TypeIPv6 && f.L4Off != 0:
		m := f.Head[f.L4Off:]
		switch {
		case m[0] == wire.NDNeighbourSolicit && len(m) >= 24 && i.Owns(wire.ND(m).Target()):
			return Mine
		case wire.IsND(m[0]):
			return Copy
		}
	case i.Relay4 && f.EtherType == wire.TypeIPv4 && isDHCP(f, dhcp.ServerPort4):
		if table.MACFrom(f.Head) == table.Broadcast { // not to one server whose place is not known yet
			return Relayed
		}
	case i.Relay6 && f.EtherType == wire.TypeIPv6 && isDHCP(f, dhcp.ServerPort6):
		if wire.AddrFrom16(wire.IPv6(f.Head[wire.EthernetLen:]).Dst()) == allDHCP {
			return Relayed
		}
	}
	return None
}

// allDHCP is All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
var allDHCP = wire.Addr{Hi: 0xff02 << 48, Lo: 1<<16 | 2}

// isDHCP reports whether f is a whole datagram to UDP port port, or its first
// fragment.
func isDHCP(f *pkt.Frame, port uint16) bool {
	return f.IPProto == wire.ProtoUDP && f.L4Off != 0 && wire.UDP(f.Head[f.L4Off:]).DstPort() == port
}

// IsDHCP reports whether f is for a DHCP server or relay.
func IsDHCP(f *pkt.Frame) bool {
	return f.EtherType == wire.TypeIPv4 && isDHCP(f, dhcp.ServerPort4) ||
		f.EtherType == wire.TypeIPv6 && isDHCP(f, dhcp.ServerPort6)
}

// IsNeighbourWord reports whether f is ARP or ND, which the slow path answers and
// learns from when it is addressed to the gateway's MAC.
//
// Hot path: no allocation.
func IsNeighbourWord(f *pkt.Frame) bool {
	return f.EtherType == wire.TypeARP || f.IPProto == wire.ProtoICMPv6 && f.EtherType == wire.TypeIPv6 &&
		f.L4Off != 0 && wire.IsND(f.Head[f.L4Off])
}

// Sender returns what an ARP or ND message in f says of a host of the bridge
// domain: its address and its MAC. It is not believed, and ok is false, when the
// MAC is not the frame's source, or the address is the gateway's own or outside
// the bridge domain's subnets. clash says that somebody claims an address of the
// gateway.
func (i *Interface) Sender(f *pkt.Frame) (addr netip.Addr, mac table.MAC, ok, clash bool) {
	if f.L3Off != wire.EthernetLen {
		return addr, 0, false, false
	}
	var a wire.Addr
	var said []byte
	l3 := f.Head[wire.EthernetLen:]
	if f.EtherType == wire.TypeARP {
		p := wire.ARP(l3)
		if op := p.Op(); op != wire.ARPRequest && op != wire.ARPReply {
			return addr, 0, false, false
		}
		if p.SenderIP() == 0 {
			return addr, 0, false, false // asks whether an address is free
		}
		a, said = wire.AddrFrom4(p.SenderIP()), p.SenderMAC()
	} else {
		if f.EtherType != wire.TypeIPv6 || f.IPProto != wire.ProtoICMPv6 || f.L4Off == 0 {
			return addr, 0, false, false
		}
		h, m := wire.IPv6(l3), wire.ND(message(f))
		if !m.Valid(h) {
			return addr, 0, false, false
		}
		if m[0] == wire.NDNeighbourSolicit {
			a = wire.AddrFrom16(h.Src())
			said, ok = m.LinkAddr(wire.NDSourceLinkAddr)
		} else {
			a = m.Target()
			// A unicast answer may leave it out: the asker knows it.
			if said, ok = m.LinkAddr(wire.NDTargetLinkAddr); !ok {
				said, ok = f.Head[6:12], true
			}
		}
		if !ok || a == (wire.Addr{}) {
			return addr, 0, false, false
		}
	}
	mac = table.MACFrom(said)
	if mac != table.MACFrom(f.Head[6:]) || mac == i.MAC || mac.IsMulticast() || mac == 0 {
		return addr, 0, false, false
	}
	if i.Owns(a) {
		return addr, mac, false, true
	}
	addr = a.Netip()
	return addr, mac, i.Holds(addr), false
}

// message returns the ICMPv6 message of f, without Ethernet padding.
func message(f *pkt.Frame) []byte {
	end := wire.EthernetLen + wire.IPv6Len + wire.IPv6(f.Head[wire.EthernetLen:]).PayloadLen()
	return f.Head[f.L4Off:max(int(f.L4Off), min(end, len(f.Head)))]
}

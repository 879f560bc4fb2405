package proxy

import (
	"net/netip"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Word is what an ARP message, a neighbour solicitation or an advertisement says.
type Word struct {
	// Sender is the address that the message gives to its sender; invalid when the
	// sender has none yet: ARP probe (RFC 5227 section 1.1), duplicate address
	// detection (RFC 4862 section 5.4).
	Sender netip.Addr
	MAC    table.MAC  // of the sender, and the frame's source
	Target netip.Addr // is asked for; valid iff Ask

	// Ask: a question to all. One to a known MAC is none: it goes its way (RFC 9161
	// section 3.3 c).
	Ask bool
	// Says: Sender is to be learned. An ARP message of whatever kind, an
	// advertisement with the override flag and the MAC.
	Says bool
	// Hint: somebody with this address is there; what it is has to be asked. A
	// solicitation, which lacks the flags of an advertisement.
	Hint bool
	// Router is the R flag of an advertisement.
	Router bool
}

// IsWord reports whether f, which is parsed, is ARP for IPv4 or a neighbour
// message of IPv6.
//
// Hot path: no allocation; a comparison or two for what is neither.
func IsWord(f *pkt.Frame) bool {
	if f.EtherType == wire.TypeARP {
		return f.L3Off == wire.EthernetLen
	}
	if f.IPProto != wire.ProtoICMPv6 || f.EtherType != wire.TypeIPv6 || f.L4Off == 0 || f.L3Off != wire.EthernetLen {
		return false
	}
	t := f.Head[f.L4Off]
	return t == wire.NDNeighbourSolicit || t == wire.NDNeighbourAdvert
}

// Read decodes f, of which IsWord is true. ok is false for what is malformed, or
// gives the sender another MAC than the frame's source, or an address that no host
// has: it is carried as any frame and believed in nothing.
//
// Hot path: no allocation.
func Read(f *pkt.Frame) (w Word, ok bool) {
	w.MAC = table.MACFrom(f.Head[6:])
	group := f.Head[0]&1 != 0
	if f.EtherType == wire.TypeARP {
		ok = w.readARP(wire.ARP(f.Head[wire.EthernetLen:]), group)
	} else {
		ok = w.readND(f, group)
	}
	return w, ok
}

func (w *Word) readARP(a wire.ARP, group bool) bool {
	op := a.Op()
	if op != wire.ARPRequest && op != wire.ARPReply || table.MACFrom(a.SenderMAC()) != w.MAC {
		return false
	}
	from, to := a.SenderIP(), a.TargetIP()
	if from != 0 {
		w.Sender, w.Says = wire.AddrFrom4(from).Netip(), true
		if !host(w.Sender) {
			return false
		}
	} else if op != wire.ARPRequest {
		return false
	}
	// Gratuitous when both are the same: an announcement, no question.
	if op == wire.ARPRequest && group && from != to {
		w.Target, w.Ask = wire.AddrFrom4(to).Netip(), true
		return host(w.Target)
	}
	return true
}

func (w *Word) readND(f *pkt.Frame, group bool) bool {
	h := wire.IPv6(f.Head[wire.EthernetLen:])
	end := min(wire.EthernetLen+wire.IPv6Len+h.PayloadLen(), len(f.Head))
	m := wire.ND(f.Head[f.L4Off:max(int(f.L4Off), end)])
	if !m.Valid(h) {
		return false
	}
	target := m.Target().Netip()
	if !host(target) {
		return false
	}
	if m[0] == wire.NDNeighbourSolicit {
		if src := wire.AddrFrom16(h.Src()); src != (wire.Addr{}) {
			w.Sender = src.Netip()
			said, named := m.LinkAddr(wire.NDSourceLinkAddr)
			if !host(w.Sender) || named && table.MACFrom(said) != w.MAC {
				return false
			}
			w.Hint = named
		}
		w.Target, w.Ask = target, group && h.Dst()[0] == 0xff
		return true
	}
	w.Sender, w.Router = target, m.Router()
	said, named := m.LinkAddr(wire.NDTargetLinkAddr)
	if named && table.MACFrom(said) != w.MAC {
		return false
	}
	// Without the override flag the answer is an anycast address's, or one to a
	// neighbour that knows the MAC already: not learned (RFC 9161 section 3.2).
	w.Says = named && m.Override()
	return true
}

// host reports whether a can be a host's address.
//
// Hot path: no allocation.
func host(a netip.Addr) bool {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.Is4In6() {
		return false
	}
	return !a.Is4() || a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) && a.As4()[0] != 0
}

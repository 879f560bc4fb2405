package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
)

// Speaker is the BGP of a gateway with routers outside the fabric, of one of its
// addresses. Immutable.
type Speaker struct {
	// Neighbors are the routers: nobody else is heard.
	Neighbors map[netip.Addr]struct{}
	// Stack takes their packets.
	Stack interface{ Deliver(packet []byte) bool }
}

// bgpPort is the TCP port of BGP (RFC 4271 section 8).
const bgpPort = 179

// speaker returns the speaker that f is for, nil when it is for none: TCP of a
// neighbour, to or from BGP's port, by an attachment circuit of this leaf.
func (i *IRB) speaker(f *pkt.Frame) *Speaker {
	if i.Speakers == nil || f.VTEP != 0 || f.InAC == 0 || f.IPProto != wire.ProtoTCP || f.L4Off == 0 ||
		len(f.Head) < int(f.L4Off)+wire.TCPLen {
		return nil
	}
	s := i.Speakers[destination(f)]
	if s == nil {
		return nil
	}
	if _, ok := s.Neighbors[source(f)]; !ok {
		return nil
	}
	if t := wire.TCP(f.Head[f.L4Off:]); t.SrcPort() != bgpPort && t.DstPort() != bgpPort {
		return nil
	}
	return s
}

// puntSegments gives the slow path f, which is a speaker's, as the segments that it
// is of, with their checksums: its stack takes what a wire carries.
// limit has been asked for one of them.
func (g *irbRoute) puntSegments(dom *Domain, f *pkt.Frame, limit *l2.Bucket) counter.Reason {
	n, r := g.split.Init(f)
	if r != counter.None {
		return r
	}
	if n > 1 && !limit.Take(n-1, g.now) {
		return counter.GatewayBusy
	}
	seg := pkt.Frame{InAC: f.InAC}
	for range n {
		seg.Head = g.split.Next()
		seg.Len = len(seg.Head)
		if !g.env.Punts.push(l3.ForSpeaker, 0, dom.BD.VNI, &seg) {
			return counter.GatewayBusy // TCP sends it again
		}
	}
	return counter.None
}

// toSpeaker gives f to the speaker that it is for.
func (g *Gateway) toSpeaker(dom *Domain, f *pkt.Frame) counter.Reason {
	s := dom.IRB.speaker(f)
	if s == nil {
		return counter.RouteGone // the snapshot is newer than the packet
	}
	p := f.Head[f.L3Off:]
	n := 0 // without what an Ethernet frame was filled up with
	if f.EtherType == wire.TypeIPv4 {
		n = wire.IPv4(p).TotalLen()
	} else {
		n = wire.IPv6Len + wire.IPv6(p).PayloadLen()
	}
	if n > len(p) {
		return counter.FrameTooShort
	}
	if !s.Stack.Deliver(p[:n]) {
		return counter.HostPuntFull
	}
	return counter.None
}

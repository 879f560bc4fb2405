package proxy

import (
	"net/netip"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
)

// Binding is an address and the MAC that has it, as workers see it. Immutable but
// for when it was heard of.
type Binding struct {
	Addr   netip.Addr
	MAC    table.MAC
	AC     table.ACID // the host's circuit; 0: configured, or behind another node
	Router bool       // R flag of advertisements for it
	seen   atomic.Int64
}

// Seen returns when the host said something last, ns since start; 0: never here.
func (b *Binding) Seen() int64 { return b.seen.Load() }

// Rates at which a bridge domain may tell control of hosts, per second, and at
// once: as the slow path of a gateway, less what an ARP scan of a /16 needs.
const (
	tellRate  = 1000
	tellBurst = 200
)

// freshNs is how old Binding.seen may be before it is written again, so that
// workers do not fight for its cache line.
const freshNs = 100e6

// Counters count what a bridge domain's proxy did. Any goroutine.
type Counters struct {
	Answered counter.Shared // questions answered here and not flooded
	Flooded  counter.Shared // questions about unknown addresses that went everywhere
	Dropped  counter.Shared // such questions that went nowhere, as configured
	Told     counter.Shared // words handed to control
	Limited  counter.Shared // words that control did not take: over the rate, or busy
	Lies     counter.Shared // malformed, or of another MAC than their frame
}

// Domain is the proxy of one bridge domain as workers see it. Immutable but for
// its cells.
type Domain struct {
	VNI table.VNI
	// MAC and LinkLocal are what probes come from. Frames to MAC are for the proxy.
	MAC       table.MAC
	LinkLocal netip.Addr
	// Drop: a question about an unknown address is dropped, not flooded.
	Drop  bool
	Count *Counters

	bindings *fib.FIB[*Binding]
	tell     *l2.Bucket
}

// EventKind says what a worker heard.
type EventKind uint8

const (
	Seen EventKind = iota + 1 // a host says that it has the address
	Hint                      // a host uses the address; it is to be asked
)

// Event is what a worker tells control.
type Event struct {
	Kind   EventKind
	VNI    table.VNI
	Addr   netip.Addr
	MAC    table.MAC
	AC     table.ACID
	Router bool
}

// Lookup returns the binding of a, nil without one.
//
// Hot path: no allocation.
func (d *Domain) Lookup(a netip.Addr) *Binding {
	b, _ := d.bindings.Load().Lookup(a)
	return b
}

// Snoop takes note of w, which came by circuit at, and returns what is to be told
// to control, if anything: what the table says already is not.
//
// Hot path: no allocation, no lock.
func (d *Domain) Snoop(w *Word, at table.ACID, now int64) (e Event, tell bool) {
	if !w.Sender.IsValid() {
		return e, false
	}
	if b := d.Lookup(w.Sender); b != nil && b.MAC == w.MAC && b.AC == at {
		if now-b.seen.Load() > freshNs {
			b.seen.Store(now)
		}
		if !w.Says || b.Router == w.Router {
			return e, false
		}
	}
	e = Event{VNI: d.VNI, Addr: w.Sender, MAC: w.MAC, AC: at, Router: w.Router}
	switch {
	case w.Says:
		e.Kind = Seen
	case w.Hint:
		e.Kind = Hint
	default:
		return e, false
	}
	if !d.tell.Take(1, now) {
		d.Count.Limited.Add(1)
		return e, false
	}
	d.Count.Told.Add(1)
	return e, true
}

// Verdict is what becomes of a question.
type Verdict uint8

const (
	Pass     Verdict = iota // as any frame
	Answered                // it goes no further: the reply is the answer
	Drop                    // it goes nowhere
)

// MaxReply is the room that Reply needs, bytes: Ethernet 14, and an advertisement.
const MaxReply = wire.EthernetLen + wire.NDSolicitLen

// Reply decides on w, which came in f by circuit at. With Answered it has written
// the frame that answers f into dst, which has room for MaxReply bytes, and returns
// its length. The order is that of RFC 9161 section 3.3.
//
// Hot path: no allocation.
func (d *Domain) Reply(dst []byte, f *pkt.Frame, w *Word, at table.ACID) (n int, v Verdict) {
	if !w.Ask {
		return 0, Pass
	}
	b := d.Lookup(w.Target)
	switch {
	case b == nil && d.Drop:
		d.Count.Dropped.Add(1)
		return 0, Drop
	case b == nil:
		d.Count.Flooded.Add(1)
		return 0, Pass
	case b.MAC == w.MAC:
		return 0, Pass // asks whether its own address is free: it is
	case b.AC == at:
		return 0, Pass // b) the owner gets the question itself
	}
	d.Count.Answered.Add(1)
	// a) from the owner's MAC, so that switches on the way learn it.
	var owner [6]byte
	b.MAC.Put(owner[:])
	if w.Target.Is4() {
		return replyARP(dst, wire.ARP(f.Head[wire.EthernetLen:]), owner[:]), Answered
	}
	return replyND(dst, f, w, owner[:], b.Router), Answered
}

// minFrame is the shortest Ethernet frame without FCS, bytes.
const minFrame = 60

func replyARP(dst []byte, a wire.ARP, owner []byte) int {
	frame := dst[:minFrame]
	clear(frame)
	wire.Ethernet(frame).Put(a.SenderMAC(), owner, wire.TypeARP)
	wire.ARP(frame[wire.EthernetLen:]).Put(wire.ARPReply, owner, a.TargetIP(), a.SenderMAC(), a.SenderIP())
	return len(frame)
}

// allNodes is the group of all hosts of a link (RFC 4291 section 2.7.1), and its
// MAC.
var (
	allNodes    = wire.Addr{Hi: 0xff02 << 48, Lo: 1}
	allNodesMAC = []byte{0x33, 0x33, 0, 0, 0, 1}
)

// replyND answers who has an address; who has none yet is told, like all others,
// that the target is taken (RFC 4861 section 7.2.4).
func replyND(dst []byte, f *pkt.Frame, w *Word, owner []byte, router bool) int {
	target := wire.AddrFrom(w.Target)
	to, toMAC := allNodes, allNodesMAC
	if w.Sender.IsValid() {
		to, toMAC = wire.AddrFrom(w.Sender), f.Head[6:12]
	}
	wire.Ethernet(dst).Put(toMAC, owner, wire.TypeIPv6)
	wire.IPv6(dst[wire.EthernetLen:MaxReply]).PutNeighbourAdvert(target, to, target, owner, router, w.Sender.IsValid())
	return MaxReply
}

// Ask writes into dst, which has room for MaxReply bytes, the frame by which the
// proxy asks the host with mac, and nobody else, whether it has addr, and returns
// its length: an ARP probe, which no cache takes note of, or a solicitation from
// the proxy's link-local address (RFC 9161 sections 3.5 and 3.7).
func (d *Domain) Ask(dst []byte, addr netip.Addr, mac table.MAC) int {
	var own, to, none [6]byte
	d.MAC.Put(own[:])
	mac.Put(to[:])
	if addr.Is4() {
		frame := dst[:minFrame]
		clear(frame)
		wire.Ethernet(frame).Put(to[:], own[:], wire.TypeARP)
		wire.ARP(frame[wire.EthernetLen:]).Put(wire.ARPRequest, own[:], 0, none[:], wire.AddrFrom(addr).Uint32())
		return len(frame)
	}
	// To the group, so that the answer has the override flag and the MAC, in a frame
	// to the one host.
	target := wire.AddrFrom(addr)
	group, _ := wire.SolicitedNode(target)
	wire.Ethernet(dst).Put(to[:], own[:], wire.TypeIPv6)
	wire.IPv6(dst[wire.EthernetLen:MaxReply]).PutSolicit(wire.AddrFrom(d.LinkLocal), group, target, own[:])
	return MaxReply
}

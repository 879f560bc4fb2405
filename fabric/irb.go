package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
)

// IRB is how a VNI takes part in a VRF: as a bridge domain with a gateway, or as
// the L3VNI by which leaves send routed packets to each other. Immutable but for
// its cells.
type IRB struct {
	VRF *l3.VRF
	// Interface is the gateway of the bridge domain; nil iff the VNI is the L3VNI.
	Interface *l3.Interface
	// Relay is the DHCP relay of the gateway; nil without one.
	Relay *DHCPRelay
	// Speakers are the BGP speakers of the gateway by its addresses; nil without.
	Speakers map[netip.Addr]*Speaker
	// Punts limits what the slow path takes from this VNI for the gateway
	// itself, Faults the ICMP errors that it sends.
	Punts, Faults *l2.Bucket
}

// Rates of the slow path per VNI and second, with a tenth of a second's worth at
// once: enough for a few thousand hosts that keep their ARP entries fresh, little
// enough that one tenant does not take another's share.
const (
	PuntRate  = 5000
	FaultRate = 100 // as TooBig's
)

// NewIRB returns the IRB of a VNI with fresh buckets; in is nil for an L3VNI.
func NewIRB(v *l3.VRF, in *l3.Interface) *IRB {
	return &IRB{
		VRF: v, Interface: in,
		Punts: l2.NewBucket(PuntRate, PuntRate/10), Faults: l2.NewBucket(FaultRate, FaultRate/10),
	}
}

// VRFOf returns the VRF, nil for a nil IRB.
func (i *IRB) VRFOf() *l3.VRF {
	if i == nil {
		return nil
	}
	return i.VRF
}

// routed reports whether the VNI is a bridge domain with a gateway.
//
// Hot path: no allocation, inlined.
func (d *Domain) routed() bool { return d.IRB != nil && d.IRB.Interface != nil }

// irbRoute is one worker's router: the node irb-route of its graph. It rewrites
// packets and hands them to local ports, to leafTx, or to the slow path. Worker
// only.
type irbRoute struct {
	env    *Env
	name   string
	drops  *counter.Block
	router l3.Router
	bridge *l2.Bridge // places and counts what is routed into bridge domains
	out    *portTx
	tx     *leafTx
	locals []*l2.AC
	split  gso.Splitter // of what speakers get

	now     int64
	watched bool
	snap    *Snapshot
}

func newIRBRoute(env *Env, name string, drops *counter.Block, out *portTx, tx *leafTx) *irbRoute {
	return &irbRoute{env: env, name: name, drops: drops, bridge: l2.NewBridge(env.Learn), out: out, tx: tx}
}

// begin starts a burst.
func (g *irbRoute) begin(snap *Snapshot, now int64, watched bool) {
	g.snap, g.now, g.watched = snap, now, watched
	g.bridge.Begin(now)
}

// end ends the burst that begin began.
func (g *irbRoute) end() { g.bridge.End() }

// toGateway takes f, which is addressed to the gateway of dom.
func (g *irbRoute) toGateway(dom *Domain, f *pkt.Frame) counter.Reason {
	if !dom.routed() {
		return counter.NoDestination // the FDB is newer than the snapshot
	}
	if l3.IsNeighbourWord(f) {
		return g.punt(dom, l3.ForGateway, counter.GatewayBusy, f)
	}
	return g.route(dom, f)
}

// fromLeaf takes f, which came by the L3VNI dom.
func (g *irbRoute) fromLeaf(dom *Domain, f *pkt.Frame) counter.Reason {
	if !f.Parsed {
		if r := wire.Parse(f); r != counter.None {
			return r
		}
	}
	g.bridge.FromLeaf(dom.BD, f)
	if table.MACFrom(f.Head) != dom.IRB.VRF.RouterMAC {
		return counter.RouterMACWrong
	}
	return g.route(dom, f)
}

// route sends f, which came into dom, where its VRF leads. None says that f is
// on its way or that the slow path has it.
//
// Hot path: no allocation once what grows has grown (TestRouteNoAllocs).
func (g *irbRoute) route(dom *Domain, f *pkt.Frame) counter.Reason {
	d := g.router.Route(dom.IRB.VRF, dom.IRB.Interface, f)
	if d.Action == l3.Punt {
		return g.punt(dom, d.Cause, d.Reason, f)
	}
	return g.forward(dom, d, f, true)
}

// forward does what d says with f, which came into dom. hop says that a hop is
// taken off its life; a packet of the gateway itself has none behind it.
func (g *irbRoute) forward(dom *Domain, d l3.Decision, f *pkt.Frame, hop bool) counter.Reason {
	if d.Action == l3.Drop || d.Action == l3.Punt {
		return d.Reason
	}
	// The FIB may be newer or older than the snapshot. Whatever it says, nothing
	// leaves the VRF that it came into but by a contract of the snapshot.
	to, ok := g.snap.Domain(d.VNI)
	if !ok || to.IRB == nil {
		return counter.RouteGone
	}
	if to.IRB.VRF.ID != dom.IRB.VRF.ID {
		if r := dom.IRB.VRF.Cross(to.IRB.VRF.ID, source(f), destination(f)); r != counter.None {
			return r
		}
	}
	var adj *Adjacency
	var src table.MAC
	switch {
	case d.Action == l3.Leaf:
		adj = entry(g.snap.adjs, uint32(d.VTEP))
		if adj == nil || adj.Domain != to {
			return counter.RouteGone
		}
		src = to.IRB.VRF.RouterMAC
	case to.IRB.Interface == nil:
		return counter.RouteGone
	default:
		src = to.IRB.Interface.MAC
	}
	if l2.Oversize(f, to.TenantMTU) {
		return g.puntTooBig(dom, f, to.TenantMTU)
	}
	if to.ClampMSS {
		l2.ClampMSS(f, to.TenantMTU)
	}
	if hop {
		l3.Rewrite(f, d.MAC, src)
	} else {
		l3.Address(f, d.MAC, src)
	}
	f.VNI = uint32(d.VNI)
	if g.watched {
		g.see(f, counter.None)
	}
	if adj != nil {
		g.bridge.ToLeaf(to.BD, f)
		g.tx.add(to, adj, f, false)
		return counter.None
	}
	return g.place(to, f)
}

// place sends f, a frame of the gateway, to its host in bridge domain dom: to the
// circuit or the VTEP where its MAC lives, or to all while nobody knows.
func (g *irbRoute) place(dom *Domain, f *pkt.Frame) counter.Reason {
	v := g.bridge.FromGateway(dom.BD, f)
	switch v.Kind {
	case l2.Unicast:
		if v.Dest.Kind == l2.DestLocal {
			out := entry(g.snap.acs, v.Dest.ID)
			if out == nil || out.Domain != dom {
				return counter.NoDestination
			}
			g.out.push(out, f)
			return counter.None
		}
		adj := entry(g.snap.adjs, v.Dest.ID)
		if adj == nil || adj.Domain != dom {
			return counter.NoDestination
		}
		g.tx.add(dom, adj, f, false)
		return counter.None
	case l2.Flood:
		var held l2.Held
		g.locals, held = dom.BD.AppendFlood(g.locals[:0], nil, 0)
		held.Count(g.drops, segments(f))
		for _, out := range g.locals {
			g.out.pushCopy(g.snap, entry(g.snap.acs, uint32(out.ID)), f)
		}
		if len(dom.BD.VTEPs) > 0 {
			g.tx.add(dom, nil, f, len(g.locals) > 0)
		}
		return counter.None
	}
	return v.Reason
}

// punt gives the slow path a copy of f, which came into dom, for c. It returns r
// when that can't be: f is dropped then.
func (g *irbRoute) punt(dom *Domain, c l3.Cause, r counter.Reason, f *pkt.Frame) counter.Reason {
	limit := dom.IRB.Punts
	if c == l3.Expired || c == l3.NoRoute {
		limit = dom.IRB.Faults
	}
	if g.env.Punts == nil || !limit.Take(1, g.now) {
		return r
	}
	if c == l3.ForGateway && dom.IRB.speaker(f) != nil {
		return g.puntSegments(dom, f, limit)
	}
	if !g.env.Punts.push(c, 0, dom.BD.VNI, f) {
		return r
	}
	return counter.None
}

func (g *irbRoute) puntTooBig(dom *Domain, f *pkt.Frame, mtu int) counter.Reason {
	if g.env.Punts == nil || !dom.IRB.Faults.Take(1, g.now) || !g.env.Punts.push(l3.PacketTooBig, mtu, dom.BD.VNI, f) {
		return counter.OversizedNoICMP
	}
	return counter.None
}

func (g *irbRoute) see(f *pkt.Frame, r counter.Reason) {
	g.env.Tap.See(&trace.Record{
		ID: f.TraceID, Stage: trace.Route, Worker: g.name, Nanos: g.now, Reason: r,
		VNI: f.VNI, Port: f.InPort, Len: f.Len, Segs: segments(f), Data: f.Head,
	})
}

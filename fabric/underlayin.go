package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// Bundles and frames that an UnderlayIn has in hand at most. A bundle holds up
// to underlay.MaxSegments datagrams; when the vector is full it is delivered and
// filled again.
const (
	underlayBundles = 32
	underlayFrames  = 1024
)

// UnderlayIn is the graph of one underlay receive queue: what arrives is opened
// and then goes to a tenant port (leaf), on to another peer (spine), or to the
// node itself.
type UnderlayIn struct {
	env   *Env
	name  string
	drops *counter.Block
	rx    underlay.Receiver
	plain bool // rx is a plain VXLAN socket: bundles are VXLAN, not WireGuard

	bundles []underlay.Bundle
	reader  *table.Reader[Snapshot]
	tun     *tunnelTx
	bridge  *l2.Bridge
	merge   gso.Merger
	merging []*pkt.Frame
	locals  []*l2.AC
	out     *portTx
	tx      *leafTx // for what is routed to other leaves
	irb     *irbRoute
	batch   wireguard.Batch
	mac     macsec.Rx
	vec     *pkt.Vector

	// For the burst in hand.
	now     int64
	watched bool
	snap    *Snapshot
	flow    outerFlow
	run     transitRun
	tally   peerTally

	session *wireguard.Session // of the last datagram opened
	peer    *Peer              // of session; nil when the snapshot has it no more
}

// outerFlow remembers what was decided for the last outer header: a bundle is, as
// a rule, one flow.
type outerFlow struct {
	peer     *Peer
	src, dst netip.Addr
	vni      table.VNI

	dom    *Domain    // leaf out
	adj    *Adjacency // leaf out
	route  *Route     // transit
	reason counter.Reason
}

// transitRun is sealed-again datagrams that lie back to back in the receive
// buffer and leave by one call.
type transitRun struct {
	peer  *Peer
	path  int
	buf   []byte // from the first datagram to the last
	end   int    // offset in the bundle behind the last
	slot  int
	last  int
	n     int
	bytes int
	ids   []uint32 // of sampled datagrams; only while the tap is active
}

// NewUnderlayIn returns the graph of rx. plain says that rx carries VXLAN without
// WireGuard. wg and plainTx are this worker's senders.
func NewUnderlayIn(env *Env, name string, drops *counter.Block, rx underlay.Receiver, plain bool, wg, plainTx underlay.Sender) *UnderlayIn {
	g := &UnderlayIn{
		env: env, name: name, drops: drops, rx: rx, plain: plain,
		bundles: make([]underlay.Bundle, underlayBundles),
		reader:  env.Tables.NewReader(),
		tun:     newTunnelTx(env, name, drops, wg, plainTx),
		bridge:  l2.NewBridge(env.Learn),
		merging: make([]*pkt.Frame, 0, underlayFrames),
		out:     newPortTx(env, name, drops),
		vec:     pkt.NewVector(underlayFrames),
	}
	g.tx = newLeafTx(env, name, drops, g.tun, portFrames)
	g.irb = newIRBRoute(env, name, drops, g.out, g.tx)
	return g
}

// Step implements worker.Graph.
func (g *UnderlayIn) Step() error {
	n, err := g.rx.Recv(g.bundles)
	if err != nil {
		return err
	}
	g.begin()
	defer g.reader.Leave()
	taken := 0
	for i := range g.bundles[:n] {
		b := &g.bundles[i]
		taken += b.Datagrams()
		if g.plain {
			g.plainBundle(b)
		} else {
			g.sealedBundle(b)
		}
		g.endRun()
	}
	g.drops.Take(uint64(taken))
	g.deliver()
	g.tun.flush()
	g.tally.flush()
	g.mac.FlushCounters()
	g.tx.mac.FlushCounters()
	g.out.flush(g.snap)
	g.irb.end()
	if g.bridge.End() {
		g.env.Wake()
	}
	return nil
}

// Close gives the reader and the transmit sides back. Call it when the worker has
// ended.
func (g *UnderlayIn) Close() {
	g.reader.Close()
	g.out.close()
}

func (g *UnderlayIn) begin() {
	g.now = g.env.Clock()
	g.watched = g.env.Tap.Active()
	g.tun.now, g.tun.watched = g.now, g.watched
	g.snap = g.reader.Enter()
	g.flow = outerFlow{}
	g.session, g.peer = nil, nil
	g.bridge.Begin(g.now)
	g.merge.UDP = g.snap.MergeUDP
	g.out.now, g.out.watched = g.now, g.watched
	g.tx.begin(g.snap, g.now, g.watched)
	g.irb.begin(g.snap, g.now, g.watched)
}

// sealedBundle takes the datagrams of one WireGuard sender: all are opened in
// place first, in one call of the cipher, and then go their ways one by one.
func (g *UnderlayIn) sealedBundle(b *underlay.Bundle) {
	at := 0
	opened := g.batch.OpenRun(g.env.Sessions, g.now, b.Buf, b.SegSize)
	g.batch.Report(g.now, b.Src)
	for i := range opened {
		o := &opened[i]
		id := uint32(0)
		if g.watched {
			id = g.enter(b, o.Msg)
		}
		if r := g.datagram(b, at, o, id); r != counter.None {
			g.drop(r, trace.WireGuardOpen, id, 0, o.Msg)
		}
		at += len(o.Msg)
	}
}

func (g *UnderlayIn) datagram(b *underlay.Bundle, at int, o *wireguard.Opened, id uint32) counter.Reason {
	if o.Reason != counter.None {
		return o.Reason
	}
	if o.Type != noise.TypeData {
		if !g.env.Handshake(b.Src, o.Msg) {
			return counter.WGPuntFull
		}
		return counter.None
	}
	if o.Session != g.session {
		g.session = o.Session
		g.peer = entry(g.snap.peers, uint32(o.Session.Peer().ID()))
	}
	if g.peer == nil {
		return counter.WGUnknownIndex // the peer was removed by this snapshot
	}
	if len(o.Plain) == 0 {
		return counter.None // keepalive
	}
	p, r := wireguard.Inner(o.Plain)
	if r != counter.None {
		return r
	}
	if !g.peer.WireGuard.AllowedIPs().AllowsSource(p) {
		return counter.WGNotAllowedIP
	}
	g.tally.add(g.peer, len(p))
	if g.watched {
		g.see(trace.WireGuardOpen, id, 0, p, counter.None)
	}
	return g.outer(g.peer, b, at, o.Msg, p, id)
}

// outer decides where an opened outer packet p, which lies in datagram d at
// offset at of bundle b, goes.
func (g *UnderlayIn) outer(peer *Peer, b *underlay.Bundle, at int, d, p []byte, id uint32) counter.Reason {
	rx := &g.snap.VXLAN
	if !rx.Match(p) {
		return g.notVXLAN(peer, b, at, d, p, id)
	}
	var v vxlan.Packet
	if r := rx.Decap(p, &v); r != counter.None {
		return r
	}
	if g.snap.isLocal(v.Dst) {
		return g.decap(peer, &v, id)
	}
	f := &g.flow
	if f.route == nil || f.peer != peer || f.src != v.Src || f.dst != v.Dst || f.vni != v.VNI {
		*f = outerFlow{peer: peer, src: v.Src, dst: v.Dst, vni: v.VNI}
		f.route, f.reason = g.snap.transit(peer, v.Src, v.Dst, v.VNI, true)
	}
	if f.reason != counter.None {
		return f.reason
	}
	return g.forward(f.route, uint32(v.SrcPort), b, at, d, p, id)
}

// notVXLAN takes what is not VXLAN: packets of the fabric VRF's own hosts, such
// as ping and BGP between VTEPs.
func (g *UnderlayIn) notVXLAN(peer *Peer, b *underlay.Bundle, at int, d, p []byte, id uint32) counter.Reason {
	var o wire.Outer
	// An IPv6 header with IPv4-mapped addresses would pass for IPv4's.
	if !o.Parse(p) || o.V6 && (o.Src.Is4() || o.Dst.Is4()) {
		return counter.WGBadInner
	}
	dst := o.Dst.Netip()
	if o.Src.IsLinkLocal() || o.Dst.IsLinkLocal() {
		// BGP alone: a kernel would believe a neighbour's router advertisements.
		if o.Proto != wire.ProtoTCP || !g.snap.linked(peer, o.Src.Netip(), dst) {
			return counter.OuterLinkLocal
		}
		return g.host(p, id)
	}
	if g.snap.isLocal(dst) {
		return g.host(p, id)
	}
	route, r := g.snap.transit(peer, o.Src.Netip(), dst, 0, false)
	if r != counter.None {
		return r
	}
	flow := uint32(o.Src.Lo) * 2654435769
	return g.forward(route, flow, b, at, d, p, id)
}

func (g *UnderlayIn) host(p []byte, id uint32) counter.Reason {
	if g.env.Host == nil {
		return counter.HostNoHandler
	}
	if !g.env.Host.Deliver(p) {
		return counter.HostPuntFull
	}
	if g.watched {
		g.see(trace.HostIn, id, 0, p, counter.None)
	}
	return counter.None
}

// forward is the spine: one hop less to live, and sealed again where it lies.
func (g *UnderlayIn) forward(route *Route, flow uint32, b *underlay.Bundle, at int, d, p []byte, id uint32) counter.Reason {
	if !wire.DecTTL(p) {
		return counter.OuterTTLExceeded
	}
	// The low bits of a VXLAN source port are all the entropy there is: spread
	// them over the word that pick and the source port are chosen from.
	flow *= 2654435769
	next := route.pick(flow, g.now)
	if next.WireGuard == nil {
		return counter.OuterNoRoute // a plain carrier has no outer header to carry
	}
	if g.watched {
		g.see(trace.OuterRoute, id, 0, p, counter.None)
	}
	r := &g.run
	path := g.tun.path(next, flow)
	joins := r.n > 0 && r.peer == next && r.path == path && r.end == at && r.last == r.slot && len(d) <= r.slot
	if !joins {
		g.endRun()
		*r = transitRun{peer: next, path: path, buf: b.Buf[at:at], slot: len(d), ids: r.ids[:0]}
	}
	if g.watched {
		r.ids = append(r.ids, id)
	}
	r.buf = r.buf[:len(r.buf)+len(d)]
	r.end = at + len(d)
	r.last = len(d)
	r.n++
	r.bytes += len(p)
	return counter.None
}

// endRun seals and queues the transit datagrams collected so far.
func (g *UnderlayIn) endRun() {
	r := &g.run
	if r.n == 0 {
		return
	}
	r.peer.Counts.Transit.Add(uint64(r.n))
	g.tun.send(r.peer, r.path, r.buf, r.slot, r.n, r.bytes, r.ids)
	r.n = 0
}

// plainBundle takes the datagrams of one plain VTEP: VXLAN without WireGuard.
func (g *UnderlayIn) plainBundle(b *underlay.Bundle) {
	src := b.Src.Addr()
	peer := g.snap.plain[src]
	for at := 0; at < len(b.Buf); at += b.SegSize {
		d := b.Buf[at:min(at+b.SegSize, len(b.Buf))]
		id := uint32(0)
		if g.watched {
			id = g.enter(b, d)
		}
		r := counter.UnprotectedRefused
		if peer != nil {
			v := vxlan.Packet{Src: src, Dst: g.snap.PlainLocal, SrcPort: b.Src.Port()}
			v.VNI, v.Frame, r = vxlan.DecapPayload(d)
			if r == counter.None {
				g.tally.add(peer, len(d))
				r = g.decap(peer, &v, id)
			}
		}
		if r != counter.None {
			g.drop(r, trace.VXLANDecap, id, 0, d)
		}
	}
}

// decap is leaf out up to the tenant frame: VNI and VTEP are checked, MACsec
// validates, and the frame joins the vector.
func (g *UnderlayIn) decap(peer *Peer, v *vxlan.Packet, id uint32) counter.Reason {
	f := &g.flow
	if f.adj == nil || f.peer != peer || f.src != v.Src || f.vni != v.VNI {
		*f = outerFlow{peer: peer, src: v.Src, dst: v.Dst, vni: v.VNI}
		f.dom, f.adj, f.reason = g.snap.arrival(peer, v.Src, v.VNI)
	}
	if f.reason != counter.None {
		return f.reason
	}
	if g.watched {
		g.see(trace.VXLANDecap, id, v.VNI, v.Frame, counter.None)
	}
	frame, origin, r := g.validate(f.dom, f.adj, v.Frame)
	if r != counter.None {
		g.drop(r, trace.MACsecValidate, id, v.VNI, v.Frame)
		return counter.None // counted here, where the VNI is known
	}
	if g.watched {
		g.see(trace.MACsecValidate, id, v.VNI, frame, counter.None)
	}
	if g.vec.Full() {
		g.deliver()
	}
	fr := g.vec.Add(frame)
	fr.VNI = uint32(v.VNI)
	fr.VTEP = uint32(origin)
	fr.TraceID = id
	return counter.None
}

// validate returns the tenant frame inside frame, and whose it is: the VTEP of the
// channel whose SA authenticated it, which the bridge compares with where EVPN has
// its source MAC. A protected VNI takes only what its SecY validates, and only in
// the name of that VTEP; an unprotected VNI takes no MACsec, and believes the outer
// source.
//
// Hot path: no allocation.
func (g *UnderlayIn) validate(dom *Domain, adj *Adjacency, frame []byte) (tenant []byte, origin table.VTEPID, r counter.Reason) {
	if dom.SecY == nil {
		if wire.Ethernet(frame).Type() == macsec.EtherType {
			return nil, 0, counter.MACsecUnexpected
		}
		return frame, adj.ID, counter.None
	}
	tenant, sc, r := dom.SecY.Validate(&g.mac, frame)
	if r != counter.None {
		return nil, 0, r
	}
	if origin = sc.VTEP(); origin != adj.ID {
		sc.CountForeign()
		return nil, 0, counter.MACsecForeignSCI
	}
	return tenant, origin, counter.None
}

// deliver carries the tenant frames of the vector to ports: runs of one flow are
// merged, and what was merged is one decision of the bridge.
func (g *UnderlayIn) deliver() {
	if g.vec.N == 0 {
		return
	}
	frames := g.merging[:0]
	for i := range g.vec.Used() {
		frames = append(frames, &g.vec.Frames[i])
	}
	for _, f := range g.merge.Merge(frames) {
		if r := g.bridgeOut(f); r != counter.None {
			g.drops.Drop(r, uint64(segments(f)))
			if g.watched {
				g.see(trace.Bridge, f.TraceID, table.VNI(f.VNI), f.Head, r)
			}
		}
	}
	g.tx.send()
	g.out.flush(g.snap) // the frames' memory is the vector's until here
	g.vec.Reset()
}

// bridgeOut hands a tenant frame from a VTEP to its local circuits, or to the
// router. What is bridged never leaves by the tunnel again; what is routed may,
// with one hop less to live: a host may have moved on.
func (g *UnderlayIn) bridgeOut(f *pkt.Frame) counter.Reason {
	dom, ok := g.snap.domains.lookup(table.VNI(f.VNI))
	if !ok {
		return counter.BDUnknown
	}
	if dom.IRB != nil && dom.IRB.Interface == nil {
		return g.irb.fromLeaf(dom, f)
	}
	if dom.ClampMSS {
		l2.ClampMSS(f, dom.TenantMTU)
	}
	v := g.bridge.FromVTEP(dom.BD, f)
	if g.watched && v.Kind != l2.Drop {
		g.see(trace.Bridge, f.TraceID, table.VNI(f.VNI), f.Head, counter.None)
	}
	switch v.Kind {
	case l2.Unicast:
		out := entry(g.snap.acs, v.Dest.ID)
		if v.Dest.Kind != l2.DestLocal || out == nil {
			return counter.SplitHorizon
		}
		g.out.push(out, f)
		return counter.None
	case l2.ToGateway:
		if dom.forProxy(f) {
			return counter.NoDestination // it asks hosts of this leaf only
		}
		return g.irb.toGateway(dom, f)
	case l2.Flood:
		// Only what nobody else answers: a remote host's own leaf has learned
		// from what it says.
		if dom.routed() && dom.IRB.Interface.Inspect(f) == l3.Mine {
			return g.irb.punt(dom, l3.ForGateway, counter.GatewayBusy, f)
		}
		var held l2.Held
		g.locals, held = dom.BD.AppendFlood(g.locals[:0], nil, table.VTEPID(f.VTEP))
		held.Count(g.drops, segments(f))
		if len(g.locals) == 0 && held == (l2.Held{}) {
			return counter.NoDestination
		}
		for _, out := range g.locals {
			g.out.pushCopy(g.snap, entry(g.snap.acs, uint32(out.ID)), f)
		}
		return counter.None
	}
	return v.Reason
}

// drop counts d under r and tells who watches.
func (g *UnderlayIn) drop(r counter.Reason, s trace.Stage, id uint32, vni table.VNI, d []byte) {
	g.drops.Drop(r, 1)
	if g.watched {
		g.see(s, id, vni, d, r)
	}
}

func (g *UnderlayIn) enter(b *underlay.Bundle, d []byte) uint32 {
	return g.env.Tap.Enter(&trace.Record{
		Stage: trace.UnderlayRx, Worker: g.name, Nanos: g.now,
		Peer: b.Src, Len: len(d), Segs: 1, Data: d,
	})
}

func (g *UnderlayIn) see(s trace.Stage, id uint32, vni table.VNI, d []byte, r counter.Reason) {
	g.env.Tap.See(&trace.Record{
		ID: id, Stage: s, Worker: g.name, Nanos: g.now, Reason: r,
		VNI: uint32(vni), Len: len(d), Segs: 1, Data: d,
	})
}

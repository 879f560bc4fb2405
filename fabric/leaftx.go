package fabric

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
)

// leafTx is one worker's way to remote VTEPs for tenant frames: what is added is
// protected with one reservation of packet numbers for each run of frames of one
// VNI, put into VXLAN and given to the tunnel. Worker only.
type leafTx struct {
	env   *Env
	name  string
	drops *counter.Block
	tun   *tunnelTx

	split  gso.Splitter
	mac    macsec.Tx
	remote []remote // added since the last send
	sorted []remote // scratch of byPath
	flood  []byte   // frames protected once for many VTEPs
	pieces [][]byte // of flood: the frames
	whole  []byte   // a super-frame's copy: while local ports still need it, or put together

	now     int64
	watched bool
	snap    *Snapshot
}

// remote is a frame that leaves for one remote VTEP, or for all of its VNI.
type remote struct {
	frame *pkt.Frame
	dom   *Domain
	adj   *Adjacency // nil: to all
	segs  int
	path  uint8 // of its flow
	local bool  // local ports hold the frame too, until the flush
}

// macsecRoom is more than MACsec adds to a frame: SecTAG 16, ICV 16, and 14 in
// hidden mode.
const macsecRoom = 64

// floodRoom holds the largest frame protected, or a super-frame's segments.
const floodRoom = port.MaxRecvFrame + gso.MaxSegments*macsecRoom

func newLeafTx(env *Env, name string, drops *counter.Block, tun *tunnelTx, frames int) *leafTx {
	return &leafTx{
		env: env, name: name, drops: drops, tun: tun,
		remote: make([]remote, 0, frames),
		sorted: make([]remote, 0, frames),
		flood:  make([]byte, floodRoom),
		pieces: make([][]byte, 0, gso.MaxSegments),
		whole:  make([]byte, 0, port.MaxRecvFrame),
	}
}

// begin starts a burst.
func (g *leafTx) begin(snap *Snapshot, now int64, watched bool) {
	g.snap, g.now, g.watched = snap, now, watched
	g.remote = g.remote[:0]
}

// add notes that f leaves for adj, nil for all VTEPs of dom. f, and its memory,
// are send's until it returns; local says that local ports hold f too.
//
// Hot path: no allocation once the longest burst was seen.
func (g *leafTx) add(dom *Domain, adj *Adjacency, f *pkt.Frame, local bool) {
	g.remote = append(g.remote, remote{
		frame: f, dom: dom, adj: adj, segs: segments(f), local: local,
		path: uint8(pathOf(f.Hash, g.tun.paths[0])),
	})
}

// send protects and sends what was added since the last call, run by run of one
// VNI.
func (g *leafTx) send() {
	for i := 0; i < len(g.remote); {
		dom, n, segs := g.remote[i].dom, 0, 0
		for ; i+n < len(g.remote) && g.remote[i+n].dom == dom; n++ {
			segs += g.remote[i+n].segs
		}
		run := g.remote[i : i+n]
		i += n
		g.byPath(run)
		if dom.SecY != nil {
			if r := dom.SecY.BeginTx(&g.mac, segs); r != counter.None {
				for k := range run {
					g.drop(r, trace.MACsecProtect, run[k].frame, run[k].segs)
				}
				continue
			}
		}
		for k := range run {
			g.sendOne(&run[k])
		}
	}
	g.remote = g.remote[:0]
}

// sortedPaths is how many source ports byPath tells apart; there are 17 at most.
const sortedPaths = 32

// byPath puts what leaves by one source port side by side, so that frames of many
// flows make a few long groups: sealed together, sent by one call, and received so.
// Frames of one flow stay in order. It is a counting sort, stable, and does nothing
// where the frames are in such an order already.
//
// Hot path: no allocation once the longest burst was seen.
func (g *leafTx) byPath(run []remote) {
	var at [sortedPaths]uint16
	rising := true
	for i := range run {
		p := run[i].path % sortedPaths
		at[p]++
		rising = rising && (i == 0 || run[i-1].path <= run[i].path)
	}
	if rising {
		return
	}
	sum := uint16(0)
	for p, n := range at {
		at[p] = sum
		sum += n
	}
	g.sorted = append(g.sorted[:0], run...)
	for i := range g.sorted {
		p := g.sorted[i].path % sortedPaths
		run[at[p]] = g.sorted[i]
		at[p]++
	}
}

// sendOne cuts one frame and sends the pieces to its VTEP, or to all.
func (g *leafTx) sendOne(m *remote) {
	f := m.frame
	if len(f.Frags) > 0 {
		// Merged on its way in, and routed to another VTEP: put together, to
		// be cut again.
		g.whole = append(g.whole[:0], f.Head...)
		for _, b := range f.Frags {
			g.whole = append(g.whole, b...)
		}
		f.Head, f.Frags = g.whole, nil
	}
	if m.local && (f.Offload.GSOType != pkt.GSONone || f.Offload.NeedsCsum) {
		// Cutting and completing change the bytes that local ports wait to
		// send.
		g.whole = append(g.whole[:0], f.Head...)
		f.Head = g.whole
	}
	g.tun.trace = f.TraceID
	n, r := g.split.Init(f)
	if r != counter.None {
		g.drop(r, trace.MACsecProtect, f, m.segs)
		return
	}
	if m.adj == nil {
		g.sendAll(m.dom, f, n)
		return
	}
	for range n {
		if r := g.sendTo(m.dom, m.adj, f, g.split.Next()); r != counter.None {
			g.drop(r, trace.MACsecProtect, f, 1)
		}
	}
}

// sendTo protects seg straight into the send buffer, for one VTEP.
func (g *leafTx) sendTo(dom *Domain, adj *Adjacency, f *pkt.Frame, seg []byte) counter.Reason {
	n := len(seg)
	if dom.SecY != nil {
		n = dom.SecY.ProtectedLen(n)
	}
	slot, inner := g.adjacent(adj, f.Hash, n)
	if slot == nil {
		return counter.None // counted
	}
	if dom.SecY == nil {
		copy(inner, seg)
	} else if _, r := g.mac.Protect(inner, seg); r != counter.None {
		g.tun.takeBack(len(slot))
		return r
	}
	g.encap(dom, adj, f, slot, inner)
	return counter.None
}

// sendAll protects each of the n segments of f that the splitter has in hand once
// and sends the result to every VTEP of the VNI: ingress replication. A VTEP gets
// all that are ready before the next one gets any, so that what goes to one peer
// lies back to back and leaves by one call.
func (g *leafTx) sendAll(dom *Domain, f *pkt.Frame, n int) {
	used := 0
	for range n {
		seg := g.split.Next()
		if used+len(seg)+macsecRoom > len(g.flood) {
			g.replicate(dom, f)
			used = 0
		}
		at := g.flood[used:]
		size, r := len(seg), counter.None
		if dom.SecY == nil {
			copy(at, seg)
		} else if size, r = g.mac.Protect(at, seg); r != counter.None {
			g.drop(r, trace.MACsecProtect, f, 1)
			continue
		}
		g.pieces = append(g.pieces, at[:size])
		used += size
	}
	g.replicate(dom, f)
}

// replicate sends the pieces of f in hand to every VTEP.
func (g *leafTx) replicate(dom *Domain, f *pkt.Frame) {
	for _, id := range dom.BD.VTEPs {
		adj := entry(g.snap.adjs, uint32(id))
		if adj == nil {
			continue
		}
		for _, p := range g.pieces {
			if slot, inner := g.adjacent(adj, f.Hash, len(p)); slot != nil {
				copy(inner, p)
				g.encap(dom, adj, f, slot, inner)
			}
		}
	}
	g.pieces = g.pieces[:0]
}

// adjacent reserves a datagram for an inner frame of n bytes to adj and returns
// it whole and the frame's place in it.
func (g *leafTx) adjacent(adj *Adjacency, flow uint32, n int) (slot, inner []byte) {
	head := vxlan.HeaderLen
	if !adj.Plain {
		head = adj.Encap.Len()
	}
	slot = g.tun.slot(adj.Route.pick(flow, g.now), flow, head+n)
	if slot == nil {
		return nil, nil
	}
	return slot, slot[head:]
}

// encap writes the outer headers in front of the finished inner frame.
func (g *leafTx) encap(dom *Domain, adj *Adjacency, f *pkt.Frame, slot, inner []byte) {
	if g.watched {
		g.seeBytes(trace.MACsecProtect, f, inner)
	}
	if adj.Plain {
		vxlan.Header(slot).Put(dom.BD.VNI)
		return
	}
	adj.Encap.Encap(slot, f.Hash, 0)
	if g.watched {
		g.seeBytes(trace.VXLANEncap, f, slot)
	}
}

// drop counts n of the frames that f stands for under r.
func (g *leafTx) drop(r counter.Reason, s trace.Stage, f *pkt.Frame, n int) {
	g.drops.Drop(r, uint64(n))
	if g.watched {
		g.env.Tap.See(g.record(s, f, r, f.Head))
	}
}

func (g *leafTx) seeBytes(s trace.Stage, f *pkt.Frame, b []byte) {
	r := g.record(s, f, counter.None, b)
	r.Len, r.Segs = len(b), 1
	g.env.Tap.See(r)
}

func (g *leafTx) record(s trace.Stage, f *pkt.Frame, r counter.Reason, b []byte) *trace.Record {
	return &trace.Record{
		ID: f.TraceID, Stage: s, Worker: g.name, Nanos: g.now, Reason: r,
		VNI: f.VNI, Port: f.InPort, Len: f.Len, Segs: segments(f), Data: b,
	}
}

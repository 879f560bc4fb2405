package fabric

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
)

// portFrames is how many frames or super-frames a LeafIn takes at a time.
const portFrames = 32

// LeafIn is the graph of one receive queue of a tenant port.
//
// A burst is walked twice. The first walk decides for each frame and hands it to
// local ports; the second, leafTx, protects what leaves for remote VTEPs, with one
// reservation of packet numbers for each run of frames of one VNI. A super-frame
// stays whole until the second walk, which cuts it in its own memory, straight
// into the send buffer. What goes to the gateway's MAC is routed between the two.
type LeafIn struct {
	env   *Env
	name  string
	drops *counter.Block
	port  table.PortID
	rx    port.Rx

	vec    *pkt.Vector
	reader *table.Reader[Snapshot]
	bridge *l2.Bridge
	out    *portTx
	tun    *tunnelTx
	tx     *leafTx
	irb    *irbRoute
	locals []*l2.AC // of the flooded frame in hand

	answers    *pkt.Vector // ICMP to senders of oversized frames, ARP and ND to hosts
	answerBufs []byte
	inlined    []byte // frames whose own tags were put back; nil until needed

	now     int64
	watched bool
	snap    *Snapshot
	told    bool // control has something to learn of ARP and ND
}

// NewLeafIn returns the graph of queue rx of port id. wg and plain are this
// worker's senders.
func NewLeafIn(env *Env, name string, drops *counter.Block, id table.PortID, rx port.Rx, wg, plain underlay.Sender) *LeafIn {
	g := &LeafIn{
		env: env, name: name, drops: drops, port: id, rx: rx,
		vec:    pkt.NewVector(portFrames),
		reader: env.Tables.NewReader(),
		bridge: l2.NewBridge(env.Learn),
		out:    newPortTx(env, name, drops),
		tun:    newTunnelTx(env, name, drops, wg, plain),

		answers:    pkt.NewVector(portFrames),
		answerBufs: make([]byte, portFrames*l2.MaxTooBig),
	}
	g.tx = newLeafTx(env, name, drops, g.tun, portFrames)
	g.irb = newIRBRoute(env, name, drops, g.out, g.tx)
	return g
}

// inlineRoom holds the largest frame with its tags back in its bytes.
const inlineRoom = port.MaxRecvFrame + pkt.MaxTags*wire.TagLen

// Close gives the reader and the transmit sides back. Call it when the worker has
// ended.
func (g *LeafIn) Close() {
	g.reader.Close()
	g.out.close()
}

// Step implements worker.Graph.
func (g *LeafIn) Step() error {
	if err := g.rx.Recv(g.vec); err != nil {
		return err
	}
	g.now = g.env.Clock()
	g.watched = g.env.Tap.Active()
	g.tun.now, g.tun.watched = g.now, g.watched
	g.snap = g.reader.Enter()
	defer g.reader.Leave()
	g.out.now, g.out.watched = g.now, g.watched
	g.tx.begin(g.snap, g.now, g.watched)
	g.irb.begin(g.snap, g.now, g.watched)
	g.answers.Reset()
	g.told = false

	p := entry(g.snap.ports, uint32(g.port))
	if p == nil {
		g.drops.Drop(counter.PortDown, uint64(g.vec.N)) // removed by this snapshot
		return nil
	}
	g.bridge.Begin(g.now)
	frames, bytes := 0, 0
	for i := range g.vec.Used() {
		f := &g.vec.Frames[i]
		f.InPort = uint32(g.port)
		if g.watched {
			g.enter(f)
		}
		r := g.decide(p, i)
		n := segments(f)
		if r != counter.None {
			at := trace.Bridge
			if f.VNI == 0 {
				at = trace.Access // no circuit takes it
			}
			g.drop(r, at, f, n)
		}
		frames += n
		bytes += f.Len
	}
	g.drops.Take(uint64(frames))
	p.Counts.RxFrames.Add(uint64(frames))
	p.Counts.RxBytes.Add(uint64(bytes))
	g.tx.send()
	g.tun.flush()
	g.tx.mac.FlushCounters()
	g.out.flush(g.snap)
	g.irb.end()
	if g.bridge.End() || g.told {
		g.env.Wake()
	}
	return nil
}

// decide finds where f goes: local ports get it now, remote VTEPs later. A
// reason other than None says that it goes nowhere.
func (g *LeafIn) decide(p *Port, i int) counter.Reason {
	f := &g.vec.Frames[i]
	id, r := p.Access.Classify(f)
	if r != counter.None {
		return r
	}
	ac := entry(g.snap.acs, uint32(id))
	if ac == nil {
		return counter.VLANNotAllowed
	}
	dom := ac.Domain
	f.InAC = uint32(id)
	f.VNI = uint32(dom.BD.VNI)
	if f.NumTags > 0 && !g.inline(i) {
		return counter.FrameTooLong // the tenant's own tags do not fit any more
	}
	if r := wire.Parse(f); r != counter.None {
		return r
	}
	if g.watched {
		g.see(trace.Access, f, counter.None)
	}
	if dom.ClampMSS {
		l2.ClampMSS(f, dom.TenantMTU)
	}
	v := g.bridge.FromLocal(dom.BD, ac.AC, f)
	if g.watched && v.Kind != l2.Drop {
		g.see(trace.Bridge, f, counter.None)
	}
	if dom.Proxy != nil && v.Kind != l2.Drop {
		if done, r := g.proxied(ac, f, v); done {
			return r
		}
	}
	switch v.Kind {
	case l2.Unicast:
		if v.Dest.Kind == l2.DestLocal {
			out := entry(g.snap.acs, v.Dest.ID)
			if out == nil {
				return counter.NoDestination
			}
			g.out.push(out, f)
			return counter.None
		}
		adj := entry(g.snap.adjs, v.Dest.ID)
		if adj == nil || adj.Domain != dom {
			return counter.NoDestination
		}
		return g.addRemote(ac, adj, f, false)
	case l2.Flood:
		return g.floodFrame(ac, f)
	case l2.ToGateway:
		return g.irb.toGateway(dom, f)
	}
	return v.Reason
}

// floodFrame hands f to the local circuits of its flood list and notes it for
// the remote VTEPs.
func (g *LeafIn) floodFrame(ac *AC, f *pkt.Frame) counter.Reason {
	dom := ac.Domain
	taken := l3.None
	if dom.routed() {
		if taken = dom.IRB.Interface.Inspect(f); taken == l3.Mine {
			g.bridge.Unflood(dom.BD, ac.AC, f)
			return g.irb.punt(dom, l3.ForGateway, counter.GatewayBusy, f)
		}
		if taken == l3.Relayed {
			g.bridge.Unflood(dom.BD, ac.AC, f)
			return g.irb.toServers(dom, f)
		}
		if taken == l3.Copy {
			g.irb.punt(dom, l3.NeighbourWords, counter.GatewayBusy, f)
		}
	}
	var held l2.Held
	g.locals, held = dom.BD.AppendFlood(g.locals[:0], ac.AC, 0)
	held.Count(g.drops, segments(f))
	for _, out := range g.locals {
		g.out.pushCopy(g.snap, entry(g.snap.acs, uint32(out.ID)), f)
	}
	if len(dom.BD.VTEPs) == 0 {
		if len(g.locals) == 0 && taken == l3.None {
			return counter.NoDestination
		}
		return counter.None
	}
	return g.addRemote(ac, nil, f, len(g.locals) > 0)
}

// addRemote notes that f leaves for adj, nil for all VTEPs of its VNI. An
// oversized frame does not: its sender is told.
func (g *LeafIn) addRemote(ac *AC, adj *Adjacency, f *pkt.Frame, local bool) counter.Reason {
	dom := ac.Domain
	if l2.Oversize(f, dom.TenantMTU) {
		return g.oversize(ac, f)
	}
	g.tx.add(dom, adj, f, local)
	return counter.None
}

// oversize answers f's sender by the circuit that f came in by.
func (g *LeafIn) oversize(ac *AC, f *pkt.Frame) counter.Reason {
	if g.answers.Full() {
		return counter.OversizedNoICMP
	}
	buf := g.answerBufs[g.answers.N*l2.MaxTooBig:][:l2.MaxTooBig]
	n, r := ac.Domain.TooBig.Answer(buf, f, ac.Domain.TenantMTU, g.now)
	if n > 0 {
		a := g.answers.Add(buf[:n])
		a.VNI = f.VNI
		g.out.push(ac, a)
	}
	return r
}

// inline puts the tags that the device took off frame i, and that no circuit
// matched, back into its bytes. The room is made when the first such frame comes.
func (g *LeafIn) inline(i int) bool {
	if g.inlined == nil {
		g.inlined = make([]byte, portFrames*inlineRoom)
	}
	return l2.InlineTags(g.inlined[i*inlineRoom:][:inlineRoom], &g.vec.Frames[i]) > 0
}

// drop counts n of the frames that f stands for under r.
func (g *LeafIn) drop(r counter.Reason, s trace.Stage, f *pkt.Frame, n int) {
	g.drops.Drop(r, uint64(n))
	if g.watched {
		g.see(s, f, r)
	}
}

func (g *LeafIn) enter(f *pkt.Frame) {
	f.TraceID = g.env.Tap.Enter(g.record(trace.PortRx, f, counter.None, f.Head))
}

func (g *LeafIn) see(s trace.Stage, f *pkt.Frame, r counter.Reason) {
	g.env.Tap.See(g.record(s, f, r, f.Head))
}

func (g *LeafIn) record(s trace.Stage, f *pkt.Frame, r counter.Reason, b []byte) *trace.Record {
	return &trace.Record{
		ID: f.TraceID, Stage: s, Worker: g.name, Nanos: g.now, Reason: r,
		VNI: f.VNI, Port: uint32(g.port), Len: f.Len, Segs: segments(f), Data: b,
	}
}

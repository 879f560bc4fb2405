package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/l3/dhcp"
)

// gatewayBurst is how many packets a Gateway takes at a time.
const gatewayBurst = 32

// Packets that wait for a neighbour: for how long, how many in all, and how many
// for one address.
const (
	holdNs      = 3e9
	held        = 64
	heldForEach = 3
)

// Gateway is the graph of the slow path: it answers ARP, ND and echo requests for
// the gateways of all bridge domains, sends their ICMP errors and what control
// wants asked, tells control what hosts say of themselves, and holds packets until
// their next hop is resolved. One for a node.
type Gateway struct {
	env   *Env
	name  string
	drops *counter.Block

	reader *table.Reader[Snapshot]
	out    *portTx
	tun    *tunnelTx
	tx     *leafTx
	irb    *irbRoute
	vec    *pkt.Vector // packets in hand, then answers
	bufs   [][]byte    // of answers
	used   int
	hold   []holding

	now     int64
	watched bool
	snap    *Snapshot
	told    bool // control has something to learn
}

// holding is a packet that waits for a neighbour.
type holding struct {
	punt
	next  netip.Addr
	until int64 // ns; 0: free
}

// NewGateway returns the graph of env.Punts, which must not be nil. wg and plain
// are this worker's senders.
func NewGateway(env *Env, name string, drops *counter.Block, wg, plain underlay.Sender) *Gateway {
	g := &Gateway{
		env: env, name: name, drops: drops,
		reader: env.Tables.NewReader(),
		out:    newPortTx(env, name, drops),
		tun:    newTunnelTx(env, name, drops, wg, plain),
		// A packet and its answer, and the same for each that is held.
		// A DHCP message goes to several servers.
		vec:  pkt.NewVector((1+dhcp.MaxServers)*gatewayBurst + 2*held),
		bufs: make([][]byte, gatewayBurst+held),
	}
	g.tx = newLeafTx(env, name, drops, g.tun, gatewayBurst)
	g.irb = newIRBRoute(env, name, drops, g.out, g.tx)
	return g
}

// Close gives the reader and the transmit sides back. Call it when the worker has
// ended.
func (g *Gateway) Close() {
	g.reader.Close()
	g.out.close()
}

// Step implements worker.Graph.
func (g *Gateway) Step() error {
	p := g.env.Punts
	heard := p.wait(port.IdleTimeout)
	if p.ended.Load() {
		return port.ErrClosed
	}
	if !heard && len(g.hold) == 0 {
		return port.ErrTimeout
	}
	g.begin()
	defer g.reader.Leave()
	n := 0
	for n < gatewayBurst {
		c := p.peek(n)
		if c == nil {
			break
		}
		n++
		g.drops.Take(1)
		f := g.frame(c)
		if r := g.work(c, f); r != counter.None {
			g.drop(r, f)
		}
	}
	g.retry()
	g.tx.send()
	g.tun.flush()
	g.tx.mac.FlushCounters()
	g.out.flush(g.snap)
	g.irb.end()
	p.release(n)
	if g.told {
		g.env.Wake()
	}
	return nil
}

func (g *Gateway) begin() {
	g.now = g.env.Clock()
	g.watched = g.env.Tap.Active()
	g.snap = g.reader.Enter()
	g.tun.now, g.tun.watched = g.now, g.watched
	g.out.now, g.out.watched = g.now, g.watched
	g.tx.begin(g.snap, g.now, g.watched)
	g.irb.begin(g.snap, g.now, g.watched)
	g.vec.Reset()
	g.used, g.told = 0, false
}

// frame returns c's packet, parsed.
func (g *Gateway) frame(c *punt) *pkt.Frame {
	f := g.vec.Add(c.bytes)
	f.Len = c.length
	f.Offload = c.offload
	f.VNI, f.InAC, f.VTEP = uint32(c.vni), c.ac, c.vtep
	wire.Parse(f)
	return f
}

// work does what c asks. f is its packet.
func (g *Gateway) work(c *punt, f *pkt.Frame) counter.Reason {
	dom, ok := g.snap.Domain(c.vni)
	switch {
	case !ok:
		return counter.RouteGone
	case c.cause == 0 && !c.own: // of a gateway or a proxy
		return g.irb.place(dom, f)
	case dom.IRB == nil:
		return counter.RouteGone
	case c.own:
		return g.sendOwn(dom, c.bytes)
	}
	switch c.cause {
	case l3.NeighbourWords:
		g.forGateway(dom, f)
		return counter.None // the frame itself went on
	case l3.ForGateway:
		return g.forGateway(dom, f)
	case l3.Unresolved:
		return g.resolve(dom, c, f)
	case l3.ForServers:
		return g.fromClient(dom, dom.IRB.Relay, f)
	case l3.ForSpeaker:
		return g.toSpeaker(dom, f)
	}
	return g.fault(dom, c.cause, c.mtu, f)
}

// forGateway answers f, and learns from it when it is ARP or ND.
func (g *Gateway) forGateway(dom *Domain, f *pkt.Frame) counter.Reason {
	in := dom.IRB.Interface
	word := l3.IsNeighbourWord(f)
	if dst := destination(f); dom.IRB.VRF.Owns(dst) {
		return g.forLeaf(dom, f)
	} else if l3.IsDHCP(f) && in != nil && in.Owns(wire.AddrFrom(dst)) && dom.IRB.Relay.takes(f) {
		return g.renewal(dom, f)
	}
	if in == nil {
		// By the L3VNI, for the gateway of a bridge domain that the sender does
		// not have.
		if in = g.owner(dom, f); in == nil || word {
			return counter.HostNoHandler
		}
	}
	if word {
		g.learn(in, f)
	}
	buf := g.buffer(len(f.Head))
	if n := in.Answer(buf, f); n > 0 {
		return g.reply(dom, f, buf[:n])
	}
	if word {
		return counter.None // taken note of
	}
	g.fault(dom, l3.ForGateway, 0, f)
	return counter.HostNoHandler
}

// owner returns the gateway whose address f is for.
func (g *Gateway) owner(dom *Domain, f *pkt.Frame) *l3.Interface {
	dst := destination(f)
	to, ok := dom.IRB.VRF.FIB.Load().Lookup(dst)
	if !ok || to.Kind != l3.Local {
		return nil
	}
	// A leaked one is another VRF's; the router has held f against the contract.
	if d, ok := g.snap.Domain(to.VNI); ok && d.routed() && (d.IRB.VRF.ID == dom.IRB.VRF.ID || to.Leak != nil) {
		return d.IRB.Interface
	}
	return nil
}

// destination and source return the addresses of the packet in f; the zero Addr
// when it holds none.
func destination(f *pkt.Frame) netip.Addr { return address(f, 16, 24) }
func source(f *pkt.Frame) netip.Addr      { return address(f, 12, 8) }

func address(f *pkt.Frame, at4, at6 int) netip.Addr {
	switch {
	case f.L3Off == 0:
	case f.EtherType == wire.TypeIPv4:
		return netip.AddrFrom4([4]byte(f.Head[int(f.L3Off)+at4:]))
	case f.EtherType == wire.TypeIPv6:
		return netip.AddrFrom16([16]byte(f.Head[int(f.L3Off)+at6:]))
	}
	return netip.Addr{}
}

// learn tells control what f says of its sender.
func (g *Gateway) learn(in *l3.Interface, f *pkt.Frame) {
	addr, mac, ok, clash := in.Sender(f)
	switch {
	case ok:
		g.tell(l3.Event{Kind: l3.Seen, VNI: in.VNI, Addr: addr, MAC: mac})
	case clash:
		g.tell(l3.Event{Kind: l3.Clash, VNI: in.VNI, MAC: mac})
	}
}

func (g *Gateway) tell(e l3.Event) {
	if g.env.Neighbours.Push(e) {
		g.told = true
	}
}

// resolve lets control ask for f's next hop and holds f until it is known.
func (g *Gateway) resolve(dom *Domain, c *punt, f *pkt.Frame) counter.Reason {
	d := g.irb.router.Route(dom.IRB.VRF, dom.IRB.Interface, f)
	if d.Action != l3.Punt || d.Cause != l3.Unresolved {
		return g.irb.forward(dom, d, f, true) // resolved meanwhile
	}
	if c.length > len(c.bytes) {
		g.tell(l3.Event{Kind: l3.Wanted, VNI: d.VNI, Addr: d.Next})
		return d.Reason // cut: it can't be sent later
	}
	h := g.await(d, c.vni)
	if h == nil {
		return d.Reason
	}
	h.own, h.ac, h.vtep, h.offload, h.length = false, c.ac, c.vtep, c.offload, c.length
	h.bytes = h.buf[:copy(h.buf[:], c.bytes)]
	return counter.None
}

// await lets control ask for the next hop of d, and returns a place for a packet of
// vni to wait until it is known, nil when there is none.
func (g *Gateway) await(d l3.Decision, vni table.VNI) *holding {
	g.tell(l3.Event{Kind: l3.Wanted, VNI: d.VNI, Addr: d.Next})
	free, same := -1, 0
	for i := range g.hold {
		switch h := &g.hold[i]; {
		case h.until == 0:
			free = i
		case h.next == d.Next && h.vni == vni:
			same++
		}
	}
	if same >= heldForEach || free < 0 && len(g.hold) == held {
		return nil
	}
	if free < 0 {
		if g.hold == nil {
			g.hold = make([]holding, 0, held)
		}
		g.hold = g.hold[:len(g.hold)+1]
		free = len(g.hold) - 1
	}
	h := &g.hold[free]
	h.vni, h.next, h.until = vni, d.Next, g.now+holdNs
	return h
}

// retry sends the packets that are held and whose next hop is known by now, and
// gives up those that have waited long enough.
func (g *Gateway) retry() {
	last := 0
	for i := range g.hold {
		h := &g.hold[i]
		if h.until == 0 {
			continue
		}
		last = i + 1
		if h.until == g.now+holdNs {
			continue // of this burst
		}
		f := g.frame(&h.punt)
		r := counter.RouteGone
		if dom, ok := g.snap.Domain(h.vni); ok && dom.IRB != nil {
			d := g.decide(dom, h, f)
			if d.Action == l3.Punt && d.Cause == l3.Unresolved {
				if g.now < h.until {
					continue
				}
				if !h.own {
					g.fault(dom, l3.Unresolved, 0, f)
				}
			}
			r = g.irb.forward(dom, d, f, !h.own)
		}
		if r != counter.None {
			g.drop(r, f)
		}
		h.until = 0 // its bytes are f's until the burst is flushed: nobody else's before the next
	}
	g.hold = g.hold[:last]
}

// decide returns where the held packet f goes.
func (g *Gateway) decide(dom *Domain, h *holding, f *pkt.Frame) l3.Decision {
	if h.own {
		return g.irb.router.Send(dom.IRB.VRF, f)
	}
	return g.irb.router.Route(dom.IRB.VRF, dom.IRB.Interface, f)
}

// reasonOf is what a packet that an error is sent for is counted under.
func reasonOf(c l3.Cause, sent bool) counter.Reason {
	switch c {
	case l3.Expired:
		return counter.RouteTTLExceeded
	case l3.NoRoute:
		return counter.RouteNone
	case l3.PacketTooBig:
		if sent {
			return counter.OversizedICMPSent
		}
		return counter.OversizedNoICMP
	}
	return counter.NeighbourUnresolved
}

// fault tells f's sender why f goes no further, and returns what f is counted
// under.
func (g *Gateway) fault(dom *Domain, c l3.Cause, mtu int, f *pkt.Frame) counter.Reason {
	buf := g.buffer(0)
	n := l3.Fault(buf, f, c, mtu, g.speaker(dom, f))
	sent := n > 0
	if sent {
		sent = g.reply(dom, f, buf[:n]) == counter.None
	}
	return reasonOf(c, sent)
}

// speaker returns the address by which the VRF speaks to f's sender: that of the
// gateway that f came by; for what came by the L3VNI, that of the bridge domain
// that f was on its way to, or any of the VRF.
func (g *Gateway) speaker(dom *Domain, f *pkt.Frame) netip.Addr {
	to := source(f)
	if dom.IRB.Interface != nil {
		return dom.IRB.Interface.Source(to)
	}
	v := dom.IRB.VRF
	if r, ok := v.FIB.Load().Lookup(destination(f)); ok {
		vni := r.VNI
		if r.Kind == l3.Forward && r.Paths[0].Host != nil {
			vni = r.Paths[0].Host.VNI
		}
		if d, ok := g.snap.Domain(vni); ok && d.routed() && d.IRB.VRF.ID == v.ID {
			if a := d.IRB.Interface.Source(to); a.IsValid() && !a.IsLinkLocalUnicast() {
				return a
			}
		}
	}
	for _, d := range g.snap.Domains {
		if d.routed() && d.IRB.VRF.ID == v.ID {
			if a := d.IRB.Interface.Source(to); a.IsValid() && !a.IsLinkLocalUnicast() {
				return a
			}
		}
	}
	return netip.Addr{}
}

// buffer returns room for an answer to a frame of n bytes, that stays until the
// burst is flushed.
func (g *Gateway) buffer(n int) []byte {
	if g.used == len(g.bufs) {
		g.bufs = append(g.bufs, nil)
	}
	b := g.bufs[g.used]
	if n = max(n, l3.MaxAnswer); len(b) < n {
		b = make([]byte, max(n, 2048))
		g.bufs[g.used] = b
	}
	g.used++
	return b
}

// reply sends b, an answer to f, the way that f came: by its circuit, to its VTEP,
// or, when it came by the L3VNI, where its destination is.
func (g *Gateway) reply(dom *Domain, f *pkt.Frame, b []byte) counter.Reason {
	a := g.vec.Add(b)
	if a == nil {
		return counter.GatewayBusy
	}
	a.VNI = f.VNI
	if r := wire.Parse(a); r != counter.None {
		return r
	}
	switch {
	case dom.IRB.Interface == nil:
		return g.irb.forward(dom, g.irb.router.Send(dom.IRB.VRF, a), a, false)
	case f.InAC != 0:
		ac := entry(g.snap.acs, f.InAC)
		if ac == nil || ac.Domain != dom {
			return counter.NoDestination
		}
		g.out.push(ac, a)
		return counter.None
	}
	adj := entry(g.snap.adjs, f.VTEP)
	if adj == nil || adj.Domain != dom || l2.Oversize(a, dom.TenantMTU) {
		return counter.NoDestination
	}
	g.tx.add(dom, adj, a, false)
	return counter.None
}

func (g *Gateway) drop(r counter.Reason, f *pkt.Frame) {
	g.drops.Drop(r, 1)
	if g.watched {
		g.env.Tap.See(&trace.Record{
			Stage: trace.Route, Worker: g.name, Nanos: g.now, Reason: r, VNI: f.VNI, Len: f.Len, Segs: 1, Data: f.Head,
		})
	}
}

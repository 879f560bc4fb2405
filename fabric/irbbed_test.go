package fabric_test

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	portmem "github.com/ztos/ztos/engine/port/mem"
	"github.com/ztos/ztos/engine/ring"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
)

// l3vni is the L3VNI of the routed bed's one VRF.
const l3vni table.VNI = 50000

// routedLeaf is the routing part of a leaf of the bed.
type routedLeaf struct {
	*node
	routes *l3.Routes
	hosts  *l3.Neighbours
	punts  *fabric.Punts
	events *ring.Ring[l3.Event]
	ifaces map[table.VNI]*l3.Interface
	irb    map[table.VNI]*fabric.IRB
}

// subnet returns the prefix of a bridge domain with the gateway's address: red is
// 10.1.0.0/24, blue 10.2.0.0/24, both with fd00:N::/64.
func subnet(vni table.VNI) []netip.Prefix {
	k := 1
	if vni == blue {
		k = 2
	}
	return []netip.Prefix{
		netip.MustParsePrefix(fmt.Sprintf("10.%d.0.254/24", k)), netip.MustParsePrefix(fmt.Sprintf("fd00:%d::fe/64", k)),
	}
}

// hostAddr is host i of vni, behind leaf i.
func hostAddr(vni table.VNI, i int) netip.Addr {
	a := subnet(vni)[0].Addr().As4()
	a[3] = byte(i)
	return netip.AddrFrom4(a)
}

func gatewayMAC(vni table.VNI) table.MAC { return l3.DefaultMAC(vni) }

// newRoutedBed is newBed with red and blue as two subnets of one VRF on every
// leaf, or, when apart, of a VRF each. Every leaf knows its own hosts; others are
// routes to their leaves.
func newRoutedBed(b *bed, o option, apart bool) map[int]*routedLeaf {
	b.t.Helper()
	if o.suite == 0 {
		o.suite = macsec.GCMAES256
	}
	out := map[int]*routedLeaf{}
	for i := 1; i <= 3; i++ {
		n := b.nodes[fmt.Sprintf("leaf%d", i)]
		punts, err := fabric.NewPunts()
		b.must(err)
		l := &routedLeaf{
			node: n, routes: l3.NewRoutes(), hosts: l3.NewNeighbours(), punts: punts, events: ring.New[l3.Event](64),
			ifaces: map[table.VNI]*l3.Interface{}, irb: map[table.VNI]*fabric.IRB{},
		}
		n.env.Punts, n.env.Neighbours = punts, l.events
		l.build(i, o, apart)
		out[i] = l
		drops := n.block()
		g := fabric.NewGateway(n.env, n.name+" gateway", drops, n.mux.NewSender(), nil)
		n.graphs = append(n.graphs, graph{g, n.name + " gateway", drops, func() int {
			if punts.Waiting() {
				return 1
			}
			return 0
		}})
	}
	spine := b.nodes["spine"]
	vrf := *spine.parts.VRFs[red]
	vrf.Members = map[netip.Addr]struct{}{vtep(1): {}, vtep(2): {}, vtep(3): {}}
	spine.parts.VRFs = map[table.VNI]*fabric.VRF{red: &vrf, blue: &vrf, l3vni: &vrf}
	spine.publish()
	return out
}

// build gives l gateways, and adds the L3VNI.
func (l *routedLeaf) build(i int, o option, apart bool) {
	n := l.node
	b := n.bed
	v := &l3.VRF{ID: 1, Name: "one", L3VNI: l3vni, RouterMAC: l3.DefaultRouterMAC(n.addr), FIB: l.routes.FIB()}
	own := map[netip.Prefix]*l3.Route{}
	for k, dom := range n.parts.Domains {
		vni := dom.BD.VNI
		in, err := l3.NewInterface(l3.Interface{VNI: vni, MAC: gatewayMAC(vni), Addresses: subnet(vni), MTU: dom.TenantMTU})
		b.must(err)
		l.ifaces[vni] = in
		vrf := v
		if apart && k == 1 {
			other := l3.NewRoutes()
			routes := map[netip.Prefix]*l3.Route{}
			l3.GatewayRoutes(routes, in)
			other.Replace(l3.OriginGateway, routes)
			b.must(other.Commit())
			vrf = &l3.VRF{ID: 2, Name: "two", FIB: other.FIB()}
		} else {
			l3.GatewayRoutes(own, in)
		}
		d := *dom
		d.IRB = fabric.NewIRB(vrf, in)
		l.irb[vni] = d.IRB
		lc := l2.DomainConfig{VNI: vni, VTEPs: dom.BD.VTEPs, Statics: []l2.Static{{MAC: in.MAC, Dest: l2.Gateway}}}
		for _, ac := range dom.BD.ACs {
			lc.Circuits = append(lc.Circuits, l2.Circuit{ID: ac.ID, Port: ac.Port})
		}
		b.must(n.learn.SetDomain(lc))
		d.BD, err = l2.NewBD(l2.BDConfig{VNI: vni, FDB: n.learn.FDB(vni), ACs: dom.BD.ACs, VTEPs: dom.BD.VTEPs, Routed: true})
		b.must(err)
		d.Adjacencies = map[netip.Addr]*fabric.Adjacency{}
		for a, adj := range dom.Adjacencies {
			c := *adj
			c.Domain = &d
			d.Adjacencies[a] = &c
		}
		for j, ac := range n.parts.ACs {
			if ac.Domain == dom {
				n.parts.ACs[j] = &fabric.AC{AC: ac.AC, Port: ac.Port, Domain: &d}
			}
		}
		n.parts.Domains[k] = &d
		l.hosts.SetLink(l3.LinkConfig{VNI: vni, Prefixes: in.Prefixes(), Statics: map[netip.Addr]table.MAC{
			hostAddr(vni, i): table.MACFrom(mac(i)),
		}}, b.now)
	}
	l.routes.Replace(l3.OriginGateway, own)

	dom := &fabric.Domain{TenantMTU: n.parts.Domains[0].TenantMTU, ClampMSS: true, TooBig: l2.NewTooBig(1000), Adjacencies: map[netip.Addr]*fabric.Adjacency{}, IRB: fabric.NewIRB(v, nil)}
	l.irb[l3vni] = dom.IRB
	if !o.unprotected {
		dom.SecY = n.secY(l3vni, i, o)
	}
	cfg := l2.BDConfig{VNI: l3vni, FDB: n.learn.FDB(l3vni)}
	static := map[netip.Prefix]*l3.Route{}
	for j := 1; j <= 3; j++ {
		if j == i {
			continue
		}
		adj := &fabric.Adjacency{ID: table.VTEPID(20 + j), VTEP: vtep(j), Route: n.routes[netip.MustParsePrefix("10.255.0.0/24")], Domain: dom}
		var err error
		adj.Encap, err = vxlan.NewTemplate(vxlan.TemplateConfig{Src: n.addr, Dst: vtep(j), VNI: l3vni})
		b.must(err)
		dom.Adjacencies[vtep(j)] = adj
		cfg.VTEPs = append(cfg.VTEPs, adj.ID)
		if dom.SecY != nil {
			_, err = dom.SecY.AddRxSC(sci(l3vni, j), adj.ID)
			b.must(err)
			_, err = dom.SecY.InstallRxSA(sci(l3vni, j), macsec.RxSAConfig{SAK: sak(l3vni, j, o.suite.KeyLen()), SSCI: ssci(o, j), Salt: salt(o)})
			b.must(err)
		}
		for _, vni := range []table.VNI{red, blue} {
			a := hostAddr(vni, j)
			static[netip.PrefixFrom(a, 32)] = l.via(j)
		}
	}
	var err error
	dom.BD, err = l2.NewBD(cfg)
	b.must(err)
	n.parts.Domains = append(n.parts.Domains, dom)
	l.routes.Replace(l3.OriginStatic, static)
	l.commit()
	n.publish()
}

// via is the route to leaf j.
func (l *routedLeaf) via(j int) *l3.Route {
	return &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{
		VNI: l3vni, VTEP: table.VTEPID(20 + j), Addr: vtep(j), RouterMAC: l3.DefaultRouterMAC(vtep(j)),
	}}}
}

// commit turns what became of neighbours into routes, as control does.
func (l *routedLeaf) commit() {
	for _, c := range l.hosts.TakeChanges() {
		p := netip.PrefixFrom(c.Host.Addr, c.Host.Addr.BitLen())
		if c.Kind == l3.Lost {
			l.routes.Delete(l3.OriginNeighbour, p)
		} else {
			l.routes.Set(l3.OriginNeighbour, p, &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{Host: c.Host}}})
		}
	}
	l.bed.must(l.routes.Commit())
}

// work is control's part: it takes what the slow path saw and sends what is to be
// asked.
func (l *routedLeaf) work() (events []l3.Event) {
	var buf [64]l3.Event
	events = append(events, buf[:l.events.Pop(buf[:])]...)
	for _, e := range events {
		l.hosts.Work(e, l.bed.now)
	}
	l.commit()
	probes, _ := l.hosts.Tick(l.bed.now)
	for _, p := range probes {
		frame := make([]byte, l3.MaxAnswer)
		if n := l.ifaces[p.VNI].Probe(frame, p.Addr, p.MAC); n > 0 && !l.punts.Send(p.VNI, frame[:n]) {
			l.bed.t.Error("the slow path took no probe")
		}
	}
	l.punts.Wake()
	return events
}

// step runs the slow path once, whether or not something waits.
func (l *routedLeaf) step() {
	for _, g := range l.graphs {
		if _, ok := g.Graph.(*fabric.Gateway); ok {
			l.punts.Wake()
			if err := g.Step(); err != nil && err != port.ErrTimeout {
				l.bed.t.Fatal(err)
			}
		}
	}
	l.bed.settle()
}

// udpTo is a UDP packet from a host of vni to dst, to the gateway's MAC.
func udpTo(vni table.VNI, src, dst netip.Addr, ttl uint8, payload int) []byte {
	b := make([]byte, 14+20+8+payload)
	var gw [6]byte
	gatewayMAC(vni).Put(gw[:])
	i := src.As4()[3]
	wire.Ethernet(b).Put(gw[:], mac(int(i)), wire.TypeIPv4)
	wire.IPv4(b[14:]).Put(&wire.IPv4Fields{
		TotalLen: len(b) - 14, TTL: ttl, Proto: wire.ProtoUDP, DF: true, Src: wire.AddrFrom(src).Uint32(), Dst: wire.AddrFrom(dst).Uint32(),
	})
	wire.UDP(b[34:]).Put(1000, 2000, 8+payload, 0)
	return b
}

// routedTCP is tcp from a host of red to one of blue, to the gateway's MAC.
func routedTCP(i, j int, seq uint32, payload []byte) ([]byte, pkt.Offload) {
	b, o := tcp(i, j, seq, payload)
	gatewayMAC(red).Put(b)
	h := wire.IPv4(b[14:])
	h.Put(&wire.IPv4Fields{TotalLen: len(b) - 14, TTL: 64, Proto: wire.ProtoTCP, Src: wire.AddrFrom(hostAddr(red, i)).Uint32(), Dst: wire.AddrFrom(hostAddr(blue, j)).Uint32()})
	wire.TCP(b[34:]).SetChecksum(wire.Fold(h.Pseudo(wire.ProtoTCP, 20+len(payload))))
	return b, o
}

// onlySent returns the one frame that port vni of n has sent, and fails when there
// is another number.
func (b *bed) onlySent(n *node, vni table.VNI) portmem.Sent {
	b.t.Helper()
	s := n.ports[vni].Sent()
	if len(s) != 1 {
		b.t.Fatalf("%s sent %d frames to %d, want 1", n.name, len(s), vni)
	}
	return s[0]
}

// expectDrop fails when n has not dropped one frame for r, and nothing else.
func (b *bed) expectDrop(n *node, r counter.Reason) {
	b.t.Helper()
	for q := counter.None + 1; int(q) < counter.NumReasons; q++ {
		want := uint64(0)
		if q == r {
			want = 1
		}
		if got := n.dropped(q); got != want {
			b.t.Errorf("%s dropped %d frames for %v, want %d", n.name, got, q, want)
		}
	}
}

package control

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/l3/dhcp"
)

// vrfState is a VRF of this leaf that lives across snapshots.
type vrfState struct {
	cfg    config.VRF
	vrf    *l3.VRF
	routes *l3.Routes
	links  []table.VNI    // bridge domains of this leaf with a gateway in it
	leaks  []leakState    // what contracts put into its FIB
	feeds  []*vrfState    // VRFs that leak from it, once each
	told   []netip.Prefix // of what is leaked into it those that are announced

	outside *outside // nil without routers outside the fabric

	subnets []netip.Prefix             // of its gateways, and its loopbacks
	offered map[netip.Prefix]*l3.Route // static routes that are announced
}

// linkState is a bridge domain with a gateway, as the neighbours know it.
type linkState struct {
	vrf  string
	next int64 // when a router advertisement is sent next, ns; 0: never
	sent int   // how many were sent since the configuration changed
}

// Times between router advertisements, ns: the first three come quicker, as
// MAX_INITIAL_RTR_ADVERTISEMENTS and MAX_INITIAL_RTR_ADVERT_INTERVAL of RFC 4861
// section 10 say, the others a third of the longest interval apart, of which a
// router's lifetime is three.
const (
	firstAdverts     = 3
	firstAdvertEvery = int64(16e9)
	advertEvery      = int64(200e9)
)

// prepareVRFs makes the VRFs of cfg that bridge domains are routed in, and plans
// their routes. What is equal is kept, with its FIB.
func (n *Node) prepareVRFs(p *plan, cfg *config.Node) {
	p.vrfs = map[string]*vrfState{}
	p.routed = map[table.VNI]*l3.VRF{}
	for i := range cfg.VRFs {
		c := &cfg.VRFs[i]
		if !cfg.Self.Is(config.Leaf) || c.URPF == 0 {
			continue // only the spine role knows it
		}
		st := &vrfState{cfg: *c, vrf: &l3.VRF{
			ID: handle(n.ids.vrfs, c.Name), Name: c.Name, L3VNI: c.L3VNI, RouterMAC: c.RouterMAC, URPF: urpf(c.URPF),
		}}
		st.vrf.Loopback4, st.vrf.Loopback6 = c.Loopback(true), c.Loopback(false)
		if old := n.vrfs[c.Name]; old != nil {
			st.routes, st.vrf.Strays = old.routes, old.vrf.Strays
		} else {
			st.routes, st.vrf.Strays = l3.NewRoutes(), &dhcp.Counts{}
		}
		st.vrf.FIB = st.routes.FIB()
		p.vrfs[c.Name] = st
	}
	n.prepareLeaks(p, cfg)
	for name, st := range p.vrfs {
		if old := n.vrfs[name]; old != nil && old.vrf.Equal(st.vrf) {
			st.vrf = old.vrf
		}
		if st.cfg.L3VNI != 0 {
			p.routed[st.cfg.L3VNI] = st.vrf
		}
	}
	for i := range cfg.BridgeDomains {
		if bd := &cfg.BridgeDomains[i]; bd.VRF != "" {
			p.routed[bd.VNI] = p.vrfs[bd.VRF].vrf
		}
	}
	p.commit = append(p.commit, func() { n.commitRouting(p, cfg) })
}

func urpf(u config.URPF) l3.URPF {
	switch u {
	case config.URPFLoose:
		return l3.Loose
	case config.URPFOff:
		return l3.Off
	}
	return l3.Strict
}

// irb returns how bd of cfg is routed, nil when it is not. The buckets of old are kept.
func (n *Node) irb(p *plan, cfg *config.Node, bd *config.BridgeDomain, mtu int, old *domainState) (*fabric.IRB, error) {
	v := p.routed[bd.VNI]
	if v == nil {
		return nil, nil
	}
	var in *l3.Interface
	var relay *fabric.DHCPRelay
	if g := bd.Gateway; g != nil {
		var err error
		if relay, err = n.relay(cfg, bd, v, old); err != nil {
			return nil, err
		}
		in, err = l3.NewInterface(l3.Interface{
			VNI: bd.VNI, MAC: g.MAC, Addresses: g.Addresses, MTU: mtu, Advertise: g.RouterAdvertisements,
			Relay4: relay != nil && len(relay.Servers4()) > 0, Relay6: relay != nil && len(relay.Servers6()) > 0,
		})
		if err != nil {
			return nil, err
		}
	}
	irb := fabric.NewIRB(v, in)
	irb.Relay, irb.Speakers = relay, p.speakers[bd.VNI]
	if old != nil && old.domain.IRB != nil {
		irb.Punts, irb.Faults = old.domain.IRB.Punts, old.domain.IRB.Faults
	}
	return irb, nil
}

// commitRouting makes the neighbours and routes of p those in force. It can't
// fail: validation has seen every prefix.
func (n *Node) commitRouting(p *plan, cfg *config.Node) {
	now := n.now()
	// Hosts of bridge domains that leave their VRF leave its FIB first.
	for vni, l := range n.links {
		if bd := routedDomain(cfg, vni); bd == nil || bd.VRF != l.vrf {
			n.neighbours.RemoveLink(vni)
			n.hostRoutes()
			delete(n.links, vni)
		}
	}
	old := n.vrfs
	n.vrfs = p.vrfs
	n.linkVRFs(p, cfg, old)
	held := heldNextHops(cfg)
	for i := range cfg.BridgeDomains {
		bd := &cfg.BridgeDomains[i]
		if bd.Gateway == nil {
			continue
		}
		l := n.links[bd.VNI]
		if l == nil {
			l = &linkState{vrf: bd.VRF}
			n.links[bd.VNI] = l
		}
		l.next = 0
		if bd.Gateway.RouterAdvertisements {
			l.next, l.sent = now, 0
		}
		c := l3.LinkConfig{VNI: bd.VNI, Held: held[bd.VNI], Statics: map[netip.Addr]table.MAC{}}
		for _, a := range bd.Gateway.Addresses {
			c.Prefixes = append(c.Prefixes, a.Masked())
		}
		for _, s := range bd.StaticNeighbours {
			c.Statics[s.Address] = s.MAC
		}
		n.neighbours.SetLink(c, now)
	}
	for name, st := range n.vrfs {
		n.configuredRoutes(cfg, st)
		st.keepOutside(old[name])
	}
	n.commitExternals(p)
	for _, st := range n.vrfs {
		n.configureOutside(cfg, st)
	}
	n.hostRoutes()
	n.leakRoutes()
	n.commitRoutes(maps.Values(n.vrfs))
	for _, st := range n.vrfs {
		n.exportAll(st)
	}
}

// routedDomain returns the bridge domain of vni when it has a gateway, else nil.
func routedDomain(cfg *config.Node, vni table.VNI) *config.BridgeDomain {
	for i := range cfg.BridgeDomains {
		if bd := &cfg.BridgeDomains[i]; bd.VNI == vni && bd.Gateway != nil {
			return bd
		}
	}
	return nil
}

// heldNextHops returns the hosts that static routes lead by, and routers outside the
// fabric, by the VNI of their bridge domain.
func heldNextHops(cfg *config.Node) map[table.VNI][]netip.Addr {
	out := map[table.VNI][]netip.Addr{}
	for i := range cfg.VRFs {
		for _, r := range cfg.VRFs[i].Routes {
			for _, h := range r.NextHops {
				if vni, ok := domainOf(cfg, cfg.VRFs[i].Name, h.Address); ok {
					out[vni] = append(out[vni], h.Address)
				}
			}
		}
		if e := cfg.VRFs[i].External; e != nil {
			for j := range e.Neighbors {
				if vni, ok := domainOf(cfg, cfg.VRFs[i].Name, e.Neighbors[j].Address); ok {
					out[vni] = append(out[vni], e.Neighbors[j].Address)
				}
			}
		}
	}
	return out
}

// domainOf returns the VNI of the bridge domain of a VRF that has a in a subnet.
func domainOf(cfg *config.Node, vrf string, a netip.Addr) (table.VNI, bool) {
	for i := range cfg.BridgeDomains {
		bd := &cfg.BridgeDomains[i]
		if bd.VRF != vrf || bd.Gateway == nil || !a.IsValid() {
			continue
		}
		for _, g := range bd.Gateway.Addresses {
			if g.Masked().Contains(a) {
				return bd.VNI, true
			}
		}
	}
	return 0, false
}

// configuredRoutes sets the routes of st that the configuration says: those of
// gateways' addresses, and static ones.
func (n *Node) configuredRoutes(cfg *config.Node, st *vrfState) {
	own, static := map[netip.Prefix]*l3.Route{}, map[netip.Prefix]*l3.Route{}
	for i := range cfg.BridgeDomains {
		bd := &cfg.BridgeDomains[i]
		if bd.VRF != st.cfg.Name || bd.Gateway == nil {
			continue
		}
		in, err := l3.NewInterface(l3.Interface{VNI: bd.VNI, MAC: bd.Gateway.MAC, Addresses: bd.Gateway.Addresses})
		if err != nil {
			n.log.Error("gateway without routes", "vni", bd.VNI, "err", err)
			continue
		}
		l3.GatewayRoutes(own, in)
	}
	for _, r := range st.cfg.Routes {
		to := &l3.Route{Kind: l3.Blackhole}
		if !r.Blackhole {
			to.Kind = l3.Forward
		}
		for _, h := range r.NextHops {
			if vni, ok := domainOf(cfg, st.cfg.Name, h.Address); ok {
				to.Paths = append(to.Paths, l3.Path{Host: n.neighbours.Host(vni, h.Address)})
				continue
			}
			to.Paths = append(to.Paths, l3.Path{
				VNI: st.cfg.L3VNI, VTEP: handle(n.ids.vteps, vtepKey{st.cfg.L3VNI, h.VTEP}), Addr: h.VTEP, RouterMAC: h.RouterMAC,
			})
		}
		static[r.Prefix] = to
	}
	l3.LoopbackRoutes(own, st.vrf)
	st.routes.Replace(l3.OriginGateway, own)
	st.routes.Replace(l3.OriginStatic, static)
	st.offer(own, static)
}

// hostRoutes turns what became of neighbours into routes, which commitRoutes
// publishes, and returns the VRFs that have some.
func (n *Node) hostRoutes() (touched map[*vrfState]bool) {
	for _, c := range n.neighbours.TakeChanges() {
		n.tellHost(&c)
		l := n.links[c.Host.VNI]
		if l == nil {
			continue
		}
		if c.Kind == l3.Moved || c.Kind == l3.Full {
			n.log.Warn(c.String())
		} else {
			n.log.Debug(c.String())
		}
		st := n.vrfs[l.vrf]
		if st == nil || c.Kind == l3.Moved || c.Kind == l3.Full {
			continue // the route stays: its neighbour has the new MAC
		}
		if touched == nil {
			touched = map[*vrfState]bool{}
		}
		touched[st] = true
		p := netip.PrefixFrom(c.Host.Addr, c.Host.Addr.BitLen())
		if c.Kind == l3.Lost {
			st.routes.Delete(l3.OriginNeighbour, p)
		} else {
			st.routes.Set(l3.OriginNeighbour, p, &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{Host: c.Host}}})
		}
	}
	for st := range touched {
		if len(st.offered) > 0 || st.outside != nil {
			n.announcePrefixes(st)
			n.exportSome(st, slices.Collect(maps.Keys(st.offered)))
		}
	}
	return touched
}

// commitRoutes publishes the routes of each, and of those that leak from them.
func (n *Node) commitRoutes(each iter.Seq[*vrfState]) {
	all := map[*vrfState]bool{}
	for st := range each {
		st.join(all)
	}
	for st := range all {
		st.feed() // before any is published: it goes by what changed since
	}
	for st := range all {
		var changed []netip.Prefix
		if st.outside != nil {
			changed = st.routes.Changed()
		}
		if err := st.routes.Commit(); err != nil {
			n.log.Error("routes not published", "vrf", st.cfg.Name, "err", err)
		}
		if !slices.Equal(st.offeredLeaks(), st.told) || slices.ContainsFunc(changed, st.fromOutside) {
			n.announcePrefixes(st)
		}
		n.exportSome(st, changed)
	}
}

// neighbourWork works what the slow path saw, asks for hosts, and publishes the
// routes to them. It returns when it wants to be called next, 0 for whenever.
func (n *Node) neighbourWork() (next int64) {
	if n.env.Punts == nil || len(n.links) == 0 {
		return 0
	}
	now := n.now()
	for {
		k := n.env.Neighbours.Pop(n.heard[:])
		for _, ev := range n.heard[:k] {
			if ev.Kind == l3.Clash {
				n.log.Warn("a host uses an address of the gateway", "vni", ev.VNI, "mac", ev.MAC)
			}
			n.neighbours.Work(ev, now)
		}
		if k < len(n.heard) {
			break
		}
	}
	probes, next := n.neighbours.Tick(now)
	for _, p := range probes {
		n.gatewaySends(p.VNI, func(in *l3.Interface, b []byte) int { return in.Probe(b, p.Addr, p.MAC) })
	}
	if touched := n.hostRoutes(); len(touched) > 0 {
		n.commitRoutes(maps.Keys(touched))
		n.env.Punts.Wake()
	}
	for vni, l := range n.links {
		if l.next != 0 && now >= l.next {
			l.sent++
			l.next = now + advertEvery
			if l.sent < firstAdverts {
				l.next = now + firstAdvertEvery
			}
			n.gatewaySends(vni, (*l3.Interface).RouterAdvert)
		}
	}
	return next
}

// gatewaySends lets the gateway of vni send the frame that build writes.
func (n *Node) gatewaySends(vni table.VNI, build func(*l3.Interface, []byte) int) {
	d := n.domains[vni]
	if d == nil || d.domain.IRB == nil || d.domain.IRB.Interface == nil {
		return
	}
	var b [l3.MaxAnswer]byte
	if size := build(d.domain.IRB.Interface, b[:]); size > 0 && !n.env.Punts.Send(vni, b[:size]) {
		n.log.Debug("the slow path is full: a probe or advertisement was not sent", "vni", vni)
	}
}

// routingFault puts err at the gateway of a bridge domain.
func routingFault(path string, err error) error {
	return config.Faults{{Path: path + ".gateway", Problem: fmt.Sprint(err)}}
}

package control

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/route"
	"github.com/ztos/ztos/bgp/unicast"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/l3"
)

// outside is what a VRF knows by routers outside the fabric. Under Node.mu.
type outside struct {
	asn    uint32
	rib    *unicast.RIB
	routes map[netip.Prefix]*l3.Route // what of it is in force, and offered to EVPN
	dirty  map[netip.Prefix]struct{}  // prefixes of the RIB that changed since
}

func newOutside(asn uint32) *outside {
	return &outside{asn: asn, rib: unicast.NewRIB(asn), routes: map[netip.Prefix]*l3.Route{}, dirty: map[netip.Prefix]struct{}{}}
}

// fromOutside reports whether a router outside the fabric announces p.
func (st *vrfState) fromOutside(p netip.Prefix) bool {
	_, ok := st.outside.routes[p]
	return ok
}

// heard takes events of x's speaker into the RIB.
func (st *vrfState) heard(x *external, events []bgp.Event) {
	for i := range events {
		e := &events[i]
		at := x.peers[e.Peer]
		switch {
		case e.Up != nil:
			x.peers[e.Peer] = e.Up.Peer.Addr
		case e.Down != nil:
			st.outside.note(st.outside.rib.Down(at))
			delete(x.peers, e.Peer)
		case e.Unicast != nil:
			st.outside.note(st.outside.rib.Update(at, unicastUpdates(e.Unicast)))
		}
	}
}

func (o *outside) note(cs []unicast.Change) {
	for _, c := range cs {
		o.dirty[c.Prefix] = struct{}{}
	}
}

func unicastUpdates(us []bgp.UnicastUpdate) []unicast.Update {
	out := make([]unicast.Update, len(us))
	for i := range us {
		u := &us[i]
		out[i] = unicast.Update{Withdraw: u.Withdraw, Route: unicast.Route{
			Prefix: u.Route.Prefix, NextHop: u.Route.NextHop, ASPath: u.Route.ASPath, Origin: u.Route.Origin, MED: u.Route.MED,
		}}
	}
	return out
}

// keepOutside gives st, which has routers outside the fabric, what old knows by them.
func (st *vrfState) keepOutside(old *vrfState) {
	switch e := st.cfg.External; {
	case e == nil:
	case old != nil && old.outside != nil && old.outside.asn == e.ASN:
		st.outside = old.outside
	default:
		st.outside = newOutside(e.ASN)
	}
}

// configureOutside makes the routers of cfg those of st's RIB; commitRoutes follows.
func (n *Node) configureOutside(cfg *config.Node, st *vrfState) {
	e := st.cfg.External
	if e == nil {
		st.routes.Replace(l3.OriginExternal, nil)
		return
	}
	list := make([]unicast.Neighbor, len(e.Neighbors))
	for i := range e.Neighbors {
		list[i] = unicast.Neighbor{Addr: e.Neighbors[i].Address, AS: e.Neighbors[i].ASN, Accept: e.Neighbors[i].Accept}
	}
	st.outside.rib.Configure(list, st.subnets)
	clear(st.outside.dirty)
	// All anew: a router's bridge domain may be another one.
	clear(st.outside.routes)
	for p, paths := range st.outside.rib.All() {
		st.outside.routes[p] = n.externalRoute(cfg, st.cfg.Name, paths)
	}
	st.routes.Replace(l3.OriginExternal, st.outside.routes)
}

// externalRoute returns the route by paths, whose next hops are routers of the VRF.
func (n *Node) externalRoute(cfg *config.Node, vrf string, paths []unicast.Route) *l3.Route {
	r := &l3.Route{Kind: l3.Forward}
	for i := range paths {
		if vni, ok := domainOf(cfg, vrf, paths[i].NextHop); ok {
			r.Paths = append(r.Paths, l3.Path{Host: n.neighbours.Host(vni, paths[i].NextHop)})
		}
	}
	return r
}

// commitExternal publishes what changed in st's RIB, and has EVPN announce it.
func (n *Node) commitExternal(st *vrfState) {
	o := st.outside
	if len(o.dirty) == 0 {
		return
	}
	for p := range o.dirty {
		if paths := o.rib.Best(p); len(paths) > 0 {
			o.routes[p] = n.externalRoute(n.cfg, st.cfg.Name, paths)
			st.routes.Set(l3.OriginExternal, p, o.routes[p])
		} else {
			delete(o.routes, p)
			st.routes.Delete(l3.OriginExternal, p)
		}
	}
	clear(o.dirty)
	n.commitRoutes(slices.Values([]*vrfState{st}))
	n.announcePrefixes(st)
	n.env.Punts.Wake()
}

// exportAll has routers outside the fabric told all that st has for them, and takes
// back the rest.
func (n *Node) exportAll(st *vrfState) {
	if st.outside == nil {
		return
	}
	for _, x := range n.externals {
		if x.key.vrf != st.cfg.Name {
			continue
		}
		gone := maps.Clone(x.told)
		for k := range st.routes.All() {
			if k.Best {
				delete(gone, k.Prefix)
				n.export(st, x, k.Prefix)
			}
		}
		for p := range gone {
			n.export(st, x, p)
		}
	}
}

// exportSome is exportAll for what changed.
func (n *Node) exportSome(st *vrfState, changed []netip.Prefix) {
	if st.outside == nil || len(changed) == 0 {
		return
	}
	for _, x := range n.externals {
		if x.key.vrf != st.cfg.Name {
			continue
		}
		for _, p := range changed {
			n.export(st, x, p)
		}
	}
}

// export tells x's routers of p what st has of it.
func (n *Node) export(st *vrfState, x *external, p netip.Prefix) {
	u, ok := st.exported(x, p)
	had, told := x.told[p]
	switch {
	case !ok && told:
		delete(x.told, p)
		x.announce(p, nil)
	case ok && (!told || !sameUnicast(&had, &u)):
		x.told[p] = u
		x.announce(p, &u)
	}
}

func sameUnicast(a, b *route.Unicast) bool {
	return a.NextHop == b.NextHop && a.Origin == b.Origin && slices.Equal(a.ASPath, b.ASPath)
}

// exported returns what x's routers are told of p: the VRF's subnets, static routes
// and leaked prefixes that are announced in EVPN too, prefixes of other leaves, and
// those of routers in other subnets. Hosts are not told, nor what the routers of this
// subnet said: they hear each other.
func (st *vrfState) exported(x *external, p netip.Prefix) (u route.Unicast, ok bool) {
	if p.Addr().Is4() != x.key.at.Addr().Is4() {
		return u, false
	}
	origin, r := st.routes.Best(p)
	u = route.Unicast{Prefix: p, NextHop: x.key.at.Addr()}
	switch origin {
	case l3.OriginGateway:
		return u, r.Kind == l3.Connected
	case l3.OriginStatic:
		_, offered := st.offered[p]
		return u, offered && leads(r)
	case l3.OriginContract:
		return u, slices.Contains(st.told, p)
	case l3.OriginEVPN:
		return u, !p.IsSingleIP()
	case l3.OriginExternal:
		best := st.outside.rib.Best(p)
		if len(best) == 0 || x.key.at.Masked().Contains(best[0].NextHop) {
			return u, false
		}
		u.ASPath, u.Origin = best[0].ASPath, best[0].Origin
		return u, true
	}
	return u, false
}

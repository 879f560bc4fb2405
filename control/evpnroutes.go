package control

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

// overlayRouter is the node's routing as package overlay changes it. Under Node.mu.
type overlayRouter struct {
	n       *Node
	touched map[*vrfState]bool // since the last Commit
}

func newOverlayRouter(n *Node) *overlayRouter {
	return &overlayRouter{n, map[*vrfState]bool{}}
}

// SetRoute sets or takes away a route, which Commit publishes.
func (r *overlayRouter) SetRoute(l3vni table.VNI, p netip.Prefix, to *l3.Route) {
	st := r.n.l3vnis[l3vni]
	if st == nil {
		return
	}
	if to == nil {
		st.routes.Delete(l3.OriginEVPN, p)
	} else {
		st.routes.Set(l3.OriginEVPN, p, to)
	}
	r.touched[st] = true
}

// ReplaceRoutes makes routes all that a VRF has of EVPN, from Commit on.
func (r *overlayRouter) ReplaceRoutes(l3vni table.VNI, routes map[netip.Prefix]*l3.Route) {
	if st := r.n.l3vnis[l3vni]; st != nil {
		st.routes.Replace(l3.OriginEVPN, routes)
		r.touched[st] = true
	}
}

// Host returns a host of this leaf, nil when it is not known.
func (r *overlayRouter) Host(vni table.VNI, addr netip.Addr) *l3.Neighbour {
	return r.n.neighbours.Host(vni, addr)
}

// Away forgets what is known here of an address that another leaf has.
func (r *overlayRouter) Away(l3vni table.VNI, addr netip.Addr) {
	st := r.n.l3vnis[l3vni]
	if st == nil {
		return
	}
	for _, vni := range st.links {
		if r.n.neighbours.Away(vni, addr, r.n.now()) {
			r.n.poke() // a held one is asked for
		}
	}
}

// Doubt has a host asked whether it is still here.
func (r *overlayRouter) Doubt(vni table.VNI, addr netip.Addr) {
	if r.n.neighbours.Doubt(vni, addr, r.n.now()) {
		r.n.poke()
	}
}

// Commit publishes the routes that changed, with those of hosts that were given up
// for them. Packets that wait for a host may have a way now.
func (r *overlayRouter) Commit() {
	maps.Copy(r.touched, r.n.hostRoutes())
	r.n.commitRoutes(maps.Keys(r.touched))
	if len(r.touched) > 0 && r.n.env.Punts != nil {
		r.n.env.Punts.Wake()
	}
	clear(r.touched)
}

// linkVRFs notes which L3VNI and which gateways the VRFs in force have, and clears
// and asks for anew what EVPN knows of those whose L3VNI is another one. p is the
// apply under way.
func (n *Node) linkVRFs(p *plan, cfg *config.Node, old map[string]*vrfState) {
	n.l3vnis = map[table.VNI]*vrfState{}
	for name, st := range n.vrfs {
		was := old[name]
		st.links = nil
		if st.cfg.L3VNI != 0 {
			n.l3vnis[st.cfg.L3VNI] = st
		}
		if was == nil || was.cfg.L3VNI != st.cfg.L3VNI {
			st.routes.Replace(l3.OriginEVPN, nil)
			p.replay = append(p.replay, st.cfg.L3VNI)
			continue
		}
		before, after := n.domains[st.cfg.L3VNI], p.domains[st.cfg.L3VNI]
		if before == nil || after == nil || before.domain != after.domain {
			p.replay = append(p.replay, st.cfg.L3VNI) // its VTEPs may be others
		}
	}
	for i := range cfg.BridgeDomains {
		if bd := &cfg.BridgeDomains[i]; bd.Gateway != nil {
			st := n.vrfs[bd.VRF]
			st.links = append(st.links, bd.VNI)
		}
	}
}

// announcePrefixes has a VRF's subnets and loopbacks announced, and those of its
// static routes, leaked prefixes and routers outside that are to be, that the VRF goes
// by, and that lead somewhere now: a leaf that has lost its next hop leaves the prefix
// to others. Routers outside hear what changed of leaked ones.
func (n *Node) announcePrefixes(st *vrfState) {
	was := st.told
	if st.told = st.offeredLeaks(); !slices.Equal(was, st.told) {
		n.exportSome(st, slices.Concat(was, st.told))
	}
	if n.overlay == nil || st.cfg.L3VNI == 0 {
		return
	}
	list := slices.Clone(st.subnets)
	for p, r := range st.offered {
		if leads(r) {
			list = append(list, p)
		}
	}
	if st.outside != nil {
		for p, r := range st.outside.routes {
			if _, best := st.routes.Best(p); best == r && leads(r) {
				list = append(list, p)
			}
		}
	}
	list = append(list, st.told...)
	n.overlay.Announce(st.cfg.L3VNI, list)
}

// offer notes what of a VRF's configured routes others may be told.
func (st *vrfState) offer(own, static map[netip.Prefix]*l3.Route) {
	st.subnets, st.offered = nil, map[netip.Prefix]*l3.Route{}
	for p, r := range own {
		if r.Kind == l3.Connected || r.Kind == l3.Local && r.VNI == 0 {
			st.subnets = append(st.subnets, p)
		}
	}
	for i := range st.cfg.Routes {
		if c := &st.cfg.Routes[i]; c.Advertise {
			st.offered[c.Prefix] = static[c.Prefix]
		}
	}
}

// leads reports whether packets for r find a way now. What is dropped on purpose
// has found it.
func leads(r *l3.Route) bool {
	return r.Kind == l3.Blackhole || slices.ContainsFunc(r.Paths, func(p l3.Path) bool {
		if p.Host == nil {
			return true
		}
		_, ok := p.Host.MAC()
		return ok
	})
}

// tellHost tells EVPN what became of a neighbour.
func (n *Node) tellHost(c *l3.Change) {
	if n.overlay == nil {
		return
	}
	switch c.Kind {
	case l3.Resolved, l3.Moved:
		n.overlay.Host(c.Host.VNI, c.Host.Addr, c.MAC)
	case l3.Lost:
		n.overlay.HostGone(c.Host.VNI, c.Host.Addr)
	}
}

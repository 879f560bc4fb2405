package overlay

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

// Router is the routing of a leaf as an Overlay changes it. VRFs are named by their
// L3VNI. What was set is in force from Commit on.
type Router interface {
	// SetRoute makes r the route that EVPN has for a prefix; nil takes it away.
	SetRoute(l3vni table.VNI, p netip.Prefix, r *l3.Route)
	// ReplaceRoutes makes routes all that EVPN has.
	ReplaceRoutes(l3vni table.VNI, routes map[netip.Prefix]*l3.Route)
	// Host returns a host of this leaf, nil when it is not known.
	Host(vni table.VNI, addr netip.Addr) *l3.Neighbour
	// Away says that another leaf has an address of the VRF now.
	Away(l3vni table.VNI, addr netip.Addr)
	// Doubt has a host asked whether it is still at this leaf.
	Doubt(vni table.VNI, addr netip.Addr)
	// Commit publishes the routes of each VRF that changed, once.
	Commit()
}

// RouteBy makes r what takes the routes; it comes before Configure. Without it,
// as on a spine, there are none.
func (o *Overlay) RouteBy(r Router) { o.router = r }

// Replay hands all routes of VRFs to the router again at the next Apply: what it
// had of them, or what they lead by, is another one.
func (o *Overlay) Replay(l3vnis ...table.VNI) {
	for _, vni := range l3vnis {
		o.replay[vni] = true
	}
}

// route takes what changed about the prefixes of VRFs.
func (o *Overlay) route(list []evpn.PrefixChange) {
	if o.router == nil {
		return
	}
	b := routeBatch{o: o, single: map[singleKey]*l3.Route{}}
	for i := range list {
		c := &list[i]
		vni := l3vniOf(c.VRF)
		if o.replay[vni] || o.vrfs[vni] == nil {
			continue // the whole follows; or it is gone, with all that it had
		}
		r := b.route(vni, c.Hops)
		o.router.SetRoute(vni, c.Prefix, r)
		if r != nil {
			o.counts.Routed++
		} else {
			o.counts.Unrouted++
		}
		b.away(vni, c.Prefix, r)
	}
	for vni := range o.replay {
		o.router.ReplaceRoutes(vni, b.all(vni))
	}
	if len(list)+len(o.replay) > 0 {
		o.router.Commit()
	}
	clear(o.replay)
}

// routeBatch makes routes: those with one and the same next hop are one.
type routeBatch struct {
	o      *Overlay
	single map[singleKey]*l3.Route
}

type singleKey struct {
	l3vni table.VNI
	hop   evpn.NextHop
}

// route returns the route by hops, nil when none of them can be used.
func (b *routeBatch) route(l3vni table.VNI, hops []evpn.NextHop) *l3.Route {
	if len(hops) == 1 {
		if r, ok := b.single[singleKey{l3vni, hops[0]}]; ok {
			return r
		}
	}
	var r *l3.Route
	for i := range hops {
		p, ok := b.o.path(l3vni, &hops[i])
		if !ok {
			continue
		}
		if r == nil {
			r = &l3.Route{Kind: l3.Forward, Paths: make([]l3.Path, 0, len(hops))}
		}
		r.Paths = append(r.Paths, p)
	}
	if len(hops) == 1 && !hops[0].Gateway.IsValid() {
		b.single[singleKey{l3vni, hops[0]}] = r
	}
	return r
}

// all returns all routes of a VRF.
func (b *routeBatch) all(l3vni table.VNI) map[netip.Prefix]*l3.Route {
	out := map[netip.Prefix]*l3.Route{}
	b.o.sp.Prefixes(vrfID(l3vni), func(p netip.Prefix, hops []evpn.NextHop) bool {
		if r := b.route(l3vni, hops); r != nil {
			out[p] = r
			b.o.counts.Routed++
			b.away(l3vni, p, r)
		}
		return true
	})
	return out
}

// away gives up what is known here of a host that another leaf has: EVPN returns
// no next hop for one that is here.
func (b *routeBatch) away(l3vni table.VNI, p netip.Prefix, r *l3.Route) {
	if r != nil && p.IsSingleIP() {
		b.o.router.Away(l3vni, p.Addr())
	}
}

// path returns the way of a next hop: another leaf by the L3VNI, or, of a route by
// a gateway address, the host that has it, here or in its bridge domain behind
// another leaf. What the configuration does not grant is refused and counted.
func (o *Overlay) path(l3vni table.VNI, h *evpn.NextHop) (l3.Path, bool) {
	vni := l3vni
	if h.Gateway.IsValid() {
		vni = h.BD
		if !h.Target.VTEP.IsValid() {
			host := o.router.Host(vni, h.Gateway)
			return l3.Path{Host: host}, host != nil
		}
	}
	id, ok := o.reach(vni, h.Target)
	return l3.Path{VNI: vni, VTEP: id, Addr: h.Target.VTEP, RouterMAC: h.MAC}, ok
}

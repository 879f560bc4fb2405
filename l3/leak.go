package l3

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/counter"
)

// Leak is one direction of a contract: which packets of one VRF may go on in
// another. The VRF that they come into has it, among VRF.Leaks, and every route
// that the contract put into its FIB. Immutable; its address is its identity.
type Leak struct {
	Contract string         // its name
	To       uint32         // ID of the other VRF
	VRF      string         // name of the other VRF
	Sources  []netip.Prefix // of the VRF that packets come into: who may send
	Prefixes []netip.Prefix // of the other VRF: who may be sent to
}

// Permits reports whether a packet from src may go to dst, in the other VRF.
//
// Hot path: no allocation; one comparison for each prefix of the contract.
func (l *Leak) Permits(src, dst netip.Addr) bool {
	return holds(l.Sources, src) && holds(l.Prefixes, dst)
}

// answers reports whether a packet from src to dst is one that the other VRF may
// send here: the reverse of Permits.
func (l *Leak) answers(src, dst netip.Addr) bool { return l.Permits(dst, src) }

func holds(ps []netip.Prefix, a netip.Addr) bool {
	for i := range ps {
		if ps[i].Contains(a) {
			return true
		}
	}
	return false
}

// Equal reports whether l and o permit the same by the same contract.
func (l *Leak) Equal(o *Leak) bool {
	return l.Contract == o.Contract && l.To == o.To && l.VRF == o.VRF &&
		slices.Equal(l.Sources, o.Sources) && slices.Equal(l.Prefixes, o.Prefixes)
}

// Cross returns None when a packet from src in v may go on to dst in the VRF with
// handle to, else why not: RouteGone without a contract between the two,
// RouteNoContract when those there are do not permit it.
//
// Hot path: no allocation.
func (v *VRF) Cross(to uint32, src, dst netip.Addr) counter.Reason {
	r := counter.RouteGone
	for _, l := range v.Leaks {
		if l.To != to {
			continue
		}
		if l.Permits(src, dst) {
			return counter.None
		}
		r = counter.RouteNoContract
	}
	return r
}

// Import puts into r, which is of the VRF that has leak, what from, the routes of
// the other VRF, has for the prefixes of leak: whatever is more specific, and one
// route for each prefix itself, by the longest that holds it. With changed, only
// for what changed in from since its last Commit, which must not come before. What
// other contracts leaked into from is not leaked on.
func (r *Routes) Import(leak *Leak, from *Routes, changed bool) {
	if changed {
		for p := range from.changed {
			r.follow(leak, from, p)
		}
		return
	}
	for p := range from.known {
		r.follow(leak, from, p)
	}
	for p := range from.changed { // also what is gone
		r.follow(leak, from, p)
	}
	for _, p := range leak.Prefixes {
		r.leak(leak, p, from.covering(p))
	}
}

// follow is Import for what from has for p.
func (r *Routes) follow(leak *Leak, from *Routes, p netip.Prefix) {
	for _, l := range leak.Prefixes {
		switch {
		case !l.Overlaps(p):
		case p.Bits() > l.Bits():
			r.leak(leak, p, from.own(p))
		default: // it holds l
			r.leak(leak, l, from.covering(l))
		}
	}
}

// leak makes to, a route of the other VRF, the leaked one for p; nil takes it away.
func (r *Routes) leak(leak *Leak, p netip.Prefix, to *Route) {
	if to == nil {
		r.Delete(OriginContract, p)
		return
	}
	cs := r.known[p]
	if i, ok := find(cs, OriginContract); ok && cs[i].route.leaks(leak, to) {
		return
	}
	r.Set(OriginContract, p, &Route{Kind: to.Kind, VNI: to.VNI, Paths: to.Paths, Leak: leak})
}

// leaks reports whether r is to, leaked by leak.
func (r *Route) leaks(leak *Leak, to *Route) bool {
	return r.Leak == leak && r.Kind == to.Kind && r.VNI == to.VNI && len(r.Paths) == len(to.Paths) &&
		(len(r.Paths) == 0 || &r.Paths[0] == &to.Paths[0])
}

// own returns the best route for p that no contract put there, nil when there is
// none.
func (r *Routes) own(p netip.Prefix) *Route {
	for _, c := range r.known[p] {
		if c.origin != OriginContract {
			return c.route
		}
	}
	return nil
}

// covering returns own's route for p, or for the longest prefix that holds it.
func (r *Routes) covering(p netip.Prefix) *Route {
	for bits := p.Bits(); bits >= 0; bits-- {
		if to := r.own(netip.PrefixFrom(p.Addr(), bits).Masked()); to != nil {
			return to
		}
	}
	return nil
}

// Forget takes away all that contracts leaked into r by other leaks than those
// that stay.
func (r *Routes) Forget(stay []*Leak) {
	for p, cs := range r.known {
		if i, ok := find(cs, OriginContract); ok && !slices.Contains(stay, cs[i].route.Leak) {
			r.Delete(OriginContract, p)
		}
	}
}

// Leaked returns the route that leak has put into r for p itself, nil when there is none.
func (r *Routes) Leaked(leak *Leak, p netip.Prefix) *Route {
	i, ok := find(r.known[p], OriginContract)
	if !ok || r.known[p][i].route.Leak != leak {
		return nil
	}
	return r.known[p][i].route
}

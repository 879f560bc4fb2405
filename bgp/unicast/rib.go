package unicast

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
)

// MaxPaths is how many next hops share the packets to one prefix at most.
const MaxPaths = 8

// MaxPath is how many ASes a path has at most: there is room for one more in what
// others are told of it.
const MaxPath = 250

// Neighbor is a router outside the fabric.
type Neighbor struct {
	Addr netip.Addr // unique in a RIB
	AS   uint32     // other than the fabric's
	// Accept are the prefixes that it may announce, and what lies in them.
	Accept []netip.Prefix
}

func (n *Neighbor) equal(o *Neighbor) bool {
	return n.Addr == o.Addr && n.AS == o.AS && slices.Equal(n.Accept, o.Accept)
}

// Route is what a neighbour announces.
type Route struct {
	Prefix  netip.Prefix // masked
	NextHop netip.Addr
	ASPath  []uint32 // nearest first; not changed by anybody
	Origin  uint8    // 0 IGP, 1 EGP, 2 incomplete
	MED     uint32
}

// Update is a route announced or withdrawn; of a withdrawal only the prefix counts.
type Update struct {
	Withdraw bool
	Route    Route
}

// Change is what leads to a prefix from now on: routes by different next hops, the
// best first; none: nothing. The receiver does not change Paths.
type Change struct {
	Prefix netip.Prefix
	Paths  []Route
}

// path is a route that was taken, by whom.
type path struct {
	Route
	from netip.Addr
}

// neighbor is a Neighbor with what it said: also what was not taken, which a later
// configuration may allow.
type neighbor struct {
	Neighbor
	said map[netip.Prefix]Route
}

// RIB is the routes of one VRF's neighbours. The zero value is not ready: see
// NewRIB.
type RIB struct {
	as        uint32
	own       []netip.Prefix
	neighbors map[netip.Addr]*neighbor
	taken     map[netip.Prefix][]path // by from
	best      map[netip.Prefix][]Route
	faults    [NumFaults]uint64
}

// NewRIB returns an empty RIB of a VRF whose AS the neighbours see as as.
func NewRIB(as uint32) *RIB {
	return &RIB{
		as: as, neighbors: map[netip.Addr]*neighbor{},
		taken: map[netip.Prefix][]path{}, best: map[netip.Prefix][]Route{},
	}
}

// Configure makes list the neighbours, and own the prefixes that the VRF has itself,
// which nobody else may announce. What those said that stay is looked at again.
func (r *RIB) Configure(list []Neighbor, own []netip.Prefix) []Change {
	old := r.neighbors
	sameOwn := slices.Equal(r.own, own)
	r.own = slices.Clone(own)
	r.neighbors = make(map[netip.Addr]*neighbor, len(list))
	same := sameOwn && len(list) == len(old)
	for _, c := range list {
		n := &neighbor{Neighbor: c, said: map[netip.Prefix]Route{}}
		if was := old[c.Addr]; was != nil {
			n.said = was.said
			same = same && was.Neighbor.equal(&c)
		} else {
			same = false
		}
		r.neighbors[c.Addr] = n
	}
	if same {
		return nil
	}
	touched := map[netip.Prefix]struct{}{}
	for p := range r.taken {
		touched[p] = struct{}{}
	}
	clear(r.taken)
	for _, n := range r.neighbors {
		for p, said := range n.said {
			if r.check(&n.Neighbor, &said) == None {
				r.put(n.Addr, said)
				touched[p] = struct{}{}
			}
		}
	}
	return r.decide(touched)
}

// Update takes what the neighbour at from says.
func (r *RIB) Update(from netip.Addr, us []Update) []Change {
	n := r.neighbors[from]
	if n == nil {
		r.faults[Stranger] += uint64(len(us))
		return nil
	}
	touched := map[netip.Prefix]struct{}{}
	for i := range us {
		u := &us[i]
		p := u.Route.Prefix
		touched[p] = struct{}{}
		if u.Withdraw {
			delete(n.said, p)
			r.remove(from, p)
			continue
		}
		n.said[p] = u.Route
		if f := r.check(&n.Neighbor, &u.Route); f != None {
			r.faults[f]++
			r.remove(from, p)
			continue
		}
		r.put(from, u.Route)
	}
	return r.decide(touched)
}

// Down forgets all that the neighbour at from said: its session has ended.
func (r *RIB) Down(from netip.Addr) []Change {
	n := r.neighbors[from]
	if n == nil {
		return nil
	}
	touched := map[netip.Prefix]struct{}{}
	for p := range n.said {
		touched[p] = struct{}{}
		r.remove(from, p)
	}
	clear(n.said)
	return r.decide(touched)
}

// All yields what leads, in no order.
func (r *RIB) All() iter.Seq2[netip.Prefix, []Route] {
	return func(yield func(netip.Prefix, []Route) bool) {
		for p, paths := range r.best {
			if !yield(p, paths) {
				return
			}
		}
	}
}

// Best returns what leads to p, the best first.
func (r *RIB) Best(p netip.Prefix) []Route { return r.best[p] }

// Faults returns how many routes were not taken for f.
func (r *RIB) Faults(f Fault) uint64 { return r.faults[f] }

func (r *RIB) put(from netip.Addr, x Route) {
	ps := r.taken[x.Prefix]
	i, ok := slices.BinarySearchFunc(ps, from, byFrom)
	if ok {
		ps[i].Route = x
		return
	}
	r.taken[x.Prefix] = slices.Insert(ps, i, path{x, from})
}

func (r *RIB) remove(from netip.Addr, p netip.Prefix) {
	ps := r.taken[p]
	i, ok := slices.BinarySearchFunc(ps, from, byFrom)
	if !ok {
		return
	}
	if ps = slices.Delete(ps, i, i+1); len(ps) == 0 {
		delete(r.taken, p)
	} else {
		r.taken[p] = ps
	}
}

func byFrom(p path, from netip.Addr) int { return p.from.Compare(from) }

// decide chooses anew for the prefixes of touched, and returns what is different.
func (r *RIB) decide(touched map[netip.Prefix]struct{}) (out []Change) {
	for p := range touched {
		paths := choose(r.taken[p])
		if slices.EqualFunc(paths, r.best[p], Route.equal) {
			continue
		}
		if len(paths) == 0 {
			delete(r.best, p)
		} else {
			r.best[p] = paths
		}
		out = append(out, Change{p, paths})
	}
	slices.SortFunc(out, func(a, b Change) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	return out
}

func (x Route) equal(y Route) bool {
	return x.NextHop == y.NextHop && x.Origin == y.Origin && x.MED == y.MED && slices.Equal(x.ASPath, y.ASPath)
}

// choose returns the best of ps by different next hops: RFC 4271 section 9.1.2.2 (a)
// to (c). MEDs are compared within each neighbouring AS (deterministic MED). What is
// left is equal but for who says it, and shares the packets; the first has the lowest
// address.
func choose(ps []path) []Route {
	if len(ps) == 0 {
		return nil
	}
	shortest, origin := len(ps[0].ASPath), uint8(255)
	for i := range ps {
		shortest = min(shortest, len(ps[i].ASPath))
	}
	for i := range ps {
		if len(ps[i].ASPath) == shortest {
			origin = min(origin, ps[i].Origin)
		}
	}
	candidate := func(x *path) bool { return len(x.ASPath) == shortest && x.Origin == origin }
	med := map[uint32]uint32{}
	for i := range ps {
		x := &ps[i]
		if !candidate(x) {
			continue
		}
		if least, ok := med[x.ASPath[0]]; !ok || x.MED < least {
			med[x.ASPath[0]] = x.MED
		}
	}
	var out []Route
	for i := range ps {
		x := &ps[i]
		if !candidate(x) || x.MED != med[x.ASPath[0]] || len(out) == MaxPaths {
			continue
		}
		if !slices.ContainsFunc(out, func(o Route) bool { return o.NextHop == x.NextHop }) {
			out = append(out, x.Route)
		}
	}
	return out
}

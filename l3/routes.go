package l3

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table/fib"
)

// Origin is who knows a route. The lowest one with a route for a prefix has it.
type Origin uint8

const (
	OriginGateway   Origin = iota + 1 // addresses of gateways and their subnets
	OriginStatic                      // configured
	OriginNeighbour                   // a host that this leaf resolved itself
	OriginContract                    // leaked from another VRF
	OriginExternal                    // learned from routers outside the fabric
	OriginEVPN                        // learned from other leaves
)

// String returns the origin as people read it.
func (o Origin) String() string {
	switch o {
	case OriginGateway:
		return "gateway"
	case OriginStatic:
		return "static"
	case OriginNeighbour:
		return "neighbour"
	case OriginContract:
		return "contract"
	case OriginExternal:
		return "external"
	case OriginEVPN:
		return "evpn"
	}
	return "unknown"
}

// Routes are the routes of one VRF by origin, and the FIB that has the best of
// each prefix. Changes collect until Commit publishes them all at once. One
// goroutine at a time.
type Routes struct {
	fib     *fib.FIB[*Route]
	known   map[netip.Prefix][]candidate // by origin
	changed map[netip.Prefix]struct{}
}

type candidate struct {
	origin Origin
	route  *Route
}

// NewRoutes returns no routes, for an empty FIB.
func NewRoutes() *Routes {
	return &Routes{
		fib: &fib.FIB[*Route]{}, known: map[netip.Prefix][]candidate{}, changed: map[netip.Prefix]struct{}{},
	}
}

// FIB returns the FIB that Commit publishes into; always the same.
func (r *Routes) FIB() *fib.FIB[*Route] { return r.fib }

// Set makes to the route of o for p, which is valid and masked.
func (r *Routes) Set(o Origin, p netip.Prefix, to *Route) {
	cs := r.known[p]
	i, ok := find(cs, o)
	if ok {
		if cs[i].route == to {
			return
		}
		cs[i].route = to
	} else {
		cs = slices.Insert(cs, i, candidate{o, to})
	}
	r.known[p] = cs
	r.changed[p] = struct{}{}
}

// Delete takes the route of o for p away, if there is one.
func (r *Routes) Delete(o Origin, p netip.Prefix) {
	cs := r.known[p]
	i, ok := find(cs, o)
	if !ok {
		return
	}
	if cs = slices.Delete(cs, i, i+1); len(cs) == 0 {
		delete(r.known, p)
	} else {
		r.known[p] = cs
	}
	r.changed[p] = struct{}{}
}

// Replace makes routes all that o has.
func (r *Routes) Replace(o Origin, routes map[netip.Prefix]*Route) {
	for p, cs := range r.known {
		if _, stays := routes[p]; !stays {
			if _, ok := find(cs, o); ok {
				r.Delete(o, p)
			}
		}
	}
	for p, to := range routes {
		r.Set(o, p, to)
	}
}

func find(cs []candidate, o Origin) (int, bool) {
	return slices.BinarySearchFunc(cs, o, func(c candidate, o Origin) int { return cmp.Compare(c.origin, o) })
}

// Changed returns the prefixes whose routes changed since the last Commit.
func (r *Routes) Changed() []netip.Prefix { return slices.Collect(maps.Keys(r.changed)) }

// Best returns the route for p that has it, or will have it with the next Commit, and
// who knows it; 0 when there is none.
func (r *Routes) Best(p netip.Prefix) (Origin, *Route) {
	if cs := r.known[p]; len(cs) > 0 {
		return cs[0].origin, cs[0].route
	}
	return 0, nil
}

// Covering returns what Best does of the longest prefix that holds a; nil when none
// does.
func (r *Routes) Covering(a netip.Addr) (p netip.Prefix, o Origin, to *Route) {
	for bits := a.BitLen(); bits >= 0; bits-- {
		p = netip.PrefixFrom(a, bits).Masked()
		if o, to = r.Best(p); to != nil {
			return p, o, to
		}
	}
	return netip.Prefix{}, 0, nil
}

// Commit publishes the best routes of what changed, in one step for readers. The
// error, with nothing published, names a prefix that is not valid.
func (r *Routes) Commit() error {
	if len(r.changed) == 0 {
		return nil
	}
	changes := make([]fib.Change[*Route], 0, len(r.changed))
	t := r.fib.Load()
	for p := range r.changed {
		if cs := r.known[p]; len(cs) == 0 {
			changes = append(changes, fib.Change[*Route]{Prefix: p, Delete: true})
		} else if have, ok := t.Get(p); !ok || have != cs[0].route {
			changes = append(changes, fib.Change[*Route]{Prefix: p, Value: cs[0].route})
		}
	}
	if err := r.fib.Update(changes); err != nil {
		return err
	}
	clear(r.changed)
	return nil
}

// Known is one route as people see it.
type Known struct {
	Prefix netip.Prefix
	Origin Origin
	Route  *Route
	Best   bool // it is in the FIB, once committed
}

// All yields all routes by prefix, the best of a prefix first.
func (r *Routes) All() iter.Seq[Known] {
	prefixes := make([]netip.Prefix, 0, len(r.known))
	for p := range r.known {
		prefixes = append(prefixes, p)
	}
	slices.SortFunc(prefixes, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return func(yield func(Known) bool) {
		for _, p := range prefixes {
			for i, c := range r.known[p] {
				if !yield(Known{p, c.origin, c.route, i == 0}) {
					return
				}
			}
		}
	}
}

// Unsorted is All in no order, which costs no sorting.
func (r *Routes) Unsorted() iter.Seq[Known] {
	return func(yield func(Known) bool) {
		for p, cs := range r.known {
			for i, c := range cs {
				if !yield(Known{p, c.origin, c.route, i == 0}) {
					return
				}
			}
		}
	}
}

// GatewayRoutes adds to routes what the addresses of i say: each is the gateway's
// own, its subnet is connected, and what of an IPv4 subnet is no host's, the
// network and the broadcast address, is dropped: a directed broadcast is not
// routed (RFC 2644 section 2).
func GatewayRoutes(routes map[netip.Prefix]*Route, i *Interface) {
	hole := &Route{Kind: Blackhole}
	for _, p := range i.Prefixes() {
		if p.Addr().Is4() && p.Bits() < 31 {
			routes[netip.PrefixFrom(p.Addr(), 32)] = hole
			routes[netip.PrefixFrom(lastAddr(p), 32)] = hole
		}
	}
	own, link := &Route{Kind: Local, VNI: i.VNI}, &Route{Kind: Connected, VNI: i.VNI}
	for _, p := range i.Prefixes() {
		routes[p] = link
	}
	for _, p := range i.Addresses {
		a := p.Addr()
		routes[netip.PrefixFrom(a, a.BitLen())] = own
	}
}

// LoopbackRoutes adds to routes the addresses of this leaf in v, which are Local of
// no bridge domain.
func LoopbackRoutes(routes map[netip.Prefix]*Route, v *VRF) {
	own := &Route{Kind: Local}
	for _, a := range []netip.Addr{v.Loopback4, v.Loopback6} {
		if a.IsValid() {
			routes[netip.PrefixFrom(a, a.BitLen())] = own
		}
	}
}

// lastAddr returns the last address of an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

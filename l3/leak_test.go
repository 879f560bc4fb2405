package l3_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/l3"
)

// shared is what VRF red, of package l3_test's vrf, may do in another: hosts of
// 10.1.1.0/25 reach 10.9.0.0/24.
func shared() *l3.Leak {
	return &l3.Leak{
		Contract: "red-shared", To: 2, VRF: "shared",
		Sources:  []netip.Prefix{pfx("10.1.1.0/25"), pfx("fd00:1::/96")},
		Prefixes: []netip.Prefix{pfx("10.9.0.0/24"), pfx("fd00:9::/64")},
	}
}

// leaked returns VRF red with what it has by contract of a VRF with routes.
func leaked(t testing.TB, u l3.URPF, own, routes map[netip.Prefix]*l3.Route) *l3.VRF {
	t.Helper()
	from, r := l3.NewRoutes(), l3.NewRoutes()
	from.Replace(l3.OriginStatic, routes)
	gw := map[netip.Prefix]*l3.Route{}
	l3.GatewayRoutes(gw, gateway(t))
	r.Replace(l3.OriginGateway, gw)
	r.Replace(l3.OriginStatic, own)
	leak := shared()
	r.Import(leak, from, false)
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	return &l3.VRF{ID: 1, Name: "red", L3VNI: vni9, URPF: u, FIB: r.FIB(), Leaks: []*l3.Leak{leak}}
}

// TestRouteLeaked: packets for what a contract leaks go the way that the other VRF
// has, those that only the slow path could forward are held against the contract
// first, and a source of the other VRF is true by the contract alone.
func TestRouteLeaked(t *testing.T) {
	routes := map[netip.Prefix]*l3.Route{
		pfx("10.9.0.0/24"): {Kind: l3.Connected, VNI: vni2}, pfx("10.9.0.1/32"): {Kind: l3.Local, VNI: vni2},
		pfx("10.9.0.5/32"): to(neighbour(t, "10.9.0.5", 0x02aa)), pfx("10.9.0.6/32"): leaf(7),
		pfx("10.9.0.255/32"): {Kind: l3.Blackhole}, pfx("10.9.1.5/32"): to(neighbour(t, "10.9.1.5", 0x02bb)),
		pfx("fd00:9::/64"): leaf(8),
	}
	own := map[netip.Prefix]*l3.Route{pfx("10.7.0.0/16"): leaf(3)}
	host := l3.Decision{Action: l3.Host, VNI: vni2, MAC: 0x02aa}
	for _, tt := range []struct {
		name, src, dst string
		ttl            uint8
		urpf           l3.URPF
		l3             bool
		want           l3.Decision
	}{
		{name: "to a host", src: "10.1.1.5", dst: "10.9.0.5", want: host},
		{name: "to a leaf", src: "10.1.1.5", dst: "10.9.0.6", want: l3.Decision{Action: l3.Leaf, VNI: vni9, VTEP: 7, MAC: 0x025b0aff0007}},
		{name: "IPv6", src: "fd00:1::5", dst: "fd00:9::5", want: l3.Decision{Action: l3.Leaf, VNI: vni9, VTEP: 8, MAC: 0x025b0aff0008}},
		{name: "not known yet", src: "10.1.1.5", dst: "10.9.0.9",
			want: l3.Decision{Action: l3.Punt, Cause: l3.Unresolved, Reason: counter.NeighbourUnresolved, VNI: vni2, Next: addr("10.9.0.9")}},
		{name: "not known yet, from who may not", src: "10.1.1.200", dst: "10.9.0.9", want: dropped(counter.RouteNoContract)},
		{name: "to the other gateway", src: "10.1.1.5", dst: "10.9.0.1", want: l3.Decision{Action: l3.Punt, Cause: l3.ForGateway, Reason: counter.GatewayBusy}},
		{name: "to the other gateway, from who may not", src: "10.1.1.200", dst: "10.9.0.1", want: dropped(counter.RouteNoContract)},
		{name: "to the other gateway, spoofed", src: "10.2.1.5", dst: "10.9.0.1", want: dropped(counter.RouteSpoofed)},
		{name: "directed broadcast", src: "10.1.1.5", dst: "10.9.0.255", want: dropped(counter.RouteBlackhole)},
		{name: "another prefix", src: "10.1.1.5", dst: "10.9.1.5", want: l3.Decision{Action: l3.Punt, Cause: l3.NoRoute, Reason: counter.RouteNone}},
		{name: "TTL 1", src: "10.1.1.5", dst: "10.9.0.5", ttl: 1, want: l3.Decision{Action: l3.Punt, Cause: l3.Expired, Reason: counter.RouteTTLExceeded}},
		{name: "a spoofed source", src: "10.1.9.5", dst: "10.9.0.5", want: dropped(counter.RouteSpoofed)},

		{name: "an answer by the L3VNI", src: "10.9.0.5", dst: "10.1.1.5", l3: true,
			want: l3.Decision{Action: l3.Punt, Cause: l3.Unresolved, Reason: counter.NeighbourUnresolved, VNI: vni1, Next: addr("10.1.1.5")}},
		{name: "the other gateway's error by the L3VNI", src: "10.9.0.1", dst: "10.1.1.5", l3: true,
			want: l3.Decision{Action: l3.Punt, Cause: l3.Unresolved, Reason: counter.NeighbourUnresolved, VNI: vni1, Next: addr("10.1.1.5")}},
		{name: "from the L3VNI to whom no contract permits", src: "10.9.0.5", dst: "10.1.1.200", l3: true, want: dropped(counter.RouteSpoofed)},
		{name: "from the L3VNI, of what is not leaked", src: "10.9.1.5", dst: "10.1.1.5", l3: true, want: dropped(counter.RouteSpoofed)},
		{name: "a host that says it is the other VRF's", src: "10.9.0.5", dst: "10.7.0.1", want: dropped(counter.RouteSpoofed)},
		{name: "a host that says it is the other VRF's, loose", src: "10.9.0.5", dst: "10.1.1.5", urpf: l3.Loose, want: dropped(counter.RouteSpoofed)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r l3.Router
			in := gateway(t)
			if tt.l3 {
				in = nil
			}
			if tt.ttl == 0 {
				tt.ttl = 64
			}
			if got := r.Route(leaked(t, tt.urpf, own, routes), in, udp(t, tt.src, tt.dst, tt.ttl)); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestCross: who forwards across VRFs asks the contracts, of which there may be
// several with one VRF.
func TestCross(t *testing.T) {
	second := &l3.Leak{To: 2, Sources: []netip.Prefix{pfx("10.1.1.200/32")}, Prefixes: []netip.Prefix{pfx("10.9.1.0/24")}}
	v := &l3.VRF{ID: 1, Leaks: []*l3.Leak{shared(), second}}
	for _, tt := range []struct {
		to       uint32
		src, dst string
		want     counter.Reason
	}{
		{2, "10.1.1.5", "10.9.0.5", counter.None},
		{2, "fd00:1::5", "fd00:9::5", counter.None},
		{2, "10.1.1.200", "10.9.1.5", counter.None},
		{2, "10.1.1.200", "10.9.0.5", counter.RouteNoContract},
		{2, "10.1.1.5", "10.9.1.5", counter.RouteNoContract},
		{2, "10.9.0.5", "10.1.1.5", counter.RouteNoContract},
		{3, "10.1.1.5", "10.9.0.5", counter.RouteGone},
	} {
		if got := v.Cross(tt.to, addr(tt.src), addr(tt.dst)); got != tt.want {
			t.Errorf("%s to %s of VRF %d: %v, want %v", tt.src, tt.dst, tt.to, got, tt.want)
		}
	}
	src, dst := addr("10.1.1.200"), addr("10.9.1.5")
	if n := testing.AllocsPerRun(100, func() { v.Cross(2, src, dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRouteLeakedNoAllocs: a leaked route costs no allocation either.
func TestRouteLeakedNoAllocs(t *testing.T) {
	v := leaked(t, l3.Strict, nil, map[netip.Prefix]*l3.Route{pfx("10.9.0.0/24"): leaf(7)})
	var r l3.Router
	in, f := gateway(t), udp(t, "10.1.1.5", "10.9.0.5", 64)
	r.Route(v, in, f)
	if n := testing.AllocsPerRun(100, func() { r.Route(v, in, f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// world is VRFs that leak to each other, as control has them.
type world struct {
	routes []*l3.Routes
	leaks  []struct {
		leak     *l3.Leak
		in, from int
	}
}

// commit is what control does: feeds of all, then publication of all.
func (w *world) commit(t *testing.T) {
	t.Helper()
	for _, l := range w.leaks {
		w.routes[l.in].Import(l.leak, w.routes[l.from], true)
	}
	for _, r := range w.routes {
		if err := r.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestImportModel: after any changes, and contracts that come and go, each FIB has
// what a naive look at all routes says.
func TestImportModel(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	// Few prefixes that hold each other, so that they meet.
	prefix := func() netip.Prefix {
		bits := []int{0, 8, 20, 22, 24, 25, 30, 32}[rnd.IntN(8)]
		p, _ := netip.AddrFrom4([4]byte{10, 9, byte(rnd.IntN(4)), byte(rnd.IntN(4) * 64)}).Prefix(bits)
		return p
	}
	w := &world{routes: []*l3.Routes{l3.NewRoutes(), l3.NewRoutes(), l3.NewRoutes()}}
	type key struct {
		vrf int
		o   l3.Origin
		p   netip.Prefix
	}
	known := map[key]*l3.Route{}
	best := func(vrf int, p netip.Prefix) *l3.Route {
		for _, o := range []l3.Origin{l3.OriginStatic, l3.OriginNeighbour, l3.OriginEVPN} {
			if r := known[key{vrf, o, p}]; r != nil {
				return r
			}
		}
		return nil
	}
	for round := range 3000 {
		switch k := rnd.IntN(40); {
		case k == 0 && len(w.leaks) < 4: // a contract comes
			in := rnd.IntN(3)
			from := (in + 1 + rnd.IntN(2)) % 3
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(rnd.IntN(4)), 0}), 24)
			clash := false
			for _, l := range w.leaks {
				clash = clash || l.in == in && l.leak.Prefixes[0] == p
			}
			if clash {
				break
			}
			l := &l3.Leak{Contract: fmt.Sprint(round), Prefixes: []netip.Prefix{p}}
			w.leaks = append(w.leaks, struct {
				leak     *l3.Leak
				in, from int
			}{l, in, from})
			w.routes[in].Import(l, w.routes[from], false)
		case k == 1 && len(w.leaks) > 0: // and goes
			i := rnd.IntN(len(w.leaks))
			in := w.leaks[i].in
			w.leaks = append(w.leaks[:i:i], w.leaks[i+1:]...)
			var stay []*l3.Leak
			for _, l := range w.leaks {
				if l.in == in {
					stay = append(stay, l.leak)
				}
			}
			w.routes[in].Forget(stay)
		default:
			x := key{rnd.IntN(3), []l3.Origin{l3.OriginStatic, l3.OriginNeighbour, l3.OriginEVPN}[rnd.IntN(3)], prefix()}
			if rnd.IntN(3) == 0 {
				delete(known, x)
				w.routes[x.vrf].Delete(x.o, x.p)
			} else {
				known[x] = leaf(1)
				w.routes[x.vrf].Set(x.o, x.p, known[x])
			}
		}
		if rnd.IntN(3) > 0 {
			continue
		}
		w.commit(t)
		for vrf, r := range w.routes {
			want := map[netip.Prefix]*l3.Route{}
			for _, l := range w.leaks {
				if l.in != vrf {
					continue
				}
				p := l.leak.Prefixes[0]
				for bits := p.Bits(); bits >= 0 && want[p] == nil; bits-- {
					q, _ := p.Addr().Prefix(bits)
					if b := best(l.from, q); b != nil {
						want[p] = b
					}
				}
				for x := range known {
					if x.vrf == l.from && x.p.Bits() > p.Bits() && p.Contains(x.p.Addr()) {
						want[x.p] = best(l.from, x.p)
					}
				}
			}
			for x := range known {
				// The origins but EVPN go before a contract.
				if x.vrf == vrf && (want[x.p] == nil || x.o != l3.OriginEVPN) {
					want[x.p] = best(vrf, x.p)
				}
			}
			got := maps.Collect(r.FIB().Load().All())
			for p, b := range want {
				if g := got[p]; g == nil || &g.Paths[0] != &b.Paths[0] {
					t.Fatalf("seed %d, round %d, VRF %d, %v: %+v, want %+v", seed, round, vrf, p, g, b)
				}
			}
			if len(got) != len(want) {
				t.Fatalf("seed %d, round %d, VRF %d: %d routes, want %d", seed, round, vrf, len(got), len(want))
			}
		}
	}
}

// TestImportKeepsRoutes: what did not change is not published again, and what is
// leaked is not leaked on.
func TestImportKeepsRoutes(t *testing.T) {
	a, b, c := l3.NewRoutes(), l3.NewRoutes(), l3.NewRoutes()
	ab, bc := shared(), shared()
	a.Set(l3.OriginStatic, pfx("10.9.0.0/24"), leaf(1))
	all := func() {
		b.Import(ab, a, false)
		c.Import(bc, b, false)
		for _, r := range []*l3.Routes{a, b, c} {
			if err := r.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	all()
	before := b.FIB().Load()
	if r, ok := before.Get(pfx("10.9.0.0/24")); !ok || r.Leak != ab || b.Leaked(ab, pfx("10.9.0.0/24")) == nil || b.Leaked(bc, pfx("10.9.0.0/24")) != nil {
		t.Errorf("leaked route %+v", r)
	}
	if n := c.FIB().Load().Len(); n != 0 {
		t.Errorf("%d routes were leaked on", n)
	}
	all()
	if b.FIB().Load() != before {
		t.Error("published though nothing changed")
	}
}

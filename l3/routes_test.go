package l3_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3"
)

// TestRoutes: the lowest origin has a prefix, and readers see nothing before
// Commit.
func TestRoutes(t *testing.T) {
	r := l3.NewRoutes()
	p := pfx("10.1.2.2/32")
	static, host, evpn := leaf(1), to(neighbour(t, "10.1.2.2", 2)), leaf(3)
	commit := func(want *l3.Route) {
		t.Helper()
		if err := r.Commit(); err != nil {
			t.Fatal(err)
		}
		if got, ok := r.FIB().Load().Get(p); got != want || ok != (want != nil) {
			t.Errorf("the FIB has %+v, want %+v", got, want)
		}
	}
	r.Set(l3.OriginEVPN, p, evpn)
	if r.FIB().Load().Len() != 0 {
		t.Error("published before Commit")
	}
	commit(evpn)
	r.Set(l3.OriginNeighbour, p, host)
	commit(host)
	before := r.FIB().Load()
	r.Set(l3.OriginEVPN, p, leaf(4))
	commit(host)
	if r.FIB().Load() != before {
		t.Error("published though no best route changed")
	}
	r.Replace(l3.OriginStatic, map[netip.Prefix]*l3.Route{p: static, pfx("0.0.0.0/0"): static})
	commit(static)
	r.Replace(l3.OriginStatic, nil)
	commit(host)
	r.Delete(l3.OriginNeighbour, p)
	r.Delete(l3.OriginNeighbour, p)
	r.Delete(l3.OriginEVPN, p)
	commit(nil)
	if r.FIB().Load().Len() != 0 {
		t.Error("routes are left")
	}
	r.Set(l3.OriginStatic, netip.Prefix{}, static)
	if r.Commit() == nil {
		t.Error("a route for no prefix")
	}
}

func TestGatewayRoutes(t *testing.T) {
	i, err := l3.NewInterface(l3.Interface{VNI: vni1, MAC: gwMAC, Addresses: []netip.Prefix{
		pfx("10.1.1.1/24"), pfx("10.1.2.1/31"), pfx("fd00:1::1/64"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	routes := map[netip.Prefix]*l3.Route{}
	l3.GatewayRoutes(routes, i)
	r := l3.NewRoutes()
	r.Replace(l3.OriginGateway, routes)
	var got []string
	for k := range r.All() {
		got = append(got, fmt.Sprintf("%v %v", k.Prefix, k.Route.Kind))
	}
	want := []string{
		"10.1.1.0/24 connected", "10.1.1.0/32 blackhole", "10.1.1.1/32 local", "10.1.1.255/32 blackhole",
		"10.1.2.0/31 connected", "10.1.2.1/32 local", "fd00:1::/64 connected", "fd00:1::1/128 local",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestInterface(t *testing.T) {
	i := gateway(t)
	if got, want := i.LinkLocal.String(), "fe80::5a:54ff:fe00:65"; got != want {
		t.Errorf("link-local %v, want %v", got, want)
	}
	for a, want := range map[string]bool{"10.1.1.1": true, "fd00:1::1": true, "fe80::5a:54ff:fe00:65": true, "10.1.1.2": false, "fd00:1::": false} {
		if got := i.Owns(wire.AddrFrom(addr(a))); got != want {
			t.Errorf("Owns(%s) = %v", a, got)
		}
	}
	for host, want := range map[string]string{
		"10.1.1.5": "10.1.1.1", "10.9.9.9": "10.1.1.1", "fd00:1::5": "fd00:1::1", "fe80::5": "fe80::5a:54ff:fe00:65", "fd00:9::1": "fd00:1::1",
	} {
		if got := i.Source(addr(host)); got.String() != want {
			t.Errorf("Source(%s) = %v, want %s", host, got, want)
		}
	}
	for name, bad := range map[string]l3.Interface{
		"no VNI":        {MAC: gwMAC, Addresses: i.Addresses},
		"a group MAC":   {VNI: vni1, MAC: 0x010000000001, Addresses: i.Addresses},
		"no address":    {VNI: vni1, MAC: gwMAC},
		"a bad address": {VNI: vni1, MAC: gwMAC, Addresses: []netip.Prefix{{}}},
	} {
		if _, err := l3.NewInterface(bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if a, b := l3.DefaultRouterMAC(addr("10.255.0.1")), l3.DefaultRouterMAC(addr("10.255.0.2")); a == b || a.IsMulticast() || a.String() != "02:5b:0a:ff:00:01" {
		t.Errorf("router MACs %v, %v", a, b)
	}
	if m := l3.DefaultRouterMAC(addr("fd00::1")); m.IsMulticast() || m == l3.DefaultRouterMAC(addr("fd00::2")) {
		t.Errorf("router MAC %v", m)
	}
	if m := l3.DefaultMAC(10100); m.String() != "02:5a:54:00:27:74" {
		t.Errorf("gateway MAC %v", m)
	}
}

// TestCovering: the longest prefix that holds an address, and who has it.
func TestCovering(t *testing.T) {
	r := l3.NewRoutes()
	set := func(o l3.Origin, p string) *l3.Route {
		to := &l3.Route{Kind: l3.Blackhole}
		r.Set(o, netip.MustParsePrefix(p), to)
		return to
	}
	all, some, host := set(l3.OriginStatic, "0.0.0.0/0"), set(l3.OriginEVPN, "10.1.0.0/16"), set(l3.OriginNeighbour, "10.1.0.7/32")
	over := set(l3.OriginExternal, "10.1.0.0/16") // which comes before EVPN
	for a, want := range map[string]*l3.Route{"10.1.0.7": host, "10.1.0.8": over, "10.2.0.1": all, "fd00::1": nil} {
		p, o, got := r.Covering(netip.MustParseAddr(a))
		if got != want || got != nil && !p.Contains(netip.MustParseAddr(a)) {
			t.Errorf("%s: %v by %v, want %p, got %p", a, p, o, want, got)
		}
	}
	if got := len(r.Changed()); got != 3 {
		t.Errorf("%d prefixes changed, want 3", got)
	}
	r.Delete(l3.OriginExternal, netip.MustParsePrefix("10.1.0.0/16"))
	if o, got := r.Best(netip.MustParsePrefix("10.1.0.0/16")); o != l3.OriginEVPN || got != some {
		t.Errorf("then %v by %v", got, o)
	}
	if err := r.Commit(); err != nil || len(r.Changed()) != 0 {
		t.Errorf("%d changed after a commit, %v", len(r.Changed()), err)
	}
}

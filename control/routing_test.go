package control_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
)

// routed are the edits that make the site's leaf route: red gets a gateway, t2 a
// bridge domain of its own, and there is an L3VNI.
func routed(routes string) []string {
	return []string{
		"  attach: [{port: t1}]\n", "  attach: [{port: t1}]\n  vrf: one\n  gateway: {addresses: [10.1.1.1/24]}\n  static-neighbours: [{address: 10.1.1.7, mac: \"02:00:00:00:00:07\"}]\n",
		"bridge-domains:\n", "vrfs:\n- {name: one, l3vni: 50000, routes: [" + routes + `]}
- {name: two}
bridge-domains:
- {vni: 10300, name: blue, attach: [{port: t2}], protection: none, vrf: one, gateway: {addresses: [10.1.2.1/24]}}
- {vni: 50000, vteps: [192.0.2.2], protection: none}
`,
	}
}

// routesOf returns the routes of n in words, without those of gateways.
func routesOf(n *control.Node) (out []string) {
	for r := range n.Routes(status.RouteFilter{}) {
		if r.Origin == "gateway" {
			continue
		}
		s := fmt.Sprintf("%s %v %s %s", r.VRF, r.Prefix, r.Origin, r.Kind)
		for _, p := range r.Paths {
			switch {
			case p.VTEP.IsValid():
				s += fmt.Sprintf(" %v/%d/%v", p.VTEP, p.VNI, p.MAC)
			default:
				s += fmt.Sprintf(" %v/%d/%v", p.Host, p.VNI, p.MAC)
			}
		}
		out = append(out, s)
	}
	return out
}

func expectRoutes(t *testing.T, what string, n *control.Node, want ...string) {
	t.Helper()
	if got := routesOf(n); !slices.Equal(got, want) {
		t.Errorf("%s: routes\n%q, want\n%q", what, got, want)
	}
}

// TestRouting: what the configuration says of routing is what the tables have,
// and changes with it.
func TestRouting(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(routed("{prefix: 10.9.0.0/16, next-hops: [{vtep: 192.0.2.2}, {address: 10.1.2.9}]}, {prefix: 10.66.0.0/16, blackhole: true}")...)
	const host = "one 10.1.1.7/32 neighbour forward 10.1.1.7/10100/02:00:00:00:00:07"
	expectRoutes(t, "at the start", n, host,
		"one 10.9.0.0/16 static forward 192.0.2.2/50000/02:5b:c0:00:02:02 10.1.2.9/10300/00:00:00:00:00:00",
		"one 10.66.0.0/16 static blackhole")
	vs := n.VRFs()
	if len(vs) != 1 || vs[0].Name != "one" || vs[0].L3VNI != 50000 || len(vs[0].Gateways) != 2 || vs[0].RouterMAC.String() != "02:5b:c0:00:02:01" {
		t.Errorf("VRFs %+v", vs)
	}
	got := 0
	for r := range n.Routes(status.RouteFilter{Address: netip.MustParseAddr("10.1.2.1")}) {
		got++
		if r.Origin != "gateway" || !r.Best {
			t.Errorf("a route that holds the gateway is %+v", r)
		}
	}
	if got != 2 {
		t.Errorf("%d routes hold the gateway, want its own and its subnet's", got)
	}
	var hosts []string
	for h := range n.Neighbours(status.NeighbourFilter{Family: 4}) {
		hosts = append(hosts, fmt.Sprintf("%s %d %v %s", h.VRF, h.VNI, h.Address, h.State))
	}
	if want := []string{"one 10100 10.1.1.7 static", "one 10300 10.1.2.9 incomplete"}; !slices.Equal(hosts, want) {
		t.Errorf("neighbours %q, want %q", hosts, want)
	}

	apply := func(what string, edits ...string) {
		t.Helper()
		if _, err := s.apply(n, false, edits...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	apply("other routes", routed("{prefix: 10.10.0.0/16, next-hops: [{vtep: 192.0.2.2}]}")...)
	expectRoutes(t, "other routes", n, host, "one 10.10.0.0/16 static forward 192.0.2.2/50000/02:5b:c0:00:02:02")

	// A refused document changes nothing.
	if _, err := s.apply(n, false, routed("{prefix: 10.11.0.0/16}")...); err == nil {
		t.Error("a route to nowhere was applied")
	}
	if _, err := s.apply(n, true, routed("")...); err != nil {
		t.Errorf("a dry run: %v", err)
	}
	expectRoutes(t, "after what was refused", n, host, "one 10.10.0.0/16 static forward 192.0.2.2/50000/02:5b:c0:00:02:02")

	// The bridge domain goes to another VRF, and its hosts with it.
	moved := routed("")
	moved[1] = "  attach: [{port: t1}]\n  vrf: two\n  gateway: {addresses: [10.1.1.1/24]}\n  static-neighbours: [{address: 10.1.1.7, mac: \"02:00:00:00:00:07\"}]\n"
	apply("another VRF", moved...)
	expectRoutes(t, "another VRF", n, "two 10.1.1.7/32 neighbour forward 10.1.1.7/10100/02:00:00:00:00:07")

	apply("only bridged")
	expectRoutes(t, "only bridged", n)
	if len(n.VRFs()) != 0 || len(slices.Collect(n.Neighbours(status.NeighbourFilter{}))) != 0 {
		t.Error("VRFs or neighbours are left")
	}
}

// TestRolloverWhileRouted: a change of one VNI's keys leaves its gateway alone.
func TestRolloverWhileRouted(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(routed("")...)
	before := routesOf(n)
	err := n.InstallSA(status.SA{SARef: status.SARef{VNI: 10100, Direction: status.Tx, AN: 1}, KeyFile: s.dir + "/tx1.sak"})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.UseAN(10100, 1); err != nil {
		t.Fatal(err)
	}
	if vs := n.VRFs(); len(vs) != 1 || len(vs[0].Gateways) != 2 {
		t.Errorf("VRFs after the rollover: %+v", vs)
	}
	expectRoutes(t, "after the rollover", n, before...)
}

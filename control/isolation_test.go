package control_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
)

// proofs returns what applies have found.
func proofs(t *testing.T, n *control.Node) (verified, breaches uint64) {
	t.Helper()
	for _, g := range n.Counters() {
		if g.Kind == "isolation" {
			return g.Counts[0].Value, g.Counts[1].Value
		}
	}
	t.Fatal("no counters of isolation")
	return 0, 0
}

// TestIsolation: the tables of a node are looked at when asked, and at each apply,
// and a path between tenants is found.
func TestIsolation(t *testing.T) {
	s := newSite(t)
	apart := append(routed(""), "vrf: one, gateway: {addresses: [10.1.2.1/24]}", "vrf: two, gateway: {addresses: [10.1.2.1/24]}")
	apart[3] = strings.Replace(apart[3], apart[4], apart[5], 1)
	apart = apart[:4]
	n := s.mustStart(apart...)
	expect := func(what string, breaches int, verified, found uint64) status.Isolation {
		t.Helper()
		r := n.Isolation()
		if len(r.Breaches) != breaches || r.Tenants != 2 || r.Steps < 10 || r.Generation != n.Status().Generation {
			t.Errorf("%s: %+v, want %d breaches", what, r, breaches)
		}
		if v, b := proofs(t, n); v != verified || b != found {
			t.Errorf("%s: applies looked %d times and found %d, want %d and %d", what, v, b, verified, found)
		}
		return r
	}
	expect("at the start", 0, 1, 0)
	if _, err := s.apply(n, true, apart...); err != nil {
		t.Fatal(err)
	}
	expect("a dry run", 0, 1, 0)
	if err := n.Mislead("one", netip.MustParsePrefix("10.3.0.0/16"), 10300); err != nil {
		t.Fatal(err)
	}
	r := expect("a route into VRF two", 1, 1, 0)
	want := status.Breach{From: "VRF one", To: "VRF two", Step: "VRF one routes 10.3.0.0/16 into VNI 10300"}
	if len(r.Breaches) != 1 || r.Breaches[0] != want {
		t.Errorf("found %+v, want %+v", r.Breaches, want)
	}
	// An apply that would leave it there is refused, and changes nothing.
	gen := n.Status().Generation
	_, err := s.apply(n, false, apart...)
	if err == nil || !strings.Contains(err.Error(), "isolation: VRF one routes 10.3.0.0/16 into VNI 10300: that leads from VRF one to VRF two") {
		t.Errorf("applied beside it: %v", err)
	}
	if now := n.Status().Generation; now != gen {
		t.Errorf("generation went from %d to %d", gen, now)
	}
	expect("refused beside it", 1, 1, 0)
	// One in which it leads nowhere else is not.
	if _, err := s.apply(n, false, routed("")...); err != nil {
		t.Fatal(err)
	}
	if r := n.Isolation(); len(r.Breaches) != 0 {
		t.Errorf("both are one VRF now: %+v", r)
	}
}

package control_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
)

// contracted are the edits of a leaf with BGP and VRFs one, of 10.1.1.0/24 and L3VNI
// 50000, and two, of 10.1.2.0/24 and L3VNI 60000, with contracts.
func contracted(contracts string) []string {
	edits := withBGP("",
		"attach: [{port: t2}], protection: none, vrf: one", "attach: [{port: t2}], protection: none, vrf: two",
		"- {name: two}", "- {name: two, l3vni: 60000}",
		"- {vni: 50000,", "- {vni: 60000, vteps: [192.0.2.2], protection: none}\n- {vni: 50000,",
	)
	edits[3] = "contracts: [" + contracts + "]\n" + edits[3]
	return edits
}

const oneTwo = "{name: one-two, from: one, to: two, prefixes: [10.1.2.0/25], return: [10.1.1.0/24]}"

// leakedOf returns the leaked routes of a VRF as "prefix kind of-VRF contract".
func leakedOf(n *control.Node, vrf string) (out []string) {
	for r := range n.Routes(status.RouteFilter{VRF: vrf}) {
		if r.Origin == "contract" {
			out = append(out, strings.Join([]string{r.Prefix.String(), r.Kind, r.From, r.Contract}, " "))
		}
	}
	return out
}

func expectLeaked(t *testing.T, what string, n *control.Node, vrf string, want ...string) {
	t.Helper()
	if got := leakedOf(n, vrf); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("%s: VRF %s has leaked %q, want %q", what, vrf, got, want)
	}
}

// TestContract: VRFs have of each other what a contract says, as long as it says
// so, and the proof names it.
func TestContract(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(contracted("")...)
	apply := func(what, contracts string) {
		t.Helper()
		if _, err := s.apply(n, false, contracted(contracts)...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	expectLeaked(t, "without a contract", n, "one")
	apply("a contract", oneTwo)
	one := []string{"10.1.2.0/25 connected two one-two", "10.1.2.0/32 blackhole two one-two", "10.1.2.1/32 local two one-two"}
	two := []string{
		"10.1.1.0/24 connected one one-two", "10.1.1.0/32 blackhole one one-two", "10.1.1.1/32 local one one-two",
		"10.1.1.7/32 forward one one-two", "10.1.1.255/32 blackhole one one-two",
	}
	expectLeaked(t, "a contract", n, "one", one...)
	expectLeaked(t, "a contract", n, "two", two...)

	// Hosts of the other VRF that EVPN finds.
	leaf2 := netip.MustParseAddr("192.0.2.2")
	n.Hear(evpn.Peer{ID: 1, Addr: leaf2, IBGP: true})
	n.HearRoutes(1, typeFive("10.1.2.77/32", 60000), typeFive("10.1.2.200/32", 60000), typeFive("10.5.0.0/16", 60000))
	const host, far, more = "one 10.1.1.7/32 neighbour forward 10.1.1.7/10100/02:00:00:00:00:07", "10.1.2.77/32", " forward 192.0.2.2/60000/02:00:00:00:00:22"
	awaitRoutes(t, "heard", n, host,
		"one 10.1.2.0/25 contract connected", "one 10.1.2.0/32 contract blackhole", "one 10.1.2.1/32 contract local", "one "+far+" contract"+more,
		"two 10.1.1.0/24 contract connected", "two 10.1.1.0/32 contract blackhole", "two 10.1.1.1/32 contract local",
		strings.Replace(strings.Replace(host, "one", "two", 1), "neighbour", "contract", 1), "two 10.1.1.255/32 contract blackhole",
		"two "+far+" evpn"+more, "two 10.1.2.200/32 evpn"+more, "two 10.5.0.0/16 evpn"+more)
	expectAnnounced(t, "not asked to", n, 50000, "10.1.1.0/24")

	r := n.Isolation()
	if len(r.Breaches) != 0 || len(r.Permitted) == 0 {
		t.Errorf("proof of a contract: %+v", r)
	}
	for _, p := range r.Permitted {
		if p.Contract != "one-two" {
			t.Errorf("permitted by %q: %+v", p.Contract, p)
		}
	}

	apply("announced", strings.Replace(oneTwo, "return:", "advertise: true, return:", 1))
	expectAnnounced(t, "announced", n, 50000, "10.1.1.0/24", "10.1.2.0/25")
	expectAnnounced(t, "announced", n, 60000, "10.1.1.0/24", "10.1.2.0/24")

	apply("another prefix", strings.Replace(oneTwo, "10.1.2.0/25", "10.5.0.0/20", 1))
	expectLeaked(t, "another prefix", n, "one", "10.5.0.0/20 forward two one-two")
	expectLeaked(t, "another prefix", n, "two", two...)
	expectAnnounced(t, "no longer asked to", n, 50000, "10.1.1.0/24")

	// Its route comes and goes, and with it what is announced.
	apply("announced", strings.NewReplacer("10.1.2.0/25", "10.5.0.0/20", "return:", "advertise: true, return:").Replace(oneTwo))
	expectAnnounced(t, "of what EVPN found", n, 50000, "10.1.1.0/24", "10.5.0.0/20")
	gone := typeFive("10.5.0.0/16", 60000)
	gone.Withdraw = true
	n.HearRoutes(1, gone)
	awaitRoutes(t, "withdrawn", n, host,
		"two 10.1.1.0/24 contract connected", "two 10.1.1.0/32 contract blackhole", "two 10.1.1.1/32 contract local",
		strings.Replace(strings.Replace(host, "one", "two", 1), "neighbour", "contract", 1), "two 10.1.1.255/32 contract blackhole",
		"two "+far+" evpn"+more, "two 10.1.2.200/32 evpn"+more)
	expectAnnounced(t, "of what EVPN lost", n, 50000, "10.1.1.0/24")

	// What a contract leaked may become a third VRF's in the apply that keeps it.
	apply("as before", oneTwo)
	third := contracted(oneTwo)
	third[3] = strings.Replace(third[3], "- {name: two, l3vni: 60000}", "- {name: two, l3vni: 60000}\n- {name: three}", 1)
	third[3] = strings.Replace(third[3], "protection: none, vrf: two", "protection: none, vrf: three", 1)
	if _, err := s.apply(n, false, third...); err != nil {
		t.Errorf("the bridge domain goes to another VRF: %v", err)
	}
	expectLeaked(t, "of a VRF that lost its bridge domain", n, "one", "10.1.2.77/32 forward two one-two") // by EVPN

	apply("no contract", "")
	expectLeaked(t, "no contract", n, "one")
	expectLeaked(t, "no contract", n, "two")
	if r := n.Isolation(); len(r.Breaches) != 0 || len(r.Permitted) != 0 {
		t.Errorf("proof without a contract: %+v", r)
	}
}

// TestBrokenIsolationIsRefused: a configuration that would let a path lead from one
// tenant to another is not applied, started or called good, and nothing changes.
func TestBrokenIsolationIsRefused(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(contracted(oneTwo)...)
	before, leaked, gen := inForce(t, n), leakedOf(n, "one"), n.Status().Generation
	// The same key by another name, under another SCI: no nonce would repeat.
	s.write("copy.sak", strings.Repeat("a0", 32))
	shared := contracted(oneTwo)
	shared[3] = strings.Replace(shared[3], "- {vni: 60000, vteps: [192.0.2.2], protection: none}", `- vni: 60000
  vteps: [192.0.2.2]
  macsec:
    tx: {sci: "0200000000010009", an: 0, sas: [{an: 0, key-file: DIR/tx1.sak}]}
    peers: [{vtep: 192.0.2.2, sci: "0200000000020009", sas: [{an: 0, key-file: DIR/copy.sak}]}]`, 1)
	const path, problem = "bridge-domains[3].macsec.tx.sas[0].key-file", "the key of VRF one is also one of VRF two, at bridge-domains[1].macsec.peers[0].sas[0].key-file: they would not be isolated"
	for _, dry := range []bool{true, false} {
		_, err := s.apply(n, dry, shared...)
		faults, ok := errors.AsType[config.Faults](err)
		if !ok {
			t.Fatalf("dry %t: err = %v, want faults", dry, err)
		}
		if len(faults) != 1 || faults[0].Problem != problem || faults[0].Fix == "" || faults[0].Path != path {
			t.Errorf("dry %t: faults %v, want %s: %s", dry, faults, path, problem)
		}
	}
	if after := inForce(t, n); after != before || n.Status().Generation != gen || strings.Join(leakedOf(n, "one"), ",") != strings.Join(leaked, ",") {
		t.Errorf("something changed:\n was %s\n now %s", before, after)
	}
	for _, g := range n.Counters() {
		if g.Kind == "isolation" && (g.Counts[2].Name != "refused" || g.Counts[2].Value != 2) {
			t.Errorf("counted %+v, want 2 refused", g.Counts)
		}
	}
	n.Close()
	if again, err := s.start(shared...); err == nil {
		again.Close()
		t.Error("a node started so")
	}
	if _, err := control.Check(s.write("engine.yaml", s.document(shared...))); err == nil || !strings.Contains(err.Error(), "would not be isolated") {
		t.Errorf("the check says %v", err)
	}
	if _, err := control.Check(s.write("engine.yaml", s.document(contracted(oneTwo)...))); err != nil {
		t.Errorf("the check of a good one says %v", err)
	}
}

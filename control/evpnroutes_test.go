package control_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/control"
	"github.com/ztos/ztos/engine/table"
)

// withBGP are the edits of routed for a leaf with BGP; more are pairs that come
// after them.
func withBGP(routes string, more ...string) []string {
	edits := routed(routes)
	edits[3] = "bgp: {asn: 65000, neighbors: [{address: 192.0.2.2}]}\n" + edits[3]
	for i := 0; i < len(more); i += 2 {
		edits[1] = strings.ReplaceAll(edits[1], more[i], more[i+1])
		edits[3] = strings.ReplaceAll(edits[3], more[i], more[i+1])
	}
	return append(edits, "host: {mode: none}", "host: {mode: netstack}")
}

// typeFive is a route of leaf2 for the VRF of an L3VNI.
func typeFive(prefix string, vni table.VNI) evpn.Update {
	leaf2 := netip.MustParseAddr("192.0.2.2")
	rt, _ := evpn.NewRT(65000, uint32(vni))
	return evpn.Update{Peer: 1, Route: evpn.Route{
		Key: evpn.KeyOfPrefix(evpn.NewRD(leaf2, uint16(vni)), 0, netip.MustParsePrefix(prefix)),
		Attrs: evpn.Attrs{
			NextHop: leaf2, RTs: []evpn.RT{rt}, Label1: vni, Encaps: evpn.EncapVXLAN, RouterMAC: 0x020000000022,
			Preference: evpn.Preference{LocalPref: 100},
		},
	}}
}

// awaitRoutes waits until n has routes, as expectRoutes compares them: the loop
// takes what it hears in its own time.
func awaitRoutes(t *testing.T, what string, n *control.Node, want ...string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if slices.Equal(routesOf(n), want) {
			return
		}
	}
	expectRoutes(t, what, n, want...)
}

// expectAnnounced compares the prefixes that n announces for an L3VNI.
func expectAnnounced(t *testing.T, what string, n *control.Node, vni table.VNI, want ...string) {
	t.Helper()
	var got []string
	for k, a := range n.Announced() {
		if k.Kind == evpn.Prefix && a.Label1 == vni {
			got = append(got, k.Prefix().String())
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s: announced for %d %v, want %v", what, vni, got, want)
	}
}

// TestEVPNRoutes: what a peer announces is routed in the VRF whose L3VNI it is, by
// whatever name, and no longer when the L3VNI or the peer's grant is another.
func TestEVPNRoutes(t *testing.T) {
	s := newSite(t)
	n := s.mustStart(withBGP("")...)
	apply := func(edits ...string) {
		t.Helper()
		if _, err := s.apply(n, false, edits...); err != nil {
			t.Fatal(err)
		}
	}
	const host = "one 10.1.1.7/32 neighbour forward 10.1.1.7/10100/02:00:00:00:00:07"
	const nine = "one 10.9.0.0/16 evpn forward 192.0.2.2/50000/02:00:00:00:00:22"
	n.Hear(evpn.Peer{ID: 1, Addr: netip.MustParseAddr("192.0.2.2"), IBGP: true})
	n.HearRoutes(1, typeFive("10.9.0.0/16", 50000), typeFive("10.8.0.0/16", 50001))
	awaitRoutes(t, "heard", n, host, nine)
	expectAnnounced(t, "at the start", n, 50000, "10.1.1.0/24", "10.1.2.0/24")

	apply(withBGP("{prefix: 10.9.0.0/16, blackhole: true, advertise: true}, {prefix: 10.77.0.0/16, next-hops: [{address: 10.1.2.9}], advertise: true}, {prefix: 10.66.0.0/16, blackhole: true}")...)
	awaitRoutes(t, "with static routes", n, host,
		"one 10.9.0.0/16 static blackhole", nine, "one 10.66.0.0/16 static blackhole",
		"one 10.77.0.0/16 static forward 10.1.2.9/10300/00:00:00:00:00:00")
	expectAnnounced(t, "a next hop that nobody is", n, 50000, "10.1.1.0/24", "10.1.2.0/24", "10.9.0.0/16")
	apply(withBGP("{prefix: 10.77.0.0/16, next-hops: [{address: 10.1.2.9}], advertise: true}",
		"gateway: {addresses: [10.1.2.1/24]}", "gateway: {addresses: [10.1.2.1/24]}, static-neighbours: [{address: 10.1.2.9, mac: \"02:00:00:00:00:09\"}]")...)
	expectAnnounced(t, "and one that is", n, 50000, "10.1.1.0/24", "10.1.2.0/24", "10.77.0.0/16")

	apply(withBGP("", "name: one", "name: uno", "vrf: one", "vrf: uno")...)
	awaitRoutes(t, "another name", n, strings.Replace(host, "one", "uno", 1), strings.Replace(nine, "one", "uno", 1))
	apply(withBGP("", "50000", "50001")...)
	awaitRoutes(t, "another L3VNI", n, "one 10.1.1.7/32 neighbour forward 10.1.1.7/10100/02:00:00:00:00:07",
		"one 10.8.0.0/16 evpn forward 192.0.2.2/50001/02:00:00:00:00:22")
	expectAnnounced(t, "another L3VNI", n, 50000)
	expectAnnounced(t, "another L3VNI", n, 50001, "10.1.1.0/24", "10.1.2.0/24")

	apply(withBGP("", "{vni: 50000, vteps: [192.0.2.2], protection: none}", "{vni: 50000, protection: none}")...)
	awaitRoutes(t, "no grant", n, host)
	if r := n.EVPN().Refusals; len(r) != 1 || r[0].Reason != "vni-not-granted" || r[0].VTEP != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("refusals %+v", r)
	}
	apply(withBGP("")...)
	awaitRoutes(t, "granted again", n, host, nine)
	gone := typeFive("10.9.0.0/16", 50000)
	gone.Withdraw = true
	n.HearRoutes(1, gone)
	awaitRoutes(t, "withdrawn", n, host)
}

package evpn_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

func granted(vnis ...table.VNI) evpn.Grant {
	g := evpn.Grant{VNIs: map[table.VNI]bool{}}
	for _, v := range vnis {
		g.VNIs[v] = true
	}
	return g
}

// TestGrants: what a VTEP announces beyond its grants is ignored and reported;
// when the grant comes, it is taken without being announced again.
func TestGrants(t *testing.T) {
	c := leafConfig(t, 1)
	c.Grants = map[netip.Addr]evpn.Grant{vtep(2): granted(vni100, l3vni), vtep(3): granted(vni200)}
	n := newNode(t, 1, c)
	for _, i := range []int{2, 3, 4} {
		r := remoteOf(n, i)
		r.announceMAC(0, vni100, host(i), "", evpn.Mobility{})
		k, a := imet(t, r, vni100)
		r.announce(0, k, a)
		k, a = r.prefix("198.51.100.0/24")
		r.announce(0, k, a)
	}
	n.flush(0)
	if _, ok := n.macs[macKey{vni100, host(2)}]; !ok || len(n.macs) != 1 {
		t.Errorf("macs %v, want that of leaf 2", n.macs)
	}
	if got := n.floods[vni100]; len(got) != 1 || got[0].VTEP != vtep(2) {
		t.Errorf("flood list %v, want leaf 2", got)
	}
	p := prefixKey{red, prefix("198.51.100.0/24")}
	if got := n.prefixes[p]; !sameHops(got, []evpn.NextHop{hop(2)}) {
		t.Errorf("next hops %v, want leaf 2", got)
	}
	refused := map[netip.Addr]int{}
	for _, e := range n.events {
		if e.Kind != evpn.EventRefused || e.Reason != evpn.ReasonVNIGrant {
			t.Errorf("event %+v", e)
		}
		refused[e.To]++
	}
	if refused[vtep(2)] != 0 || refused[vtep(3)] != 3 || refused[vtep(4)] != 3 {
		t.Errorf("refused %v, want 3 of leaf 3 and of leaf 4", refused)
	}
	c.Grants = map[netip.Addr]evpn.Grant{vtep(3): granted(vni100, l3vni)}
	n.configure(1, c)
	n.flush(1)
	if _, ok := n.macs[macKey{vni100, host(3)}]; !ok || len(n.macs) != 1 {
		t.Errorf("macs %v, want that of leaf 3", n.macs)
	}
	if got := n.prefixes[p]; !sameHops(got, []evpn.NextHop{hop(3)}) {
		t.Errorf("next hops %v, want leaf 3", got)
	}
	c.Grants = nil
	n.configure(2, c)
	n.flush(2)
	if len(n.macs) != 3 || len(n.floods[vni100]) != 3 || len(n.prefixes[p]) != 3 {
		t.Errorf("without limit: %v, %v, %v", n.macs, n.floods, n.prefixes)
	}
}

// TestGrantedMACs: grants of single MACs.
func TestGrantedMACs(t *testing.T) {
	c := leafConfig(t, 1)
	g := granted(vni100, vni200, l3vni)
	g.MACs = map[table.VNI]map[table.MAC]bool{vni100: {host(1): true}}
	c.Grants = map[netip.Addr]evpn.Grant{vtep(2): g}
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	r.announceMAC(0, vni100, host(1), "192.0.2.1", evpn.Mobility{})
	r.announceMAC(0, vni100, host(2), "192.0.2.2", evpn.Mobility{})
	r.announceMAC(0, vni200, host(2), "", evpn.Mobility{})
	n.learn(0, vni100, host(3))
	r.announceMAC(0, vni100, host(3), "", seq(9)) // steals nothing
	n.flush(0)
	if _, bad := n.macs[macKey{vni100, host(2)}]; bad || len(n.macs) != 2 || len(n.neighbours) != 1 {
		t.Errorf("macs %v, neighbours %v", n.macs, n.neighbours)
	}
	if v, _ := n.MAC(vni100, host(3)); !v.Local || len(n.evictions) > 0 {
		t.Errorf("a MAC that was not granted moved: %+v", v)
	}
	for _, e := range n.events {
		if e.Reason != evpn.ReasonMACGrant || e.VNI != 0 || e.MAC != host(2) && e.MAC != host(3) {
			t.Errorf("event %+v", e)
		}
	}
	if n.count(evpn.EventRefused) != 2 {
		t.Errorf("%d refusals, want 2", n.count(evpn.EventRefused))
	}
	g.MACs = map[table.VNI]map[table.MAC]bool{vni100: {host(2): true}}
	c.Grants = map[netip.Addr]evpn.Grant{vtep(2): g}
	n.configure(1, c)
	n.flush(1)
	if _, ok := n.macs[macKey{vni100, host(1)}]; ok {
		t.Error("the grant is gone, and the MAC is still there")
	}
	if _, ok := n.macs[macKey{vni100, host(2)}]; !ok {
		t.Error("granted, and not there")
	}
}

// TestGrantedTunnel: a flood list does not lead to a VTEP that has no grant,
// whoever names it.
func TestGrantedTunnel(t *testing.T) {
	c := leafConfig(t, 1)
	c.Grants = map[netip.Addr]evpn.Grant{vtep(2): granted(vni100)}
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	k, a := imet(t, r, vni100)
	a.PMSI.Endpoint = vtep(9)
	r.announce(0, k, a)
	n.flush(0)
	if len(n.floods) > 0 || n.count(evpn.EventRefused) != 1 {
		t.Errorf("lists %v, events %v", n.floods, n.events)
	}
}

// TestGrantedSegment: a VTEP without grant for a VNI takes no part in its
// election.
func TestGrantedSegment(t *testing.T) {
	grants := map[netip.Addr]evpn.Grant{vtep(1): granted(vni100, vni200), vtep(2): granted(vni200)}
	f := mesh(t, 2, func(i int, c *evpn.Config) {
		c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100, vni200},
			DF: evpn.DFElection{Alg: evpn.DFHighest, Preference: uint16(i)}}}
		if i == 1 {
			c.Grants = grants
		}
	})
	for _, n := range f.nodes {
		n.SegmentUp(f.now, es1)
	}
	f.settle()
	f.after(10 * sec)
	one := f.leaf(1).segments
	if a, b := one[segmentKey{vni100, es1}], one[segmentKey{vni200, es1}]; !a.DF || b.DF {
		t.Errorf("leaf1 is DF of VNI 100: %v, of VNI 200: %v; want true, false", a.DF, b.DF)
	}
}

// TestMembers: a spine learns which VTEP is in which VNI, from all routes, and
// whether it may be.
func TestMembers(t *testing.T) {
	c := evpn.Config{VTEP: vtep(250), RouterID: vtep(250), Members: true,
		Grants: map[netip.Addr]evpn.Grant{vtep(2): granted(vni100, l3vni)}}
	n := newNode(t, 250, c)
	r := remoteOf(n, 2)
	k3, a3 := imet(t, r, vni100)
	r.announce(0, k3, a3)
	for i := range 50 {
		r.announceMAC(0, vni100, host(i), "", evpn.Mobility{})
	}
	r.announceMAC(0, vni200, host(1), "192.0.2.1", evpn.Mobility{})
	n.flush(0)
	want := map[memberKey]bool{{vtep(2), vni100}: true, {vtep(2), vni200}: false, {vtep(2), l3vni}: true}
	if len(n.members) != len(want) || len(n.macs)+len(n.floods)+len(n.prefixes) > 0 {
		t.Errorf("members %v", n.members)
	}
	for k, ok := range want {
		if m, there := n.members[k]; !there || m.Granted != ok {
			t.Errorf("%v: %+v (%v), want granted %v", k, m, there, ok)
		}
	}
	k, a := r.mac(vni100, host(77), "", evpn.Mobility{})
	a.Preference.MED = 7 // other attributes, the same membership
	r.announce(1, k, a)
	if c := n.flush(1); !c.Empty() {
		t.Errorf("another route of a member: %+v", c)
	}
	k, _ = r.mac(vni200, host(1), "192.0.2.1", evpn.Mobility{})
	r.withdraw(1, k)
	r.withdraw(1, k3)
	n.flush(1)
	if _, there := n.members[memberKey{vtep(2), vni100}]; !there || len(n.members) != 1 {
		t.Errorf("members %v, want VNI 100 by its MACs", n.members)
	}
	c.Grants = nil
	n.configure(2, c)
	if c := n.flush(2); len(c.Members) != 1 || !c.Members[0].Granted {
		t.Errorf("changes %+v", c.Members)
	}
	n.PeerDown(3, 2, false)
	n.flush(3)
	if len(n.members) > 0 {
		t.Errorf("members %v", n.members)
	}
	c.Members = false
	n.configure(4, c)
	r = remoteOf(n, 2)
	r.announce(4, k3, a3)
	if n.flush(4); len(n.members) > 0 {
		t.Errorf("members %v although not asked for", n.members)
	}
	c.Members = true
	n.configure(5, c)
	if n.flush(5); len(n.members) != 1 {
		t.Errorf("members %v, want those of the routes that were there", n.members)
	}
	c.Members = false
	n.configure(6, c)
	if n.flush(6); len(n.members) != 0 {
		t.Errorf("members %v", n.members)
	}
}

package bgp_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/route"
)

func TestReflector(t *testing.T) {
	rt100, _ := evpn.NewRT(65000, 100)
	rt200, _ := evpn.NewRT(65000, 200)
	rr := start(t, "127.0.3.1", bgp.Config{RouterID: netip.MustParseAddr("10.255.0.100")})
	var leaves []*node
	var peers []bgp.Peer
	for i, addr := range []string{"127.0.3.11", "127.0.3.12"} {
		l := start(t, addr, bgp.Config{RouterID: netip.AddrFrom4([4]byte{10, 255, 0, byte(i + 1)})})
		leaves = append(leaves, l)
		if i == 1 {
			// The second leaf wants the tenant of VNI 100 and no other.
			if err := l.SetInterest(evpn.Interest{RTs: []evpn.RT{rt100}}); err != nil {
				t.Fatal(err)
			}
		}
		fams := []bgp.Family{{AFI: bgp.EVPN}, {AFI: bgp.RTInterest}}
		peers = append(peers, bgp.Peer{Name: addr, Addr: l.listen.Addr(), ASN: 65000, Client: true, Passive: true, Families: fams})
		l.peers(bgp.Peer{Name: "rr", Addr: rr.listen.Addr(), Port: rr.listen.Port(), Local: l.listen.Addr(), ASN: 65000, Families: fams})
	}
	rr.peers(peers...)
	for _, l := range leaves {
		l.up()
	}
	other := exampleRoutes()[1]
	other.Key.RD = evpn.NewRD(rid, 3)
	other.Attrs.RTs = []evpn.RT{rt200}
	if err := leaves[0].Announce(append(exampleRoutes(), other)); err != nil {
		t.Fatal(err)
	}
	got := leaves[1].routes(3)
	for _, u := range got {
		a := u.Route.Attrs
		if u.Route.Key == other.Key {
			t.Errorf("%v came, of a tenant that is not here", u.Route.Key)
		}
		if a.NextHop != rid || a.Preference.Originator != rid || a.Preference.ClusterLen != 1 {
			t.Errorf("%v: next hop %v, originator %v, %d clusters", u.Route.Key, a.NextHop, a.Preference.Originator, a.Preference.ClusterLen)
		}
	}
	// Interest grows: the rest comes.
	if err := leaves[1].SetInterest(evpn.Interest{RTs: []evpn.RT{rt100, rt200}}); err != nil {
		t.Fatal(err)
	}
	if u := leaves[1].routes(1)[0]; u.Route.Key != other.Key || u.Withdraw {
		t.Errorf("%+v, want %v", u, other.Key)
	}
	// And shrinks.
	if err := leaves[1].SetInterest(evpn.Interest{RTs: []evpn.RT{rt200}}); err != nil {
		t.Fatal(err)
	}
	for _, u := range leaves[1].routes(3) {
		if !u.Withdraw {
			t.Errorf("%+v, want withdrawals", u)
		}
	}
}

// TestReflectedSegment: a leaf that wants the routes of a segment, which have no route
// target, gets them from a reflector, and the other leaf does not.
func TestReflectedSegment(t *testing.T) {
	rt100, _ := evpn.NewRT(65000, 100)
	esi := evpn.ESI{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	esImport := evpn.RT{0x06, 0x02, 1, 2, 3, 4, 5, 6}
	rr := start(t, "127.0.8.1", bgp.Config{RouterID: netip.MustParseAddr("10.255.0.100")})
	var leaves []*node
	var peers []bgp.Peer
	fams := []bgp.Family{{AFI: bgp.EVPN}, {AFI: bgp.RTInterest}}
	for i, want := range [][]evpn.RT{{rt100}, {esImport, rt100}, {rt100}} {
		addr := netip.AddrFrom4([4]byte{127, 0, 8, byte(11 + i)}).String()
		l := start(t, addr, bgp.Config{RouterID: netip.AddrFrom4([4]byte{10, 255, 0, byte(i + 1)})})
		leaves = append(leaves, l)
		if err := l.SetInterest(evpn.Interest{RTs: want}); err != nil {
			t.Fatal(err)
		}
		peers = append(peers, bgp.Peer{Name: addr, Addr: l.listen.Addr(), ASN: 65000, Client: true, Passive: true, Families: fams})
		l.peers(bgp.Peer{Name: "rr", Addr: rr.listen.Addr(), Port: rr.listen.Port(), Local: l.listen.Addr(), ASN: 65000, Families: fams})
	}
	rr.peers(peers...)
	for _, l := range leaves {
		l.up()
	}
	es := evpn.Route{Key: evpn.KeyOfSegment(evpn.NewRD(rid, 9), esi, rid), Attrs: evpn.Attrs{
		NextHop: rid, Encaps: evpn.EncapVXLAN, ESImport: esi.Import(), DF: evpn.DFElection{Present: true, Alg: evpn.DFHighest, Preference: 7},
	}}
	if err := leaves[0].Announce(append([]evpn.Route{es}, exampleRoutes()...)); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, u := range leaves[1].routes(4) {
		if u.Route.Key == es.Key {
			found = true
			if a := u.Route.Attrs; a.ESImport != es.Attrs.ESImport || a.DF != es.Attrs.DF {
				t.Errorf("%+v, want %+v", a, es.Attrs)
			}
		}
	}
	if !found {
		t.Error("the segment's route did not come")
	}
	for _, u := range leaves[2].routes(3) {
		if u.Route.Key == es.Key {
			t.Error("a leaf that is not on the segment got its route")
		}
	}
}

// TestEBGP: an eBGP spine passes routes from leaf to leaf with the next hop
// unchanged: it is the VTEP.
func TestEBGP(t *testing.T) {
	spine := start(t, "127.0.4.1", bgp.Config{ASN: 65100, RouterID: netip.MustParseAddr("10.255.0.100")})
	var leaves []*node
	var peers []bgp.Peer
	for i, addr := range []string{"127.0.4.11", "127.0.4.12"} {
		asn := uint32(65001 + i)
		l := start(t, addr, bgp.Config{ASN: asn, RouterID: netip.AddrFrom4([4]byte{10, 255, 0, byte(i + 1)})})
		leaves = append(leaves, l)
		peers = append(peers, bgp.Peer{Name: addr, Addr: l.listen.Addr(), ASN: asn, Passive: true, Families: evpnOnly})
		l.peers(bgp.Peer{Name: "spine", Addr: spine.listen.Addr(), Port: spine.listen.Port(), Local: l.listen.Addr(), ASN: 65100, Families: evpnOnly})
	}
	spine.peers(peers...)
	for _, l := range leaves {
		if up := l.up(); up.Peer.IBGP || up.ASN != 65100 {
			t.Errorf("%+v", up)
		}
	}
	if err := leaves[0].Announce(exampleRoutes()); err != nil {
		t.Fatal(err)
	}
	for _, u := range leaves[1].routes(3) {
		if a := u.Route.Attrs; a.NextHop != rid || a.Preference.ASPathLen != 2 || a.Preference.NeighbourAS != 65100 {
			t.Errorf("%+v", a)
		}
	}
}

func TestUnicast(t *testing.T) {
	fams := []bgp.Family{{AFI: bgp.IPv4}, {AFI: bgp.IPv6}}
	a, b := pairUp(t, func(a, b *bgp.Peer) { a.Families, b.Families = fams, fams }, bgp.Config{ASN: 65001}, bgp.Config{ASN: 65002})
	a.up()
	b.up()
	want := []route.Unicast{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), NextHop: netip.MustParseAddr("192.0.2.1"), ASPath: []uint32{65010}, MED: 5},
		{Prefix: netip.MustParsePrefix("2001:db8::/32"), NextHop: netip.MustParseAddr("2001:db8::1")},
	}
	if err := a.AnnounceUnicast(want); err != nil {
		t.Fatal(err)
	}
	var got []bgp.UnicastUpdate
	for len(got) < 2 {
		got = append(got, b.await("prefixes", func(e bgp.Event) bool { return e.Unicast != nil }).Unicast...)
	}
	for _, u := range got {
		i := slices.IndexFunc(want, func(w route.Unicast) bool { return w.Prefix == u.Route.Prefix })
		if i < 0 || u.Withdraw || u.Route.NextHop != want[i].NextHop || u.Route.ASPath[0] != 65001 {
			t.Errorf("%+v", u)
		}
	}
	if err := a.WithdrawUnicast([]netip.Prefix{want[0].Prefix}); err != nil {
		t.Fatal(err)
	}
	u := b.await("withdrawal", func(e bgp.Event) bool { return e.Unicast != nil }).Unicast[0]
	if !u.Withdraw || u.Route.Prefix != want[0].Prefix {
		t.Errorf("%+v", u)
	}
}

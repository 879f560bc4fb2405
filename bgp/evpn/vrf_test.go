package evpn_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// TestSymmetricRoute: RFC 9135 section 5.1: both labels, both route targets,
// Router's MAC; the MAC-only route has none of it. In asymmetric mode no route
// has (section 6).
func TestSymmetricRoute(t *testing.T) {
	for _, asymmetric := range []bool{false, true} {
		c := leafConfig(t, 1)
		c.BDs[0].Asymmetric = asymmetric
		n := newNode(t, 1, c)
		for _, ip := range []string{"192.0.2.9", "2001:db8::9", "fe80::9"} {
			n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr(ip), Port: 7, Bits: evpn.NeighbourRouter})
		}
		n.flush(0)
		rd := evpn.NewRD(vtep(1), 100)
		both := []evpn.RT{rt(t, "65000:100"), rt(t, "65000:5000")}
		for _, tt := range []struct {
			ip     netip.Addr
			routed bool
			nb     evpn.Neighbour
		}{
			{netip.Addr{}, false, evpn.Neighbour{}},
			{addr("192.0.2.9"), true, evpn.Neighbour{}},
			{addr("2001:db8::9"), true, evpn.Neighbour{Present: true, Bits: evpn.NeighbourRouter}},
			{addr("fe80::9"), false, evpn.Neighbour{Present: true, Bits: evpn.NeighbourRouter}},
		} {
			a, ok := n.announced[evpn.KeyOfMAC(rd, 0, host(1), tt.ip)]
			want := evpn.Attrs{NextHop: vtep(1), RTs: both[:1], Label1: vni100, Encaps: evpn.EncapVXLAN, Neighbour: tt.nb}
			if tt.routed && !asymmetric {
				want.RTs, want.Label2, want.RouterMAC = both, l3vni, routerMAC(1)
			}
			if !ok || !slices.Equal(a.RTs, want.RTs) || a.Label1 != want.Label1 || a.Label2 != want.Label2 ||
				a.RouterMAC != want.RouterMAC || a.Neighbour != want.Neighbour {
				t.Errorf("asymmetric %v, %v: %+v (%v), want %+v", asymmetric, tt.ip, a, ok, want)
			}
		}
	}
}

// TestHostRoutes: RFC 9135 sections 4.2 and 5.2: a route with Label2 and the
// VRF's route target is a host route, also where its bridge domain is not; a
// route without is not one.
func TestHostRoutes(t *testing.T) {
	c := leafConfig(t, 1)
	c.BDs = c.BDs[1:]
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	r.announceMAC(0, vni100, host(1), "192.0.2.9", evpn.Mobility{})
	r.announceMAC(0, vni100, host(1), "2001:db8::9", evpn.Mobility{})
	r.announceMAC(0, vni100, host(1), "fe80::9", evpn.Mobility{})
	k, a := r.mac(vni100, host(2), "192.0.2.10", evpn.Mobility{})
	a.Label2, a.RouterMAC = 0, 0
	r.announce(0, k, a)
	n.flush(0)
	want := map[prefixKey][]evpn.NextHop{
		{red, prefix("192.0.2.9/32")}:    {hop(2)},
		{red, prefix("2001:db8::9/128")}: {hop(2)},
	}
	if len(n.prefixes) != len(want) || len(n.macs) > 0 {
		t.Errorf("prefixes %v, macs %v", n.prefixes, n.macs)
	}
	for k, hops := range want {
		if !sameHops(n.prefixes[k], hops) {
			t.Errorf("%v: %v, want %v", k, n.prefixes[k], hops)
		}
	}
	// The host stays and is not routed to any more: the route changes its labels.
	k, a = r.mac(vni100, host(1), "192.0.2.9", evpn.Mobility{})
	a.Label2, a.RouterMAC, a.RTs = 0, 0, a.RTs[:1]
	r.announce(0, k, a)
	n.flush(0)
	if _, ok := n.prefixes[prefixKey{red, prefix("192.0.2.9/32")}]; ok {
		t.Error("still a host route")
	}
}

// TestHostMoves: RFC 9135 section 7: host routes follow the MAC's mobility; the
// host's own leaf has none.
func TestHostMoves(t *testing.T) {
	f := mesh(t, 3, nil)
	m := evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr("192.0.2.9"), Port: 7}
	host9 := prefixKey{red, prefix("192.0.2.9/32")}
	for step, where := range []int{1, 2, 3, 1} {
		f.leaf(where).learnMAC(f.now, m)
		f.settle()
		for _, n := range f.nodes {
			var want []evpn.NextHop
			if n.i != where {
				want = []evpn.NextHop{hop(where)}
			}
			if !sameHops(n.prefixes[host9], want) {
				t.Errorf("step %d, %s: %v, want %v", step, n.name, n.prefixes[host9], want)
			}
			nb, ok := n.neighbours[ipKey{vni100, m.IP}]
			if ok == (n.i == where) || ok && nb.MAC != host(1) {
				t.Errorf("step %d, %s: neighbour %+v (%v)", step, n.name, nb, ok)
			}
		}
	}
	// The address leaves the MAC, which stays (RFC 7432 section 10).
	f.leaf(1).Forget(f.now, vni100, host(1), m.IP)
	f.settle()
	f.at(vni100, host(1), 1)
	if n := f.leaf(2); len(n.prefixes) > 0 || len(n.neighbours) > 0 {
		t.Errorf("prefixes %v, neighbours %v", n.prefixes, n.neighbours)
	}
}

// TestHostECMP: nodes of one segment that announce a host share its load; nodes
// that claim it from different places do not.
func TestHostECMP(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	host9 := prefixKey{red, prefix("192.0.2.9/32")}
	announce := func(i int, esi evpn.ESI, m evpn.Mobility) {
		r := remoteOf(n, i)
		k, a := r.mac(vni100, host(1), "192.0.2.9", m)
		a.ESI = esi
		r.announce(0, k, a)
		n.flush(0)
	}
	announce(3, es1, seq(4))
	announce(2, es1, seq(4))
	if got := n.prefixes[host9]; !sameHops(got, []evpn.NextHop{hop(2), hop(3)}) {
		t.Errorf("%v, want leaves 2 and 3", got)
	}
	announce(4, evpn.ESI{}, seq(4))
	if got := n.prefixes[host9]; !sameHops(got, []evpn.NextHop{hop(2), hop(3)}) {
		t.Errorf("%v, want leaves 2 and 3: the lower address decides", got)
	}
	announce(4, evpn.ESI{}, seq(5))
	if got := n.prefixes[host9]; !sameHops(got, []evpn.NextHop{hop(4)}) {
		t.Errorf("%v, want leaf 4", got)
	}
}

// TestHostMassWithdraw: routed traffic leaves a node whose link failed too.
func TestHostMassWithdraw(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, nil)
	for _, i := range []int{1, 2} {
		f.leaf(i).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr("192.0.2.9"), ESI: es1})
	}
	f.settle()
	three, host9 := f.leaf(3), prefixKey{red, prefix("192.0.2.9/32")}
	if got := three.prefixes[host9]; !sameHops(got, []evpn.NextHop{hop(1), hop(2)}) {
		t.Errorf("%v, want leaves 1 and 2", got)
	}
	perES := evpn.KeyOfAD(evpn.NewRD(vtep(1), 65535), es1, evpn.MaxTag)
	three.Update(f.now, []evpn.Update{{Peer: 1, Withdraw: true, Route: evpn.Route{Key: perES}}})
	three.flush(f.now)
	if got := three.prefixes[host9]; !sameHops(got, []evpn.NextHop{hop(2)}) {
		t.Errorf("%v, want leaf 2", got)
	}
}

// TestPrefixes: RFC 9136 section 4.4.1, interface-less: type 5 with label and
// Router's MAC, in both families; ECMP over equal paths, best path otherwise.
func TestPrefixes(t *testing.T) {
	f := mesh(t, 3, nil)
	for _, p := range []string{"198.51.100.0/24", "2001:db8:1::/48", "0.0.0.0/0"} {
		for _, i := range []int{2, 3} {
			if !f.leaf(i).AddPrefix(evpn.LocalPrefix{VRF: red, Prefix: prefix(p)}) {
				t.Fatalf("AddPrefix(%s) refused", p)
			}
			f.settle()
		}
		if got := f.leaf(1).prefixes[prefixKey{red, prefix(p)}]; !sameHops(got, []evpn.NextHop{hop(2), hop(3)}) {
			t.Errorf("%s: %v, want leaves 2 and 3", p, got)
		}
		f.leaf(2).RemovePrefix(red, prefix(p))
		f.settle()
		if got := f.leaf(1).Hops(red, prefix(p)); !sameHops(got, []evpn.NextHop{hop(3)}) {
			t.Errorf("%s: %v, want leaf 3", p, got)
		}
	}
	for _, l := range []evpn.LocalPrefix{
		{VRF: 99, Prefix: prefix("10.0.0.0/8")}, {VRF: red},
		{VRF: red, Prefix: prefix("10.0.0.0/8"), Gateway: addr("2001:db8::1")},
	} {
		if f.leaf(1).AddPrefix(l) {
			t.Errorf("AddPrefix(%+v) accepted", l)
		}
	}
}

// TestBestPrefix: RFC 4271 section 9.1.2 among routes of several announcers: the
// better wins, equals share the load.
func TestBestPrefix(t *testing.T) {
	base := evpn.Preference{LocalPref: 100, ASPathLen: 2, Origin: 1, MED: 10, NeighbourAS: 65001}
	for _, tt := range []struct {
		name   string
		change func(p *evpn.Preference, stale *bool) // of leaf 3
		want   []int
	}{
		{"equal", func(*evpn.Preference, *bool) {}, []int{2, 3}},
		{"greater LOCAL_PREF", func(p *evpn.Preference, _ *bool) { p.LocalPref = 101 }, []int{3}},
		{"longer AS path", func(p *evpn.Preference, _ *bool) { p.ASPathLen = 3 }, []int{2}},
		{"LOCAL_PREF before AS path", func(p *evpn.Preference, _ *bool) { p.LocalPref, p.ASPathLen = 101, 9 }, []int{3}},
		{"lower origin", func(p *evpn.Preference, _ *bool) { p.Origin = 0 }, []int{3}},
		{"lower MED of the same AS", func(p *evpn.Preference, _ *bool) { p.MED = 5 }, []int{3}},
		{"lower MED of another AS", func(p *evpn.Preference, _ *bool) { p.MED, p.NeighbourAS = 5, 65002 }, []int{2, 3}},
		{"longer cluster list is a tie-break only", func(p *evpn.Preference, _ *bool) { p.ClusterLen = 2 }, []int{2, 3}},
		{"stale (RFC 9494) comes last", func(p *evpn.Preference, s *bool) { p.LocalPref, *s = 999, true }, []int{2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			for _, i := range []int{2, 3} {
				r := remoteOf(n, i)
				k, a := r.prefix("198.51.100.0/24")
				a.Preference = base
				if i == 3 {
					tt.change(&a.Preference, &a.Stale)
				}
				r.announce(0, k, a)
			}
			n.flush(0)
			var want []evpn.NextHop
			for _, i := range tt.want {
				want = append(want, hop(i))
			}
			if got := n.prefixes[prefixKey{red, prefix("198.51.100.0/24")}]; !sameHops(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// TestBestPath: of one key by several sessions: mobility, then BGP, then the
// originator, the cluster list, the peer's address.
func TestBestPath(t *testing.T) {
	type way struct {
		m          evpn.Mobility
		local      uint32
		originator netip.Addr
		cluster    uint8
		ebgp       bool
	}
	for _, tt := range []struct {
		name string
		a, b way // by sessions 11 and 12
		want evpn.PeerID
	}{
		{"equal: the lower address of the peer", way{}, way{}, 11},
		{"a newer number beats LOCAL_PREF", way{local: 200}, way{m: seq(1)}, 12},
		{"LOCAL_PREF", way{}, way{local: 200}, 12},
		{"eBGP", way{}, way{ebgp: true}, 12},
		{"the lower originator", way{originator: addr("9.0.0.2")}, way{originator: addr("9.0.0.1")}, 12},
		{"the shorter cluster list", way{originator: addr("9.0.0.1"), cluster: 2}, way{originator: addr("9.0.0.1"), cluster: 1}, 12},
	} {
		for _, order := range [][2]int{{0, 1}, {1, 0}} {
			n := newNode(t, 1, leafConfig(t, 1))
			k, attrs := remoteOf(n, 2).mac(vni100, host(1), "", evpn.Mobility{})
			for _, i := range order {
				w := [2]way{tt.a, tt.b}[i]
				p := peerOf(11 + i)
				p.RouterID = addr("8.8.8.8")
				p.IBGP = !w.ebgp
				n.PeerUp(p)
				a := attrs
				a.Mobility, a.Preference.LocalPref = w.m, 100+w.local
				a.Preference.Originator, a.Preference.ClusterLen = w.originator, w.cluster
				n.Update(0, []evpn.Update{{Peer: p.ID, Route: evpn.Route{Key: k, Attrs: a}}})
			}
			if got := n.Lookup(k); len(got) != 2 || got[0].Peer != tt.want || !got[0].Best || got[1].Best {
				t.Errorf("%s: %+v, want peer %d", tt.name, got, tt.want)
			}
			// The best goes: the other takes its place, and nothing is lost.
			n.flush(0)
			n.Update(0, []evpn.Update{{Peer: tt.want, Withdraw: true, Route: evpn.Route{Key: k}}})
			n.flush(0)
			if got := n.Lookup(k); len(got) != 1 || got[0].Peer == tt.want || len(n.macs) != 1 {
				t.Errorf("%s: after the withdrawal: %+v, macs %v", tt.name, got, n.macs)
			}
		}
	}
}

// TestGatewayIndex: RFC 9136 sections 3.2 and 4.1: a prefix behind a gateway is
// there when the gateway is known, wherever that is, and follows it.
func TestGatewayIndex(t *testing.T) {
	f := mesh(t, 3, nil)
	gw, p := addr("192.0.2.9"), prefix("198.51.100.0/24")
	f.leaf(2).AddPrefix(evpn.LocalPrefix{VRF: red, Prefix: p, Gateway: gw})
	f.settle()
	if a := f.leaf(2).announced[evpn.KeyOfPrefix(evpn.NewRD(vtep(2), 1), 0, p)]; a.Label1 != 0 || a.Gateway != gw || a.RouterMAC != 0 {
		t.Errorf("announced %+v", a)
	}
	at := func(n *node) []evpn.NextHop { return n.prefixes[prefixKey{red, p}] }
	if got := at(f.leaf(1)); len(got) > 0 {
		t.Errorf("gateway unknown: %v", got)
	}
	via := func(i int) []evpn.NextHop {
		h := evpn.NextHop{Target: evpn.Target{VTEP: vtep(i), VNI: vni100}, MAC: host(1), Gateway: gw, BD: vni100}
		return []evpn.NextHop{h}
	}
	for _, where := range []int{2, 3, 1} {
		f.leaf(where).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: gw})
		f.settle()
		want := via(where)
		if where == 1 {
			want[0].Target.VTEP = netip.Addr{} // here
		}
		if got := at(f.leaf(1)); !sameHops(got, want) {
			t.Errorf("gateway at leaf%d: %v, want %v", where, got, want)
		}
	}
	f.leaf(1).forget(f.now, vni100, host(1))
	f.settle()
	if got := at(f.leaf(1)); len(got) > 0 {
		t.Errorf("gateway gone: %v", got)
	}
	// Behind a segment it is wherever the segment is.
	seg := multihomed(t, 3, []int{1, 2}, nil)
	seg.leaf(2).AddPrefix(evpn.LocalPrefix{VRF: red, Prefix: p, Gateway: gw})
	seg.leaf(2).learnMAC(seg.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: gw, ESI: es1})
	seg.settle()
	if got := at(seg.leaf(3)); !sameHops(got, slices.Concat(via(1), via(2))) {
		t.Errorf("gateway behind a segment: %v", got)
	}
}

// TestMaxPaths: the number of next hops is bounded.
func TestMaxPaths(t *testing.T) {
	c := leafConfig(t, 1)
	c.MaxPaths = 3
	n := newNode(t, 1, c)
	for i := 2; i < 12; i++ {
		r := remoteOf(n, i)
		k, a := r.prefix("198.51.100.0/24")
		r.announce(0, k, a)
	}
	n.flush(0)
	if got := n.prefixes[prefixKey{red, prefix("198.51.100.0/24")}]; !sameHops(got, []evpn.NextHop{hop(2), hop(3), hop(4)}) {
		t.Errorf("%v", got)
	}
}

// TestNeighbours: RFC 9047 section 3.2 and RFC 9161: what a proxy answers with.
func TestNeighbours(t *testing.T) {
	type claim struct {
		leaf int
		mac  table.MAC
		nb   evpn.Neighbour
	}
	const r, o, i = evpn.NeighbourRouter, evpn.NeighbourOverride, evpn.NeighbourImmutable
	nb := func(b evpn.NeighbourBits) evpn.Neighbour { return evpn.Neighbour{Present: true, Bits: b} }
	for _, tt := range []struct {
		name   string
		ip     string
		claims []claim
		mac    table.MAC
		bits   evpn.NeighbourBits
	}{
		{"IPv6 without community: O", "2001:db8::9", []claim{{2, host(1), evpn.Neighbour{}}}, host(1), o},
		{"IPv6 with community: as it says", "2001:db8::9", []claim{{2, host(1), nb(r)}}, host(1), r},
		{"IPv4: R and O ignored", "192.0.2.9", []claim{{2, host(1), nb(r | o)}}, host(1), 0},
		{"the latest of two MACs", "192.0.2.9", []claim{{2, host(1), evpn.Neighbour{}}, {3, host(2), evpn.Neighbour{}}}, host(2), 0},
		{"an immutable binding before it", "192.0.2.9", []claim{{2, host(1), nb(i)}, {3, host(2), evpn.Neighbour{}}}, host(1), i},
		{"and after it", "192.0.2.9", []claim{{3, host(2), evpn.Neighbour{}}, {2, host(1), nb(i)}}, host(1), i},
		{"two immutable: the latest", "192.0.2.9", []claim{{2, host(1), nb(i)}, {3, host(2), nb(i)}}, host(2), i},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			for _, c := range tt.claims {
				p := remoteOf(n, c.leaf)
				k, a := p.mac(vni100, c.mac, tt.ip, evpn.Mobility{})
				a.Neighbour = c.nb
				p.announce(0, k, a)
				n.flush(0)
			}
			got := n.neighbours[ipKey{vni100, addr(tt.ip)}]
			if got.MAC != tt.mac || got.Bits != tt.bits {
				t.Errorf("%s with %x, want %s with %x", got.MAC, got.Bits, tt.mac, tt.bits)
			}
			if moved := n.count(evpn.EventAddressMoved); tt.mac != tt.claims[0].mac && moved != 1 {
				t.Errorf("%d events of a moved address", moved)
			}
			if f := n.Find(addr(tt.ip)); len(f) != 1 || f[0].MAC != tt.mac || f[0].Local || f[0].Route.MAC != tt.mac {
				t.Errorf("Find = %+v", f)
			}
		})
	}
}

// TestNeighbourLocal: a pair of this node is not proxied for; the newest claim
// decides between this node and another.
func TestNeighbourLocal(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	ip, host9 := addr("192.0.2.9"), prefixKey{red, prefix("192.0.2.9/32")}
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: ip})
	n.flush(0)
	if len(n.neighbours) > 0 {
		t.Errorf("neighbours %v", n.neighbours)
	}
	remoteOf(n, 2).announceMAC(1, vni100, host(2), "192.0.2.9", evpn.Mobility{})
	n.flush(1)
	if nb := n.neighbours[ipKey{vni100, ip}]; nb.MAC != host(2) || !sameHops(n.prefixes[host9], []evpn.NextHop{hop(2)}) {
		t.Errorf("neighbour %+v, hops %v; want the other's", nb, n.prefixes[host9])
	}
	n.learnMAC(2, evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: ip})
	n.flush(2)
	if len(n.neighbours) > 0 || len(n.prefixes) > 0 {
		t.Errorf("neighbours %v, prefixes %v; want own again", n.neighbours, n.prefixes)
	}
	if f := n.Find(ip); len(f) != 1 || !f[0].Local || f[0].MAC != host(1) {
		t.Errorf("Find = %+v", f)
	}
	// Two MACs of this node: the newer.
	n.learnMAC(3, evpn.LocalMAC{VNI: vni100, MAC: host(3), IP: ip})
	n.flush(3)
	if v, _ := n.MAC(vni100, host(1)); len(v.IPs) > 0 {
		t.Errorf("the older still has it: %+v", v)
	}
	n.forget(4, vni100, host(3))
	n.flush(4)
	if nb := n.neighbours[ipKey{vni100, ip}]; nb.MAC != host(2) {
		t.Errorf("neighbour %+v, want the other's again", nb)
	}
}

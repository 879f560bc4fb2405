package overlay_test

import (
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
)

const l3vni table.VNI = 50000

func addr(s string) netip.Addr      { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix     { return netip.MustParsePrefix(s) }
func routerMAC(i int) table.MAC     { return 0x025b00000000 + table.MAC(i) }
func hostPfx(s string) netip.Prefix { return netip.PrefixFrom(addr(s), addr(s).BitLen()) }

// router is an overlay.Router that keeps what it is told.
type router struct {
	routes  map[netip.Prefix]*l3.Route // of l3vni
	whole   int                        // calls of ReplaceRoutes
	commits int
	hosts   map[netip.Addr]*l3.Neighbour
	away    []netip.Addr
	doubted []netip.Addr
}

func (r *router) SetRoute(vni table.VNI, p netip.Prefix, to *l3.Route) {
	if vni != l3vni {
		panic("another VRF")
	}
	if to == nil {
		delete(r.routes, p)
	} else {
		r.routes[p] = to
	}
}

func (r *router) ReplaceRoutes(vni table.VNI, routes map[netip.Prefix]*l3.Route) {
	if vni != l3vni {
		panic("another VRF")
	}
	r.whole++
	r.routes = routes
}

func (r *router) Host(_ table.VNI, a netip.Addr) *l3.Neighbour { return r.hosts[a] }
func (r *router) Away(_ table.VNI, a netip.Addr)               { r.away = append(r.away, a) }
func (r *router) Doubt(_ table.VNI, a netip.Addr)              { r.doubted = append(r.doubted, a) }
func (r *router) Commit()                                      { r.commits++ }

// routed is node 1 of a fabric with a VRF: it has granted VTEPs 2 and 3 the VRF
// and red, a bridge domain of it, and 4 nothing.
type routed struct {
	*node
	router
	clock clock
}

// Remote is node's, for the L3VNI too.
func (n *routed) Remote(vni table.VNI, v netip.Addr) (table.VTEPID, bool) {
	return table.VTEPID(v.As4()[3]), (vni == red || vni == l3vni) && n.granted[v]
}

func routedConfig(i int) evpn.Config {
	c := nodeConfig(i, 0)
	rt, _ := evpn.NewRT(as, uint32(l3vni))
	c.VRFs = []evpn.VRF{{
		ID: evpn.VRFID(l3vni), VNI: l3vni, RD: evpn.NewRD(vtep(i), 2), RouterMAC: routerMAC(i),
		Import: []evpn.Import{evpn.Exact(rt)}, Export: []evpn.RT{rt},
	}}
	c.BDs[0].VRF = c.VRFs[0].ID
	for _, k := range []int{2, 3} {
		c.Grants[vtep(k)] = evpn.Grant{VNIs: map[table.VNI]bool{red: true, l3vni: true}}
	}
	return c
}

func newRouted(t *testing.T) *routed {
	n := &routed{
		node: &node{
			Learner: l2.NewLearner(), t: t, i: 1, granted: map[netip.Addr]bool{vtep(2): true, vtep(3): true},
			floods: map[table.VNI][]netip.Addr{}, known: map[evpn.Key]evpn.Route{},
		},
		router: router{routes: map[netip.Prefix]*l3.Route{}, hosts: map[netip.Addr]*l3.Neighbour{}},
		clock:  clock{1e9},
	}
	err := n.SetDomain(l2.DomainConfig{
		VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}}, VTEPs: []table.VTEPID{2, 3}, Told: []table.VTEPID{2, 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.overlay = overlay.New(n, func() int64 { return n.clock.now }, slog.New(slog.DiscardHandler))
	n.overlay.RouteBy(&n.router)
	n.SetArbiter(n.overlay.Admit)
	n.configure(routedConfig(1))
	for k := 2; k <= 4; k++ {
		n.overlay.PeerUp(evpn.Peer{ID: peerOf(k), Addr: vtep(k), RouterID: vtep(k), IBGP: true})
	}
	n.apply()
	n.commits, n.whole = 0, 0
	return n
}

func (n *routed) configure(c evpn.Config) {
	n.t.Helper()
	if err := n.overlay.Configure(c, map[table.VNI]string{red: "red", l3vni: "red-l3"}); err != nil {
		n.t.Fatal(err)
	}
}

// see has a MAC seen at the circuit.
func (n *routed) see(m int) {
	n.clock.now += 1e9
	n.overlay.Learned(n.TakeChanges())
	n.Learn([]l2.Sighting{{VNI: red, MAC: mac(m), From: local(1)}}, l2.Seconds(n.clock.now))
}

// prefix is a type 5 route of VTEP i.
func prefix(i int, p netip.Prefix) evpn.Route {
	rt, _ := evpn.NewRT(as, uint32(l3vni))
	return evpn.Route{Key: evpn.KeyOfPrefix(evpn.NewRD(vtep(i), 2), 0, p), Attrs: evpn.Attrs{
		NextHop: vtep(i), RTs: []evpn.RT{rt}, Label1: l3vni, Encaps: evpn.EncapVXLAN, RouterMAC: routerMAC(i),
	}}
}

// host is a type 2 route of VTEP i with both labels.
func host(i, m int, ip netip.Addr, seq uint32) evpn.Route {
	l2rt, _ := evpn.NewRT(as, uint32(red))
	r := prefix(i, netip.PrefixFrom(ip, ip.BitLen()))
	r.Key = evpn.KeyOfMAC(evpn.NewRD(vtep(i), 1), 0, mac(m), ip)
	r.Attrs.RTs = append(r.Attrs.RTs, l2rt)
	r.Attrs.Label1, r.Attrs.Label2 = red, l3vni
	if seq > 0 {
		r.Attrs.Mobility = evpn.Mobility{Present: true, Seq: seq}
	}
	return r
}

// hear takes routes of a peer, in one batch.
func (n *routed) hear(i int, withdraw bool, routes ...evpn.Route) {
	var sent []evpn.RouteChange
	for _, r := range routes {
		sent = append(sent, evpn.RouteChange{Withdraw: withdraw, Route: r})
	}
	n.overlay.Update(updates(i, sent))
	n.apply()
}

// via is the path by VTEP i.
func via(i int) l3.Path {
	return l3.Path{VNI: l3vni, VTEP: table.VTEPID(i), Addr: vtep(i), RouterMAC: routerMAC(i)}
}

// expect compares a route; none without paths.
func (n *routed) expect(what string, p netip.Prefix, want ...l3.Path) {
	n.t.Helper()
	var got []l3.Path
	if r := n.routes[p]; r != nil {
		got = r.Paths
		if r.Kind != l3.Forward {
			n.t.Errorf("%s: %v is a %v route", what, p, r.Kind)
		}
	}
	if !slices.Equal(got, want) {
		n.t.Errorf("%s: %v is by %+v, want %+v", what, p, got, want)
	}
}

// announces compares the route of a MAC with an address.
func (n *routed) announces(what string, m int, ip string, want bool) evpn.Attrs {
	n.t.Helper()
	n.apply()
	r, got := n.known[evpn.KeyOfMAC(evpn.NewRD(vtep(1), 1), 0, mac(m), addr(ip))]
	if got != want {
		n.t.Errorf("%s: MAC %d with %s is announced: %v, want %v", what, m, ip, got, want)
	}
	return r.Attrs
}

func (n *routed) refused(what string, i int, reason string) {
	n.t.Helper()
	for _, r := range n.overlay.Refusals() {
		if r.VTEP == vtep(i) && r.Reason == reason && r.Count > 0 {
			return
		}
	}
	n.t.Errorf("%s: no refusal of VTEP %d for %s: %+v", what, i, reason, n.overlay.Refusals())
}

// TestHostAnnounced: a host is announced with the VRF's label, route target and
// router MAC once its address and the circuit of its MAC are known, whichever came
// first, and as long as both are.
func TestHostAnnounced(t *testing.T) {
	n := newRouted(t)
	const a, b, a6 = "10.1.1.5", "10.1.1.6", "fd00:1::5"
	n.overlay.Host(red, addr(a), mac(5))
	n.announces("the MAC is nowhere", 5, a, false)
	n.see(5)
	got := n.announces("address, then MAC", 5, a, true)
	if got.Label1 != red || got.Label2 != l3vni || got.RouterMAC != routerMAC(1) || len(got.RTs) != 2 || got.Neighbour.Present {
		t.Errorf("announced as %+v", got)
	}
	n.overlay.Host(red, addr(a6), mac(5))
	if got := n.announces("MAC, then address", 5, a6, true); got.Label2 != l3vni || got.Neighbour.Bits != evpn.NeighbourOverride {
		t.Errorf("announced as %+v", got)
	}
	n.see(6)
	n.overlay.Host(red, addr(a), mac(6))
	n.announces("another MAC has the address", 5, a, false)
	n.announces("another MAC has the address", 6, a, true)
	n.overlay.HostGone(red, addr(a))
	n.overlay.HostGone(red, addr(a))
	n.announces("the host is silent", 6, a, false)
	n.announces("another address of the first one", 5, a6, true)

	n.clock.now += 1000e9
	n.Age(l2.Seconds(n.clock.now))
	n.announces("the MAC aged", 5, a6, false)
	n.see(5)
	n.announces("and is back", 5, a6, true)

	n.hear(2, false, host(2, 7, addr(b), 0))
	n.overlay.Host(red, addr(b), mac(7))
	n.announces("the MAC is at another leaf", 7, b, false)
	n.overlay.Host(red+1, addr(b), mac(5))
	n.announces("another VNI", 5, b, false)
}

// TestHostStatic: a host whose MAC is configured at a circuit is sticky.
func TestHostStatic(t *testing.T) {
	n := newRouted(t)
	n.overlay.Host(red, addr("10.1.1.5"), mac(5))
	err := n.SetDomain(l2.DomainConfig{
		VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}}, VTEPs: []table.VTEPID{2, 3}, Told: []table.VTEPID{2, 3},
		Statics: []l2.Static{{MAC: mac(5), Dest: local(1)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := n.announces("static", 5, "10.1.1.5", true); !got.Mobility.Sticky {
		t.Errorf("announced as %+v", got)
	}
}

// TestPrefixesAnnounced: what is announced is the list, through configurations.
func TestPrefixesAnnounced(t *testing.T) {
	n := newRouted(t)
	expect := func(what string, want ...string) {
		t.Helper()
		n.apply()
		var got []string
		for k, r := range n.known {
			if k.Kind != evpn.Prefix {
				continue
			}
			got = append(got, k.Prefix().String())
			if a := r.Attrs; a.Label1 != l3vni || a.RouterMAC != n.macNow() || len(a.RTs) != 1 {
				t.Errorf("%s: %v as %+v", what, k, a)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: announced %v, want %v", what, got, want)
		}
	}
	if !n.overlay.Announce(l3vni, []netip.Prefix{pfx("10.1.1.0/24"), pfx("fd00:1::/64"), pfx("10.1.1.0/24")}) {
		t.Error("there is no such VRF")
	}
	if n.overlay.Announce(l3vni+1, []netip.Prefix{pfx("10.1.1.0/24")}) {
		t.Error("announced for no VRF")
	}
	expect("first", "10.1.1.0/24", "fd00:1::/64")
	n.overlay.Announce(l3vni, []netip.Prefix{pfx("10.1.1.0/24"), pfx("10.2.0.0/16")})
	expect("another list", "10.1.1.0/24", "10.2.0.0/16")
	c := routedConfig(1)
	c.VRFs[0].RouterMAC++
	n.configure(c)
	expect("another router MAC", "10.1.1.0/24", "10.2.0.0/16")
	c = routedConfig(1)
	c.VRFs, c.BDs[0].VRF = nil, 0
	n.configure(c)
	expect("no VRF")
	n.configure(routedConfig(1))
	expect("a VRF of the same VNI, later")
	n.overlay.Announce(l3vni, []netip.Prefix{pfx("10.1.1.0/24")})
	expect("announced again", "10.1.1.0/24")
}

// macNow is the router MAC that the VRF's routes have now: all have the same.
func (n *routed) macNow() table.MAC {
	var m table.MAC
	for k, r := range n.known {
		if k.Kind == evpn.Prefix {
			m = r.Attrs.RouterMAC
		}
	}
	return m
}

// TestRoutesIn: what granted leaves announce is routed, equal ways share, one
// batch is one publication; what is withdrawn goes.
func TestRoutesIn(t *testing.T) {
	n := newRouted(t)
	a, b, c := pfx("10.2.0.0/16"), pfx("10.3.0.0/16"), pfx("fd00:2::/64")
	n.hear(2, false, prefix(2, a), prefix(2, b), prefix(2, c))
	n.expect("one leaf", a, via(2))
	n.expect("one leaf", c, via(2))
	if n.commits != 1 {
		t.Errorf("%d publications of one batch", n.commits)
	}
	if n.routes[a] != n.routes[b] {
		t.Error("routes with the same next hop are two")
	}
	n.hear(3, false, prefix(3, a))
	n.expect("two leaves", a, via(2), via(3))
	moved := prefix(2, a)
	moved.Attrs.RouterMAC = routerMAC(9)
	n.hear(2, false, moved)
	p := via(2)
	p.RouterMAC = routerMAC(9)
	n.expect("another router MAC", a, p, via(3))
	n.hear(2, true, prefix(2, a))
	n.expect("one of two withdraws", a, via(3))
	n.overlay.PeerDown(peerOf(3), false)
	n.apply()
	n.expect("the other leaf is gone", a)
	n.expect("the first one's stays", b, via(2))
	commits := n.commits
	n.apply()
	if n.commits != commits {
		t.Error("published without news")
	}
	if k := n.overlay.Counts(); k.Routed != 6 || k.Unrouted != 1 {
		t.Errorf("counts %+v", k)
	}
	if len(n.away) != 0 {
		t.Errorf("hosts %v are given up for prefixes", n.away)
	}
}

// TestRoutesRefused: what is not granted, asks for another VNI, or is by a VTEP
// that the node has no way to, is no route; it is counted, and reported.
func TestRoutesRefused(t *testing.T) {
	n := newRouted(t)
	p := pfx("10.2.0.0/16")
	n.hear(4, false, prefix(4, p))
	n.expect("not granted", p)
	n.refused("not granted", 4, "vni-not-granted")

	other := prefix(2, p)
	other.Attrs.Label1 = l3vni + 1
	n.hear(2, false, other)
	n.expect("another VNI", p)
	n.refused("another VNI", 2, overlay.ReasonOtherVNI)

	delete(n.granted, vtep(3))
	n.hear(3, false, prefix(3, p), host(3, 8, addr("10.1.1.8"), 0))
	n.expect("no way", p)
	n.expect("no way", hostPfx("10.1.1.8"))
	n.refused("no way", 3, overlay.ReasonUnreachable)
	if len(n.away) != 0 {
		t.Errorf("hosts %v are given up for what is no route", n.away)
	}

	n.granted[vtep(3)] = true
	n.overlay.Replay(l3vni)
	n.apply()
	n.expect("the way is there, all are looked at again", p, via(3))

	// Routes of a tenant that is not imported here, with labels of one that is.
	foreign := prefix(2, pfx("10.7.0.0/16"))
	foreign.Attrs.RTs = []evpn.RT{{0, 2, 0, 1, 0, 0, 0, 1}}
	n.hear(2, false, foreign)
	n.expect("another tenant's", pfx("10.7.0.0/16"))

	c := routedConfig(1)
	delete(c.Grants, vtep(3))
	n.configure(c)
	n.apply()
	n.expect("the grant is taken", p)
	n.refused("the grant is taken", 3, "vni-not-granted")
	c = routedConfig(1)
	c.Grants[vtep(4)] = c.Grants[vtep(3)]
	n.granted[vtep(4)] = true
	n.configure(c)
	n.apply()
	n.expect("granted at last", p, via(3), via(4))
}

// TestHostRoutesIn: a host of another leaf has a route, and what is known of it
// here is given up; one of this leaf has none, and moves by what was said last.
func TestHostRoutesIn(t *testing.T) {
	n := newRouted(t)
	a := hostPfx("10.1.1.5")
	n.hear(2, false, host(2, 5, a.Addr(), 0))
	n.expect("elsewhere", a, via(2))
	if !slices.Equal(n.away, []netip.Addr{a.Addr()}) {
		t.Errorf("given up: %v", n.away)
	}
	n.away = nil
	n.see(5) // it comes here
	n.overlay.Host(red, a.Addr(), mac(5))
	n.apply()
	n.expect("here", a)
	if len(n.away) != 0 {
		t.Errorf("a host that is here is given up: %v", n.away)
	}
	n.announces("here", 5, "10.1.1.5", true)
	n.hear(2, true, host(2, 5, a.Addr(), 0)) // as it does then
	moved := host(3, 5, netip.Addr{}, 7)     // the MAC alone is heard of first
	n.hear(3, false, moved)
	if !slices.Equal(n.doubted, []netip.Addr{a.Addr()}) {
		t.Errorf("doubted: %v", n.doubted)
	}
	n.hear(3, false, host(3, 5, a.Addr(), 7))
	n.expect("at a third leaf", a, via(3))
	if !slices.Equal(n.away, []netip.Addr{a.Addr()}) {
		t.Errorf("given up: %v", n.away)
	}
	n.overlay.HostGone(red, a.Addr()) // as the router does then
	n.announces("at a third leaf", 5, "10.1.1.5", false)
	n.hear(3, true, host(3, 5, a.Addr(), 7))
	n.expect("nowhere", a)
}

// TestReplay: a router that begins anew gets all routes at once.
func TestReplay(t *testing.T) {
	n := newRouted(t)
	a, b := pfx("10.2.0.0/16"), hostPfx("10.1.1.5")
	n.hear(2, false, prefix(2, a), host(2, 5, b.Addr(), 0))
	n.routes, n.commits = map[netip.Prefix]*l3.Route{}, 0
	n.overlay.Replay(l3vni, l3vni+1) // the second is no VRF
	n.configure(routedConfig(1))     // forgets it
	n.hear(3, false, prefix(3, a))
	n.expect("replayed", a, via(2), via(3))
	n.expect("replayed", b, via(2))
	if n.whole != 1 || n.commits != 1 {
		t.Errorf("%d times the whole, %d publications; want one of each", n.whole, n.commits)
	}
}

// TestGatewayRoute: a prefix behind a host's address follows the host.
func TestGatewayRoute(t *testing.T) {
	n := newRouted(t)
	p, gw := pfx("10.8.0.0/16"), addr("10.1.1.9")
	r := prefix(2, p)
	r.Attrs.Gateway, r.Attrs.Label1, r.Attrs.RouterMAC = gw, 0, 0
	n.hear(2, false, r)
	n.expect("nobody has the gateway", p)
	n.hear(2, false, host(2, 9, gw, 0))
	n.expect("behind another leaf", p, l3.Path{VNI: red, VTEP: 2, Addr: vtep(2), RouterMAC: mac(9)})
	n.hosts[gw] = &l3.Neighbour{VNI: red, Addr: gw}
	n.see(9)
	n.overlay.Host(red, gw, mac(9))
	n.apply()
	n.expect("here", p, l3.Path{Host: n.hosts[gw]})
	delete(n.hosts, gw)
	n.overlay.Replay(l3vni)
	n.apply()
	n.expect("not known to the router", p)
}

// TestVRFDomains: VRFs are shown beside bridge domains.
func TestVRFDomains(t *testing.T) {
	n := newRouted(t)
	ds := n.overlay.Domains()
	if len(ds) != 2 || ds[1].VNI != l3vni || ds[1].Name != "red-l3" || ds[1].RD != evpn.NewRD(vtep(1), 2) ||
		len(ds[1].Import) != 1 || len(ds[1].Export) != 1 || len(ds[1].Flood) != 0 {
		t.Errorf("%+v", ds)
	}
}

// TestVRFConfiguration: an L3VNI is its VRF, with what the document says of it or
// derives, and no bridge domain; who has its keys may announce it.
func TestVRFConfiguration(t *testing.T) {
	n, err := config.Parse([]byte(`
node: {name: leaf1, roles: [leaf], address: 10.255.0.1}
wireguard: {private-key-file: /k}
peers: [{name: spine1, public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, endpoint: "192.0.2.1:51820", allowed-ips: [10.255.0.0/16]}]
bgp: {asn: 65000, neighbors: [{address: 10.255.1.1}]}
ports: [{name: h1, kind: afpacket, device: eth1}]
bridge-domains:
- {vni: 10100, attach: [{port: h1}], protection: none, vrf: red, gateway: {addresses: [10.1.1.1/24]}, evpn: {vteps: [10.255.0.2]}}
- {vni: 10200, protection: none, vrf: alone, gateway: {addresses: [10.1.1.1/24]}}
- {vni: 50000, protection: none, evpn: {vteps: [10.255.0.3], export: ["65000:7"]}}
vrfs: [{name: red, l3vni: 50000}, {name: alone}]
`), "")
	if err != nil {
		t.Fatal(err)
	}
	c := overlay.Configuration(n)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(c.VRFs) != 1 || len(c.BDs) != 2 {
		t.Fatalf("%+v", c)
	}
	auto, _ := evpn.ParseRT("65000:50000")
	seven, _ := evpn.ParseRT("65000:7")
	v := c.VRFs[0]
	if v.VNI != l3vni || v.RD.String() != "10.255.0.1:50000" || v.RouterMAC != l3.DefaultRouterMAC(vtep(1)) ||
		!slices.Equal(v.Import, []evpn.Import{evpn.Exact(auto)}) || !slices.Equal(v.Export, []evpn.RT{seven}) {
		t.Errorf("VRF %+v", v)
	}
	if c.BDs[0].VNI != 10100 || c.BDs[0].VRF != v.ID || c.BDs[1].VNI != 10200 || c.BDs[1].VRF != 0 {
		t.Errorf("bridge domains %+v", c.BDs)
	}
	if g := c.Grants[vtep(3)].VNIs; len(g) != 1 || !g[l3vni] {
		t.Errorf("VTEP 3 may announce %v", g)
	}
	if g := c.Grants[vtep(2)].VNIs; len(g) != 1 || !g[10100] {
		t.Errorf("VTEP 2 may announce %v", g)
	}
}

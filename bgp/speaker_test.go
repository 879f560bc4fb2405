package bgp_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/bgptest"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
)

// limit bounds every wait, for a loaded machine.
const limit = 60 * time.Second

var (
	evpnOnly = []bgp.Family{{AFI: bgp.EVPN}}
	rid      = netip.MustParseAddr("10.255.0.1")
)

// port returns a free TCP port of loopback.
func port(t testing.TB) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// node is a Speaker with its events followed.
type node struct {
	*bgp.Speaker
	t      testing.TB
	listen netip.AddrPort
	conf   bgp.Config
	seen   []bgp.Event // not yet awaited
}

// start starts a Speaker that listens on addr.
func start(t testing.TB, addr string, c bgp.Config) *node {
	t.Helper()
	n := &node{t: t, listen: netip.AddrPortFrom(netip.MustParseAddr(addr), port(t))}
	if c.ASN == 0 {
		c.ASN = 65000
	}
	if !c.RouterID.IsValid() {
		c.RouterID = rid
	}
	c.Listen = []bgp.Listen{{At: n.listen}}
	n.conf = c
	s, err := bgp.New(t.Context(), c, relay.Kernel{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	n.Speaker = s
	return n
}

// await waits until fn has accepted an event, which it then forgets; the events
// before it stay.
func (n *node) await(what string, fn func(bgp.Event) bool) bgp.Event {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		for i, e := range n.seen {
			if fn(e) {
				n.seen = slices.Delete(n.seen, i, i+1)
				return e
			}
		}
		more, err := n.Next(ctx)
		if err != nil {
			n.t.Fatalf("no %s came: %v; seen %+v", what, err, n.seen)
		}
		n.seen = append(n.seen, more...)
	}
}

func (n *node) up() *bgp.Up {
	n.t.Helper()
	return n.await("session up", func(e bgp.Event) bool { return e.Up != nil }).Up
}

func (n *node) down() *bgp.Down {
	n.t.Helper()
	return n.await("session down", func(e bgp.Event) bool { return e.Down != nil }).Down
}

// routes waits for count route updates and returns them.
func (n *node) routes(count int) (out []evpn.Update) {
	n.t.Helper()
	for len(out) < count {
		out = append(out, n.await("routes", func(e bgp.Event) bool { return e.Routes != nil }).Routes...)
	}
	return out
}

// raw opens a session to n as a peer at addr.
func raw(t testing.TB, n *node, addr string, c bgptest.Config) *bgptest.Speaker {
	t.Helper()
	if c.ASN == 0 {
		c.ASN = 65000
	}
	if !c.RouterID.IsValid() {
		c.RouterID = netip.MustParseAddr("10.255.0.9")
	}
	if c.Families == nil {
		c.Families = []string{"0019 46"}
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}, Timeout: limit}
	conn, err := d.Dial("tcp4", n.listen.String())
	if err != nil {
		t.Fatal(err)
	}
	return bgptest.New(t, conn, c)
}

// passive is a peer that a test plays.
func passive(addr string) bgp.Peer {
	return bgp.Peer{Name: "raw", Addr: netip.MustParseAddr(addr), ASN: 65000, Passive: true, Families: evpnOnly}
}

const (
	rdHex  = "0001 0aff0009 0002"
	esi0   = "00000000000000000000"
	origin = "40 01 01 00"
	aspath = "40 02 00"
	local  = "40 05 04 00000064"
	reach  = "0019 46 04 0aff0009 00"
	ext    = "0002 fde8 00000064 030c 0000 0000 0008"
)

// macRoute returns a type 2 route in hex: the n-th MAC.
func macRoute(n byte) string {
	return "02 21 " + rdHex + esi0 + "00000000 30 0200000000" + string("0123456789abcdef"[n>>4]) + string("0123456789abcdef"[n&15]) + " 00 000064"
}

func announce(routes string) []string {
	return []string{origin, aspath, local, bgptest.Attr(0x80, 14, reach+routes), bgptest.Attr(0xc0, 16, ext)}
}

// TestUnknownRouteTypes: route types that GoBGP 4.8.0 answers with NOTIFICATION
// 3/10 neither end the session nor cost the good routes beside them.
func TestUnknownRouteTypes(t *testing.T) {
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{passive("127.0.0.9")}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{})
	n.up()
	types := []string{"06", "07", "08", "09", "0a", "0b", "c8"}
	for i, typ := range types {
		// A body as a SMET route has it (RFC 9251), which fits no type of 1 to 5.
		unknown := typ + "18 " + rdHex + "00000000 00 20 ef010101 20 0aff0009 02"
		r.SendUpdate(announce(macRoute(byte(2*i)) + unknown + macRoute(byte(2*i+1)))...)
		// And alone, announced and withdrawn.
		r.SendUpdate(announce(unknown)...)
		r.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"+unknown))
	}
	got := n.routes(2 * len(types))
	for i, u := range got {
		if want := evpnMAC(byte(i)); u.Withdraw || u.Route.Key.MAC != want || u.Route.Attrs.Label1 != 100 {
			t.Errorf("route %d: %+v, want MAC %v", i, u, want)
		}
	}
	// The session works on: a withdrawal arrives.
	r.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"+macRoute(0)))
	if u := n.routes(1)[0]; !u.Withdraw || u.Route.Key != got[0].Route.Key {
		t.Errorf("%+v, want the withdrawal of %v", u, got[0].Route.Key)
	}
	r.Alive()
	for _, e := range n.seen {
		if e.EndOfRIB != 0 || e.Down != nil {
			t.Errorf("event %+v", e)
		}
	}
	counts := status(t, n)[0].Relay.Counts
	for _, typ := range types {
		if got := counts.Unknown[bgptest.X(typ)[0]]; got != 3 {
			t.Errorf("%d routes of type 0x%s counted, want 3", got, typ)
		}
	}
}

func evpnMAC(n byte) table.MAC { return 0x020000000000 + table.MAC(n) }

// TestMalformed: what RFC 7606 treats as a withdrawal or discards, and what has
// to end the session.
func TestMalformed(t *testing.T) {
	good := macRoute(1)
	for _, tt := range []struct {
		name  string
		attrs []string
		want  string // routes: the good one; withdrawn; nothing; reset
	}{
		{"type 2 too short beside a good one", announce("02 05 0102030405" + good), "routes"},
		{"type 2 with a MAC of 47 bits", announce("02 21 " + rdHex + esi0 + "00000000 2f 020000000005 00 000064" + good), "routes"},
		{"type 5 with 33 bits of IPv4", announce("05 22 " + rdHex + esi0 + "00000000 21 0a000000 00000000 0003e8" + good), "routes"},
		{"LACP identifier that ends in 1", announce("02 21 " + rdHex + "01000000000000000001 00000000 30 020000000001 00 000064" + good), "routes"},
		{"DF election community", append(announce(good)[:4], bgptest.Attr(0xc0, 16, ext+"0606 02 4000 00 7fff")), "routes"},
		{"ARP/ND community", append(announce(good)[:4], bgptest.Attr(0xc0, 16, ext+"0608 02 0000 00 0000")), "routes"},
		{"EVPN community of an unknown sub-type", append(announce(good)[:4], bgptest.Attr(0xc0, 16, ext+"06ee 02 0000 00 0000")), "routes"},
		{"unknown optional attribute", append(announce(good), bgptest.Attr(0xc0, 222, "010203")), "routes"},
		{"origin 9", append([]string{"40 01 01 09"}, announce(good)[1:]...), "withdrawn"},
		{"no origin", announce(good)[1:], "withdrawn"},
		{"extended communities of 7 octets", append(announce(good)[:4], bgptest.Attr(0xc0, 16, "00020000000000")), "withdrawn"},
		{"MED of 3 octets", append(announce(good), "80 04 03 000000"), "withdrawn"},
		{"a route longer than the attribute", announce(good + "02ff01"), "reset"},
		{"next hop of 3 octets", []string{origin, aspath, bgptest.Attr(0x80, 14, "0019 46 03 0aff00 00"+good)}, "reset"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{passive("127.0.0.9")}})
			r := raw(t, n, "127.0.0.9", bgptest.Config{})
			n.up()
			r.SendUpdate(announce(good)...)
			n.routes(1)
			r.SendUpdate(tt.attrs...)
			if tt.want == "reset" {
				if m := r.Await(bgptest.Notification); m == nil || m.Body[0] != 3 {
					t.Fatalf("%+v, want NOTIFICATION 3 (UPDATE message error)", m)
				}
				n.down()
				return
			}
			u := n.routes(1)[0]
			if u.Route.Key.MAC != 0x020000000001 || u.Withdraw != (tt.want == "withdrawn") {
				t.Errorf("%+v, want it %s", u, tt.want)
			}
			r.SendUpdate(announce(macRoute(7))...)
			n.routes(1)
			r.Alive()
		})
	}
}

func status(t testing.TB, n *node) []bgp.Status {
	t.Helper()
	st, err := n.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// exampleRoutes are a MAC, a flood entry and a prefix of one node.
func exampleRoutes() []evpn.Route {
	rt, _ := evpn.NewRT(65000, 100)
	rd := evpn.NewRD(rid, 2)
	attrs := evpn.Attrs{NextHop: rid, RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN, Preference: evpn.Preference{LocalPref: 100}}
	mac, imet, pfx := attrs, attrs, attrs
	mac.Label1, mac.Mobility = 100, evpn.Mobility{Present: true, Seq: 5}
	imet.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: 100, Endpoint: rid}
	pfx.Label1, pfx.RouterMAC = 1000, 0x0200000000aa
	return []evpn.Route{
		{Key: evpn.KeyOfMAC(rd, 0, 0x020000000001, netip.MustParseAddr("10.0.0.1")), Attrs: mac},
		{Key: evpn.KeyOfMulticast(rd, 0, rid), Attrs: imet},
		{Key: evpn.KeyOfPrefix(rd, 0, netip.MustParsePrefix("10.1.0.0/16")), Attrs: pfx},
	}
}

// pairUp starts two Speakers that are peers of each other, both ways dialing.
func pairUp(t *testing.T, change func(a, b *bgp.Peer), ab ...bgp.Config) (a, b *node) {
	t.Helper()
	var ca, cb bgp.Config
	if len(ab) == 2 {
		ca, cb = ab[0], ab[1]
	}
	cb.RouterID = netip.MustParseAddr("10.255.0.2")
	a, b = start(t, "127.0.1.1", ca), start(t, "127.0.1.2", cb)
	pa := bgp.Peer{Name: "b", Addr: b.listen.Addr(), Port: b.listen.Port(), Local: a.listen.Addr(), ASN: b.conf.ASN, Families: evpnOnly}
	pb := bgp.Peer{Name: "a", Addr: a.listen.Addr(), Port: a.listen.Port(), Local: b.listen.Addr(), ASN: a.conf.ASN, Families: evpnOnly}
	for _, p := range []*bgp.Peer{&pa, &pb} {
		if p.ASN == 0 {
			p.ASN = 65000
		}
	}
	if change != nil {
		change(&pa, &pb)
	}
	a.peers(pa)
	b.peers(pb)
	return a, b
}

// peers applies n's configuration with other peers.
func (n *node) peers(p ...bgp.Peer) {
	n.t.Helper()
	n.conf.Peers = p
	if n.conf.ASN == 0 {
		n.conf.ASN = 65000
	}
	if err := n.Apply(n.t.Context(), n.conf); err != nil {
		n.t.Fatal(err)
	}
}

func TestTwoSpeakers(t *testing.T) {
	a, b := pairUp(t, nil)
	up := a.up()
	if up.Name != "b" || up.ASN != 65000 || !up.Peer.IBGP || up.Peer.RouterID != netip.MustParseAddr("10.255.0.2") || up.Peer.Addr != b.listen.Addr() {
		t.Errorf("%+v", up)
	}
	b.up()
	want := exampleRoutes()
	if err := a.Announce(want); err != nil {
		t.Fatal(err)
	}
	got := b.routes(len(want))
	for _, w := range want {
		i := slices.IndexFunc(got, func(u evpn.Update) bool { return u.Route.Key == w.Key })
		if i < 0 {
			t.Errorf("%v did not come", w.Key)
			continue
		}
		g := got[i].Route.Attrs
		if g.NextHop != rid || g.Label1 != w.Attrs.Label1 || g.Mobility != w.Attrs.Mobility || g.RouterMAC != w.Attrs.RouterMAC ||
			g.PMSI != w.Attrs.PMSI || g.Encaps != w.Attrs.Encaps || !slices.Equal(g.RTs, w.Attrs.RTs) {
			t.Errorf("got  %+v\nwant %+v", g, w.Attrs)
		}
	}
	st := status(t, b)[0]
	if st.State != "established" || st.Families[0].Received != 3 || !st.Families[0].Negotiated || st.Received.Update == 0 ||
		st.Since.IsZero() || st.Hold != 90*time.Second || !st.Local.IsValid() {
		t.Errorf("status %+v", st)
	}
	if st := status(t, a)[0]; st.Families[0].Advertised != 3 {
		t.Errorf("status %+v", st)
	}
	if err := a.Withdraw([]evpn.Key{want[0].Key}); err != nil {
		t.Fatal(err)
	}
	if u := b.routes(1)[0]; !u.Withdraw || u.Route.Key != want[0].Key {
		t.Errorf("%+v, want the withdrawal of %v", u, want[0].Key)
	}
	// Without graceful restart the session takes the routes along.
	a.Close()
	if d := b.down(); d.Graceful {
		t.Errorf("%+v", d)
	}
	if _, err := a.Next(t.Context()); !errors.Is(err, bgp.ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

// TestMobilityIsOurs: GoBGP compares sequence numbers by itself and refuses, or
// withdraws, routes that are behind; here it must not.
func TestMobilityIsOurs(t *testing.T) {
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{passive("127.0.0.9")}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{})
	n.up()
	r.SendUpdate(origin, aspath, local, bgptest.Attr(0x80, 14, reach+macRoute(1)), bgptest.Attr(0xc0, 16, ext+"0600 0000 00000009"))
	if u := n.routes(1)[0]; u.Route.Attrs.Mobility != (evpn.Mobility{Present: true, Seq: 9}) {
		t.Errorf("mobility %+v, want 9", u.Route.Attrs.Mobility)
	}
	// A sticky MAC of this node, behind in its number, and on a segment.
	own := exampleRoutes()[0]
	own.Key.IP = netip.Addr{}
	own.Attrs.Mobility = evpn.Mobility{Present: true, Sticky: true}
	own.Attrs.ESI = evpn.ESIFromMAC(0x020000000099, 1)
	if err := n.Announce([]evpn.Route{own}); err != nil {
		t.Fatal(err)
	}
	has := func(m bgptest.Message, hex string) bool {
		return m.Type == bgptest.Update && strings.Contains(string(m.Body), string(bgptest.X(hex)))
	}
	m := r.AwaitFunc(func(m bgptest.Message) bool { return has(m, "30 020000000001") })
	if m == nil || !has(*m, "0600 0100 00000000") || strings.Count(string(m.Body), string(bgptest.X("0600"))) != 1 {
		t.Fatalf("announced %+v, want the community of a sticky MAC and no other", m)
	}
	// The peer moves on; this node's route stays until it says otherwise.
	r.SendUpdate(origin, aspath, local, bgptest.Attr(0x80, 14, reach+macRoute(1)), bgptest.Attr(0xc0, 16, ext+"0600 0000 0000000a"))
	n.routes(1)
	if err := n.Withdraw([]evpn.Key{own.Key}); err != nil {
		t.Fatal(err)
	}
	withdrawn := 0
	for m := r.Await(bgptest.Update); m != nil; m = r.Await(bgptest.Update) {
		if has(*m, "0f") && has(*m, "30 020000000001") {
			withdrawn++
			break
		}
	}
	if withdrawn != 1 {
		t.Errorf("withdrawn %d times, want 1", withdrawn)
	}
	r.Alive()
}

func TestApply(t *testing.T) {
	pa, pb := passive("127.0.0.9"), passive("127.0.0.10")
	pb.Name = "other"
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{pa, pb}})
	ra := raw(t, n, "127.0.0.9", bgptest.Config{})
	n.up()
	rb := raw(t, n, "127.0.0.10", bgptest.Config{RouterID: netip.MustParseAddr("10.255.0.10")})
	n.up()

	// A change to one leaves the other alone.
	pb.AllowOwnAS = 1
	n.peers(pa, pb)
	if m := rb.Await(bgptest.Notification); m == nil || m.Body[0] != 6 {
		t.Errorf("%+v, want Cease", m)
	}
	if d := n.down(); !d.Removed {
		t.Errorf("%+v, want removed", d)
	}
	ra.SendUpdate(announce(macRoute(1))...)
	n.routes(1)
	ra.Alive()

	// What cannot be applied changes nothing.
	bad := n.conf
	bad.Peers = []bgp.Peer{pa, {Name: "x"}}
	if err := n.Apply(t.Context(), bad); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("%v", err)
	}
	bad = n.conf
	bad.ASN = 65001
	if err := n.Apply(t.Context(), bad); !errors.Is(err, bgp.ErrNeedsRestart) {
		t.Errorf("%v, want ErrNeedsRestart", err)
	}
	// A peer that the transport refuses: a password for an address of which the
	// kernel cannot keep one more is not to be had here, a device is.
	bad = n.conf
	pc := passive("127.0.0.11")
	pc.Name, pc.Passive, pc.Guard.Device = "third", false, "no-such-device"
	bad.Peers = []bgp.Peer{pa, pb, pc}
	if err := n.Apply(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(limit)
	for !strings.Contains(status(t, n)[2].LastError, "no-such-device") {
		if time.Now().After(deadline) {
			t.Fatalf("status %+v, want the device in the last error", status(t, n)[2])
		}
		time.Sleep(20 * time.Millisecond)
	}
	ra.SendUpdate(announce(macRoute(2))...)
	n.routes(1)
	ra.Alive()
	n.peers()
	if len(status(t, n)) != 0 {
		t.Error("peers are left")
	}
}

func TestMaxRoutes(t *testing.T) {
	p := passive("127.0.0.9")
	p.Families = []bgp.Family{{AFI: bgp.EVPN, MaxRoutes: 2, WarnPercent: 50}}
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{})
	n.up()
	r.SendUpdate(announce(macRoute(1) + macRoute(2))...)
	n.routes(2)
	r.Alive()
	r.SendUpdate(announce(macRoute(3))...)
	if m := r.Await(bgptest.Notification); m == nil || m.Body[0] != 6 || m.Body[1] != 1 {
		t.Fatalf("%+v, want Cease, maximum number of prefixes", m)
	}
	n.down()
	if st := status(t, n)[0]; !st.Disabled {
		t.Errorf("status %+v, want disabled", st)
	}
	if err := n.Enable(t.Context(), "raw"); err != nil {
		t.Fatal(err)
	}
	raw(t, n, "127.0.0.9", bgptest.Config{})
	n.up()
}

func TestPassword(t *testing.T) {
	set := func(pw string) func(a, b *bgp.Peer) {
		return func(a, b *bgp.Peer) {
			a.Guard.Password = secret.New([]byte("fabric"))
			b.Guard.Password = secret.New([]byte(pw))
		}
	}
	a, b := pairUp(t, set("fabric"))
	a.up()
	b.up()
	c, _ := pairUp2(t, set("other"))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if ev, err := c.Next(ctx); err == nil {
		t.Errorf("events %+v with different passwords", ev)
	}
}

// pairUp2 is pairUp with other addresses.
func pairUp2(t *testing.T, change func(a, b *bgp.Peer)) (a, b *node) {
	t.Helper()
	a, b = start(t, "127.0.2.1", bgp.Config{}), start(t, "127.0.2.2", bgp.Config{RouterID: netip.MustParseAddr("10.255.0.2")})
	pa := bgp.Peer{Name: "b", Addr: b.listen.Addr(), Port: b.listen.Port(), Local: a.listen.Addr(), ASN: 65000, Families: evpnOnly}
	pb := bgp.Peer{Name: "a", Addr: a.listen.Addr(), Port: a.listen.Port(), Local: b.listen.Addr(), ASN: 65000, Families: evpnOnly}
	change(&pa, &pb)
	a.peers(pa)
	b.peers(pb)
	return a, b
}

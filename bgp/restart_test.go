package bgp_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/bgptest"
)

// gr is the graceful restart capability of a peer that keeps forwarding: 120 s,
// EVPN; the first octet has the restart state bit when restarting.
func gr(restarting bool) string {
	if restarting {
		return "40 06 8078 0019 46 80"
	}
	return "40 06 0078 0019 46 80"
}

// TestGracefulRestart: routes of a peer that goes without a word are kept; it
// comes back and says which are still there.
func TestGracefulRestart(t *testing.T) {
	p := passive("127.0.0.9")
	p.Restart.Enabled = true
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(false)}})
	n.up()
	r.SendUpdate(announce(macRoute(1) + macRoute(2))...)
	n.routes(2)
	r.Close()
	if d := n.down(); !d.Graceful || d.Removed {
		t.Fatalf("%+v, want graceful", d)
	}
	r = raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	if up := n.up(); !slices.Equal(up.Kept, []bgp.AFI{bgp.EVPN}) {
		t.Errorf("%+v, want EVPN kept", up)
	}
	r.SendUpdate(announce(macRoute(1))...)
	n.routes(1)
	r.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"))
	if e := n.await("End-of-RIB", func(e bgp.Event) bool { return e.EndOfRIB != 0 }); e.EndOfRIB != bgp.EVPN {
		t.Errorf("%+v", e)
	}
	// Something faster finds its session dead: as a hold timer does.
	if err := n.Expire("raw"); err != nil {
		t.Fatal(err)
	}
	if d := n.down(); !d.Graceful || d.Removed {
		t.Errorf("%+v after Expire, want graceful", d)
	}
	raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	n.up()
	// It finds the peer itself dead: nothing is kept.
	if err := n.Lost("raw"); err != nil {
		t.Fatal(err)
	}
	if d := n.down(); d.Graceful {
		t.Errorf("%+v after Lost, want not graceful", d)
	}
}

// TestLongLived: when the time of a graceful restart is over, the peer's routes are
// kept as the last choice, which others are told by a community, until the long-lived
// time is over as well (RFC 9494 section 4.3).
func TestLongLived(t *testing.T) {
	p, q := passive("127.0.0.9"), passive("127.0.0.10")
	q.Name, p.Client, q.Client = "second", true, true
	for _, r := range []*bgp.Restart{&p.Restart, &q.Restart} {
		r.Enabled, r.LongLived = true, 10*time.Second
	}
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p, q}})
	const (
		short     = "40 06 0001 0019 46 80"   // 1 s
		longLived = "47 07 0019 46 80 000002" // 2 s more
		noLong    = "c0 08 04 ffff 0007"      // NO_LLGR
		stale     = "ffff0006"                // LLGR_STALE
	)
	second := raw(t, n, "127.0.0.10", bgptest.Config{RouterID: netip.MustParseAddr("10.255.0.10"), Capabilities: []string{gr(false), longLived}})
	n.up()
	first := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{short, longLived}})
	n.up()
	first.SendUpdate(announce(macRoute(1))...)
	first.SendUpdate(append(announce(macRoute(2)), noLong)...)
	if us := n.routes(2); us[0].Route.Attrs.NoStale || !us[1].Route.Attrs.NoStale {
		t.Errorf("%+v, want NO_LLGR in the second alone", us)
	}
	withdrawn := bgptest.X("0019 46" + macRoute(1))
	update := func(what string, fn func(body []byte) bool) {
		t.Helper()
		if m := second.AwaitFunc(func(m bgptest.Message) bool { return m.Type == bgptest.Update && fn(m.Body) }); m == nil {
			t.Fatalf("the other peer got no %s", what)
		}
	}
	mac := bgptest.X("020000000001")
	update("route", func(b []byte) bool { return bytes.Contains(b, mac) && !bytes.Contains(b, bgptest.X(stale)) })
	first.Close()
	if d := n.down(); !d.Graceful {
		t.Fatalf("%+v, want graceful", d)
	}
	update("stale route", func(b []byte) bool { return bytes.Contains(b, mac) && bytes.Contains(b, bgptest.X(stale)) })
	n.await("long-lived time", func(e bgp.Event) bool { return e.LongLived })
	update("withdrawal", func(b []byte) bool { return bytes.Contains(b, withdrawn) })
	if u := n.routes(1)[0]; !u.Withdraw || u.Route.Key.MAC != 0x020000000001 {
		t.Errorf("%+v, want a withdrawal of the first", u)
	}
}

// TestLostAfterward: a peer is found dead when graceful restart keeps its routes
// already: they go, and it may come back.
func TestLostAfterward(t *testing.T) {
	p := passive("127.0.0.9")
	p.Restart.Enabled = true
	n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(false)}})
	was := n.up().Peer.ID
	r.SendUpdate(announce(macRoute(1))...)
	n.routes(1)
	r.Close()
	if d := n.down(); !d.Graceful || d.Removed {
		t.Fatalf("%+v, want graceful", d)
	}
	if err := n.Lost("raw"); err != nil {
		t.Fatal(err)
	}
	if e := n.await("the end of the peer", func(e bgp.Event) bool { return e.Down != nil && e.Down.Removed }); e.Peer != was {
		t.Errorf("%+v, want peer %d", e, was)
	}
	st, err := n.Status(t.Context())
	if err != nil || len(st) != 1 || st[0].Families[0].Received != 0 {
		t.Errorf("%+v (%v), want no route", st, err)
	}
	raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	if up := n.up(); up.Peer.ID == was {
		t.Error("the same PeerID as before")
	}
}

// TestCloseTells: all peers learn that their sessions end for good, so that none
// keeps the routes for a restart.
func TestCloseTells(t *testing.T) {
	p, q := passive("127.0.0.9"), passive("127.0.0.10")
	q.Name = "second"
	p.Restart.Enabled, q.Restart.Enabled = true, true
	for range 10 {
		n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p, q}})
		first := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(false)}})
		second := raw(t, n, "127.0.0.10", bgptest.Config{RouterID: netip.MustParseAddr("10.255.0.10"), Capabilities: []string{gr(false)}})
		n.up()
		n.up()
		n.Close()
		for _, r := range []*bgptest.Speaker{first, second} {
			m := r.Await(bgptest.Notification)
			if m == nil || !bytes.HasPrefix(m.Body, bgptest.X("06 09")) {
				t.Errorf("%+v, want the NOTIFICATION Cease, hard reset", m)
			}
		}
	}
}

// restartMarks are what an OPEN says of graceful restart: the peer's session began
// again, and forwards, by EVPN.
var restartMarks = bgptest.X("40 06 c078 0019 46 80")

// endOfRIB is the End-of-RIB of EVPN.
func endOfRIB(m bgptest.Message) bool {
	return m.Type == bgptest.Update && bytes.Equal(m.Body, bgptest.X("0000 0006 800f03 0019 46"))
}

// carries returns what finds an UPDATE with bytes in hex in it.
func carries(hex string) func(bgptest.Message) bool {
	return func(m bgptest.Message) bool {
		return m.Type == bgptest.Update && bytes.Contains(m.Body, bgptest.X(hex))
	}
}

// TestCollect: a reflector that begins again says so, passes routes on at once, and
// says End-of-RIB to a peer only when the last peer has told what it has.
func TestCollect(t *testing.T) {
	peer := func(name, addr string) bgp.Peer {
		p := passive(addr)
		p.Name, p.Client, p.Restart.Enabled = name, true, true
		return p
	}
	n := start(t, "127.0.0.1", bgp.Config{
		Collect: time.Hour,
		Peers:   []bgp.Peer{peer("first", "127.0.0.9"), peer("second", "127.0.0.10"), peer("plain", "127.0.0.11")},
	})
	first := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	n.up()
	if !bytes.Contains(first.Opened(), restartMarks) {
		t.Errorf("OPEN %x, want %x in it", first.Opened(), restartMarks)
	}
	first.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"))
	// One without graceful restart says no End-of-RIB.
	raw(t, n, "127.0.0.11", bgptest.Config{RouterID: netip.MustParseAddr("10.255.0.11")})
	n.up()
	second := raw(t, n, "127.0.0.10", bgptest.Config{RouterID: netip.MustParseAddr("10.255.0.10"), Capabilities: []string{gr(true)}})
	n.up()
	second.SendUpdate(announce(macRoute(1))...)
	if first.AwaitFunc(carries("30 020000000001")) == nil {
		t.Fatal("the route was not passed on")
	}
	time.Sleep(1500 * time.Millisecond) // longer than the relay waits for more routes
	if first.Has(endOfRIB) {
		t.Error("End-of-RIB while a peer had not told what it has")
	}
	second.SendUpdate(announce(macRoute(2))...)
	second.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"))
	for _, r := range []*bgptest.Speaker{first, second} {
		if r.AwaitFunc(endOfRIB) == nil {
			t.Error("no End-of-RIB")
		}
	}
	if !first.Has(carries("30 020000000002")) {
		t.Error("End-of-RIB before the last route")
	}
	// Afterwards nothing is held, and nothing says that the node began again.
	first.Close()
	n.down()
	again := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	n.up()
	if again.AwaitFunc(endOfRIB) == nil {
		t.Error("no End-of-RIB in the second session")
	}
	if bytes.Contains(again.Opened(), restartMarks) {
		t.Errorf("OPEN %x: still the marks of a restart", again.Opened())
	}
}

// TestCollectTimeout: a peer that does not come holds nobody up for longer than
// Collect.
func TestCollectTimeout(t *testing.T) {
	p, away := passive("127.0.0.9"), passive("127.0.0.10")
	p.Restart.Enabled, away.Restart.Enabled = true, true
	away.Name = "away"
	n := start(t, "127.0.0.1", bgp.Config{Collect: time.Second, Peers: []bgp.Peer{p, away}})
	r := raw(t, n, "127.0.0.9", bgptest.Config{Capabilities: []string{gr(true)}})
	n.up()
	if r.AwaitFunc(endOfRIB) == nil {
		t.Error("no End-of-RIB")
	}
}

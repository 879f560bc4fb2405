package bgp_test

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

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

// TestRestarting: a Speaker that begins again says that it kept forwarding, and
// waits with its routes for the peers' End-of-RIB.
func TestRestarting(t *testing.T) {
	p := passive("127.0.0.9")
	p.Restart.Enabled = true
	n := start(t, "127.0.0.1", bgp.Config{Restarting: true, Peers: []bgp.Peer{p}})
	if err := n.Announce(exampleRoutes()); err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}).Dial("tcp4", n.listen.String())
	if err != nil {
		t.Fatal(err)
	}
	r := bgptest.New(t, conn, bgptest.Config{ASN: 65000, RouterID: netip.MustParseAddr("10.255.0.9"), Families: []string{"0019 46"}, Capabilities: []string{gr(false)}})
	n.up()
	r.SendUpdate(bgptest.Attr(0x80, 15, "0019 46"))
	if m := r.AwaitFunc(func(m bgptest.Message) bool {
		return m.Type == bgptest.Update && strings.Contains(string(m.Body), string(bgptest.X("0aff0001")))
	}); m == nil {
		t.Error("no route came after End-of-RIB")
	}
}

package wireguard_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// received reports one authenticated packet from src to e.
func received(w *world, e *end, src netip.AddrPort) {
	e.peer.Received(w.now, e.peer.Session(), src, 1, 100, true)
}

// TestRoaming: what moves an endpoint and what does not.
func TestRoaming(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	ports := func(p uint16) netip.AddrPort { return netip.AddrPortFrom(addrA.Addr(), p) }
	at := func(want netip.AddrPort) {
		t.Helper()
		if got := w.b.peer.Endpoint().Addr; got != want {
			t.Fatalf("endpoint is %v, want %v", got, want)
		}
	}
	at(addrA)
	// Several ports of one address: no flapping as long as the main port speaks.
	for i := range 100 {
		w.now += second / 10
		if i%15 == 0 {
			received(w, w.b, addrA)
		}
		received(w, w.b, ports(uint16(40000+i%4)))
		at(addrA)
	}
	// Silence of all is no reason to move. When others speak and the main port
	// does not, one of them takes over after 2 s.
	received(w, w.b, addrA)
	w.now += 10 * second
	received(w, w.b, ports(40001))
	at(addrA)
	w.now += 2*second - 1
	received(w, w.b, ports(40001))
	at(addrA)
	w.now++
	received(w, w.b, ports(40001))
	at(ports(40001))
	received(w, w.b, ports(40002))
	at(ports(40001))
	// Another address moves it at once, and back.
	received(w, w.b, addrC)
	at(addrC)
	received(w, w.b, addrA)
	at(addrA)
	if got := w.b.Count(wireguard.EndpointMoved); got != 3 {
		t.Errorf("%d moves counted, want 3", got)
	}
	w.b.Tick(w.now)
	if k := events(w.b.Node); !slices.Contains(k, wireguard.EndpointChanged) {
		t.Errorf("events %v", k)
	}
	// A handshake message moves it also for another port.
	out := w.b.HandleMessage(w.now, ports(33333), w.initiation(t, w.a))
	at(ports(33333))
	if out[0].To.Addr != ports(33333) {
		t.Errorf("the response goes to %v", out[0].To.Addr)
	}
	// An IPv4-mapped source is the IPv4 address.
	mapped := netip.AddrPortFrom(netip.AddrFrom16(addrA.Addr().As16()), addrA.Port())
	w.b.HandleMessage(w.now, mapped, w.initiation(t, w.a))
	at(addrA)
	// What does not authenticate moves nothing.
	w.b.HandleMessage(w.now, addrC, resign(w.b, make([]byte, 148)))
	at(addrA)
}

// TestRoamingEndToEnd: the initiator moves; traffic goes on both ways.
func TestRoamingEndToEnd(t *testing.T) {
	w := newWorld(t, func(c *wireguard.Config) {
		c.Sock = func(_ any, a netip.AddrPort) any { return a.String() }
	}, nil, nil)
	w.connect(t, w.a)
	w.a.addr = addrC
	w.send(t, w.a, ipv4(20, inner4))
	ep := w.b.peer.Endpoint()
	if ep.Addr != addrC || ep.Sock != addrC.String() {
		t.Errorf("endpoint %+v", ep)
	}
	w.send(t, w.b, ipv4(20, inner4))
	w.now += 6 * second
	w.connect(t, w.b) // deliver checks the destination
}

// TestPinnedPeer: authenticated packets from elsewhere do not move the endpoint,
// handshakes from elsewhere are refused; both are counted.
func TestPinnedPeer(t *testing.T) {
	w := newWorld(t, nil, nil, func(c *wireguard.PeerConfig) {
		c.Pinned = wireguard.NewPinned([]netip.Prefix{netip.PrefixFrom(addrA.Addr(), 32)}, nil)
	})
	w.connect(t, w.a)
	received(w, w.b, addrC)
	if got := w.b.peer.Endpoint().Addr; got != addrA || w.b.Count(wireguard.RefusedPinned) != 1 {
		t.Errorf("endpoint %v, %d refused", got, w.b.Count(wireguard.RefusedPinned))
	}
	if out := w.b.HandleMessage(w.now, addrC, w.initiation(t, w.a)); len(out) != 0 || w.b.Count(wireguard.RefusedPinned) != 2 {
		t.Error("a handshake from elsewhere was answered")
	}
	out := w.a.HandleMessage(w.now, addrB, w.initiation(t, w.b))
	if back := w.b.HandleMessage(w.now, addrC, bytes.Clone(out[0].Msg)); len(back) != 0 || w.b.Count(wireguard.RefusedPinned) != 3 {
		t.Error("a response from elsewhere was accepted")
	}
	w.deliver(t, w.a, out)
	w.send(t, w.b, ipv4(20, inner4))

	// Pinning elsewhere drops the endpoint; an endpoint outside is an error.
	w.b.cfg.Pinned = wireguard.NewPinned(nil, []netip.AddrPort{addrC})
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err == nil {
		t.Error("an endpoint outside the pinned set was accepted")
	}
	w.b.cfg.Endpoint = netip.AddrPort{}
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	if w.b.peer.Endpoint() != nil {
		t.Error("the endpoint outside the pinned set stayed")
	}
}

// TestUnderLoad: above the rate the node answers with cookies, works those that
// come back with one, limits each source, and is normal again afterwards.
func TestUnderLoad(t *testing.T) {
	w := newWorld(t, func(c *wireguard.Config) { c.Params.UnderLoadRate = 10 }, nil, nil)
	junk := func() []byte { m := make([]byte, 148); m[0] = 1; return resign(w.b, m) }
	for i := range 10 {
		if out := w.b.HandleMessage(w.now, addrC, junk()); len(out) != 0 || w.b.UnderLoad(w.now) {
			t.Fatalf("under load after %d messages", i+1)
		}
	}
	flood := func() { // a second's worth, from a spoofed address
		for range 20 {
			for _, o := range w.b.HandleMessage(w.now, addrC, junk()) {
				if o.Peer != nil || o.To.Addr != addrC || noise.Classify(o.Msg) != noise.TypeCookieReply {
					t.Fatalf("answer %+v", o)
				}
			}
		}
	}
	flood()
	if !w.b.UnderLoad(w.now) || w.b.Count(wireguard.CookieSent) != 20 {
		t.Fatalf("%d cookies sent", w.b.Count(wireguard.CookieSent))
	}
	auth := w.b.Count(wireguard.RefusedAuth)
	// a's first initiation gets a cookie; its next one has it.
	w.a.Rekey(w.b.PublicKey())
	first := w.a.Tick(w.now)
	reply := w.b.HandleMessage(w.now, addrA, first[0].Msg)
	if len(reply) != 1 || noise.Classify(reply[0].Msg) != noise.TypeCookieReply {
		t.Fatal("no cookie for a peer")
	}
	w.a.HandleMessage(w.now, addrB, reply[0].Msg)
	if w.a.Count(wireguard.CookieAccepted) != 1 {
		t.Fatal("the cookie was not taken")
	}
	w.now += 6 * second
	flood()
	w.deliver(t, w.a, w.a.Tick(w.now))
	w.send(t, w.a, ipv4(20, inner4))
	w.send(t, w.b, ipv4(20, inner4))
	if got := w.b.Count(wireguard.RefusedAuth) - auth; got > 10 {
		t.Errorf("%d public-key operations for spoofed messages while under load", got)
	}

	// With a cookie, one source gets its burst of 5 and then 20 a second.
	c := newEnd(t, w, addrC, nil)
	if _, err := c.AddPeer(w.now, wireguard.PeerConfig{PublicKey: w.b.PublicKey(), Endpoint: addrB}); err != nil {
		t.Fatal(err)
	}
	w.now += 10 * second
	flood()
	jar := noise.NewJar(w.b.PublicKey(), 120e9)
	m := junk()
	jar.Put(w.now, m)
	reply = w.b.HandleMessage(w.now, addrC, m)
	if !jar.Take(w.now, reply[0].Msg) {
		t.Fatal("bad cookie")
	}
	before := w.b.Count(wireguard.RefusedRate)
	for range 12 {
		m := junk()
		jar.Put(w.now, m)
		w.b.HandleMessage(w.now, addrC, m)
	}
	if got := w.b.Count(wireguard.RefusedRate) - before; got != 7 {
		t.Errorf("%d of 12 refused, want 7", got)
	}

	w.now += 3 * second
	if w.b.HandleMessage(w.now, addrC, junk()); w.b.UnderLoad(w.now) {
		t.Error("still under load after the flood")
	}
}

// TestCookieForResponse: a loaded initiator answers our response with a cookie;
// the index in it names a session by then.
func TestCookieForResponse(t *testing.T) {
	w := newWorld(t, func(c *wireguard.Config) { c.Params.UnderLoadRate = 1 }, nil, nil)
	init := w.initiation(t, w.a)
	for range 3 {
		m := make([]byte, 148)
		m[0] = 1
		w.a.HandleMessage(w.now, addrC, resign(w.a, m))
	}
	resp := w.b.HandleMessage(w.now, addrA, init)
	cookie := w.a.HandleMessage(w.now, addrB, resp[0].Msg)
	if len(cookie) != 1 || noise.Classify(cookie[0].Msg) != noise.TypeCookieReply {
		t.Fatal("no cookie")
	}
	w.b.HandleMessage(w.now, addrA, cookie[0].Msg)
	if w.b.Count(wireguard.CookieAccepted) != 1 {
		t.Error("the cookie was not taken")
	}
}

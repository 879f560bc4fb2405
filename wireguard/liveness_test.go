package wireguard_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
)

// TestLiveness: down after 3 intervals of silence, up with the first packet.
func TestLiveness(t *testing.T) {
	live := func(c *wireguard.PeerConfig) {
		c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond, Multiplier: 3}
	}
	w := newWorld(t, nil, live, live)
	if !w.a.peer.Down() {
		t.Error("a peer that was never heard is not down")
	}
	w.advance(t, 5*time.Second)
	if w.a.peer.Down() || w.b.peer.Down() {
		t.Fatal("down though both speak")
	}
	w.advance(t, 10*time.Minute)
	if k := events(w.a.Node); slices.Contains(k, wireguard.PeerDown) {
		t.Errorf("went down in 10 quiet minutes: %v", k)
	}
	sent := w.a.Count(wireguard.KeepaliveSent)
	w.advance(t, 3*time.Second)
	if got := w.a.Count(wireguard.KeepaliveSent) - sent; got < 9 || got > 11 {
		t.Errorf("%d keepalives in 3 s, want 10", got)
	}

	// b falls silent.
	o := &oneWay{world: w, t: t}
	o.run(w.a, 899*time.Millisecond-300*time.Millisecond)
	if w.a.peer.Down() {
		t.Error("down too early")
	}
	o.run(w.a, 302*time.Millisecond)
	if !w.a.peer.Down() || w.a.peer.Usable(w.now) {
		t.Error("not down after 900 ms")
	}
	if _, _, r := w.a.peer.Reserve(w.now, 1); r != counter.WGPeerDown {
		t.Errorf("reason %v", r)
	}
	if k := events(w.a.Node); !slices.Contains(k, wireguard.PeerDown) {
		t.Errorf("events %v", k)
	}
	// and speaks again: no handshake is needed for it.
	msg, r := w.seal(w.b, nil)
	if r != counter.None {
		t.Fatal(r)
	}
	if _, r := w.open(w.a, w.b.addr, msg); r != counter.None || w.a.peer.Down() {
		t.Errorf("still down after a packet (%v)", r)
	}
	if d := w.a.NextDeadline(w.now); d != w.now {
		t.Error("the news wait")
	}
	w.a.Tick(w.now)
	if k := events(w.a.Node); !slices.Contains(k, wireguard.PeerUp) {
		t.Errorf("events %v", k)
	}
	// Turned off while down: not down any more.
	o.run(w.a, 2*time.Second)
	w.a.cfg.Liveness = wireguard.Liveness{}
	if err := w.a.UpdatePeer(w.now, w.a.cfg); err != nil || w.a.peer.Down() {
		t.Errorf("down without liveness (%v)", err)
	}
}

// TestLivenessAfterRestart: a peer that lost its sessions is back as soon as it
// speaks, without waiting for any whitepaper timer.
func TestLivenessAfterRestart(t *testing.T) {
	live := func(c *wireguard.PeerConfig) { c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond} }
	w := newWorld(t, nil, live, live)
	w.advance(t, 20*time.Second)
	n, err := wireguard.NewNode(wireguard.Config{Private: w.b.key, Wall: w.wall})
	if err != nil {
		t.Fatal(err)
	}
	w.b.Node = n
	if w.b.peer, err = n.AddPeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	// a's old packets are unknown there.
	msg, _ := w.seal(w.a, nil)
	if _, r := w.open(w.b, w.a.addr, msg); r != counter.WGUnknownIndex {
		t.Errorf("old session: %v", r)
	}
	w.deliver(t, w.b, w.b.Tick(w.now))
	w.tick(t)
	if w.a.peer.Down() || w.b.peer.Down() {
		t.Error("down after a handshake")
	}
	w.send(t, w.a, ipv4(20, inner4))
	w.send(t, w.b, ipv4(20, inner4))
}

// TestWithhold: ECMP leaves a peer that is withheld, and packets with no other path
// are sealed all the same.
func TestWithhold(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	w.a.peer.Withhold(true)
	if w.a.peer.Usable(w.now) || !w.a.peer.Withheld() || w.a.peer.Down() {
		t.Error("usable though withheld, or down though it has no liveness")
	}
	w.send(t, w.a, ipv4(20, inner4))
	w.send(t, w.b, ipv4(20, inner4))
	if w.a.peer.Usable(w.now) {
		t.Error("a packet let it back")
	}
	w.a.peer.Withhold(false)
	if !w.a.peer.Usable(w.now) || w.a.peer.Withheld() {
		t.Error("not let back")
	}
}

// TestAnchor: while data goes out, by whatever port, the main port speaks once in
// the interval, and not without data.
func TestAnchor(t *testing.T) {
	w := newWorld(t, noJitter, func(c *wireguard.PeerConfig) { c.Anchor = time.Second }, nil)
	w.connect(t, w.a)
	before := w.a.Count(wireguard.KeepaliveSent)
	w.advance(t, 9*time.Second)
	if got := w.a.Count(wireguard.KeepaliveSent) - before; got != 0 {
		t.Errorf("%d keepalives without data", got)
	}
	for range 100 {
		w.send(t, w.a, ipv4(20, inner4))
		w.advance(t, 100*time.Millisecond)
	}
	if got := w.a.Count(wireguard.KeepaliveSent) - before; got < 9 || got > 12 {
		t.Errorf("%d keepalives in 10 s of data, want 10", got)
	}
}

// TestWake: workers wake control once for one wish.
func TestWake(t *testing.T) {
	wakes := 0
	w := newWorld(t, func(c *wireguard.Config) { c.Wake = func() { wakes++ } }, nil, nil)
	for range 100 {
		w.a.peer.Reserve(w.now, 1)
	}
	if wakes != 1 {
		t.Errorf("%d wakes for 100 refused packets, want 1", wakes)
	}
	w.a.Tick(w.now) // sends; nobody answers
	for range 100 {
		w.a.peer.Reserve(w.now, 1)
	}
	if wakes != 1 {
		t.Errorf("%d wakes while a handshake is under way, want 1", wakes)
	}
}

// TestParams: contradictions are refused, zero means default.
func TestParams(t *testing.T) {
	key := newKey(t)
	for i, p := range []wireguard.Params{
		{RekeyAfterTime: 200 * time.Second},
		{RekeyTimeout: -1},
		{SourceRate: -1},
		{RekeyAfterMessages: 10, RejectAfterMessages: 5},
		{RejectAfterMessages: 1<<64 - 1},
	} {
		if _, err := wireguard.NewNode(wireguard.Config{Private: key, Wall: time.Now, Params: p}); err == nil {
			t.Errorf("case %d: accepted", i)
		}
	}
	if _, err := wireguard.NewNode(wireguard.Config{Private: key}); err == nil {
		t.Error("no wall clock: accepted")
	}
	if d := wireguard.DefaultParams(); fmt.Sprint(d.RekeyAfterTime, d.RejectAfterTime, d.RekeyAttemptTime, d.RekeyTimeout, d.KeepaliveTimeout) != "2m0s 3m0s 1m30s 5s 10s" {
		t.Errorf("defaults %+v", d)
	}
}

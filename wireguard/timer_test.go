package wireguard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// oneWay is a node alone: what it sends is collected and goes nowhere.
type oneWay struct {
	*world
	t    *testing.T
	sent []sent
}

type sent struct {
	at  time.Duration // since the start of the collection
	typ noise.Type
}

// run collects what e sends within d. The other end hears nothing.
func (o *oneWay) run(e *end, d time.Duration) []sent {
	o.t.Helper()
	o.sent = nil
	start, end := o.now, o.now+int64(d)
	for n := 0; ; n++ {
		if n > 100000 {
			o.t.Fatal("a timer does not stop")
		}
		for _, m := range e.Tick(o.now) {
			o.sent = append(o.sent, sent{time.Duration(o.now - start), noise.Classify(m.Msg)})
		}
		if o.now == end {
			return o.sent
		}
		o.now = min(e.NextDeadline(o.now), end)
	}
}

// noJitter makes time exact.
func noJitter(c *wireguard.Config) { c.Params.RekeyJitter = 1 }

func within(got, want, slack time.Duration) bool { return got >= want && got <= want+slack }

func events(n *wireguard.Node) (ks []wireguard.EventKind) {
	for _, e := range n.TakeEvents() {
		ks = append(ks, e.Kind)
	}
	return ks
}

// TestRetransmit: one initiation each REKEY_TIMEOUT and jitter for
// REKEY_ATTEMPT_TIME, then silence until there is data again.
func TestRetransmit(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	o := &oneWay{world: w, t: t}
	if got := o.run(w.a, time.Minute); len(got) != 0 {
		t.Fatalf("without traffic: %v", got)
	}
	for range 2 {
		if _, _, r := w.a.peer.Reserve(w.now, 1); r != counter.WGNoSession {
			t.Fatal(r)
		}
		got := o.run(w.a, 5*time.Minute)
		if len(got) < 17 || len(got) > 19 {
			t.Errorf("%d initiations, want about 90 s / 5 s", len(got))
		}
		for i, s := range got {
			if s.typ != noise.TypeInitiation {
				t.Errorf("sent a message of type %d", s.typ)
			}
			if i > 0 && !within(s.at-got[i-1].at, 5*time.Second, 334*time.Millisecond) {
				t.Errorf("%v after the one before", s.at-got[i-1].at)
			}
		}
		if last := got[len(got)-1].at; last > 90*time.Second {
			t.Errorf("still tries after %v", last)
		}
		if k := events(w.a.Node); !slices.Equal(k, []wireguard.EventKind{wireguard.HandshakeFailed}) {
			t.Errorf("events %v", k)
		}
	}
	if got := w.a.Count(wireguard.HandshakeGivenUp); got != 2 {
		t.Errorf("gave up %d times, want 2", got)
	}
}

// TestAlwaysOnNeverGivesUp, and keeps to the rate.
func TestAlwaysOnNeverGivesUp(t *testing.T) {
	w := newWorld(t, nil, func(c *wireguard.PeerConfig) { c.AlwaysOn = true }, nil)
	o := &oneWay{world: w, t: t}
	got := o.run(w.a, 10*time.Minute)
	if len(got) < 110 || len(got) > 121 || got[0].at != 0 {
		t.Errorf("%d initiations in 10 minutes, first at %v", len(got), got[0].at)
	}
}

// TestNoEndpoint: nobody to initiate to, no timer runs hot, and the reason says so.
func TestNoEndpoint(t *testing.T) {
	w := newWorld(t, nil, func(c *wireguard.PeerConfig) {
		c.Endpoint, c.AlwaysOn, c.Keepalive, c.Anchor = addrC, true, 25*time.Second, time.Second
		c.Liveness = wireguard.Liveness{Interval: 300 * time.Millisecond}
	}, nil)
	w.a.cfg.Pinned = wireguard.NewPinned(nil, nil)
	if err := w.a.UpdatePeer(w.now, w.a.cfg); err != nil {
		t.Fatal(err)
	}
	n := newEnd(t, w, addrA, nil)
	cfg := w.a.cfg
	cfg.Endpoint = wireguard.PeerConfig{}.Endpoint
	p, err := n.AddPeer(w.now, cfg)
	if err != nil {
		t.Fatal(err)
	}
	o := &oneWay{world: w, t: t}
	if got := o.run(n, time.Minute); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
	if _, _, r := p.Reserve(w.now, 1); r != counter.WGEndpointUnknown {
		t.Errorf("reason %v", r)
	}
	if got := o.run(n, time.Minute); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
}

// TestRekeyAfterTime: the initiator renews when it sends at an age of 120 s, the
// responder does not.
func TestRekeyAfterTime(t *testing.T) {
	for _, role := range []string{"initiator", "responder"} {
		t.Run(role, func(t *testing.T) {
			w := newWorld(t, noJitter, nil, nil)
			w.connect(t, w.a)
			e := w.a
			if role == "responder" {
				e = w.b
			}
			born := w.now
			s := e.peer.Session()
			w.now = born + 120*second - 1
			w.send(t, e, ipv4(20, inner4))
			w.tick(t)
			if e.peer.Session() != s {
				t.Fatal("renewed before 120 s")
			}
			w.now = born + 120*second
			w.tick(t)
			if e.peer.Session() != s {
				t.Fatal("renewed without sending")
			}
			w.send(t, e, ipv4(20, inner4))
			w.tick(t)
			if renewed := e.peer.Session() != s; renewed != (role == "initiator") {
				t.Errorf("renewed: %v", renewed)
			}
		})
	}
}

// TestLastMinute: an initiator that only receives renews at 180-10-5 s.
func TestLastMinute(t *testing.T) {
	w := newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	born, s := w.now, w.a.peer.Session()
	w.now = born + 165*second - 1
	msg, _ := w.seal(w.b, ipv4(20, inner4))
	w.open(w.a, w.b.addr, msg)
	if out := w.a.Tick(w.now); len(out) != 0 {
		t.Errorf("sent %d messages before 165 s", len(out))
	}
	w.now = born + 165*second
	msg, _ = w.seal(w.b, ipv4(20, inner4))
	w.open(w.a, w.b.addr, msg)
	w.tick(t)
	if w.a.peer.Session() == s {
		t.Error("not renewed at 165 s")
	}
}

// TestRejectAfterTime: at 180 s a session neither seals nor opens, and asks for a
// new one.
func TestRejectAfterTime(t *testing.T) {
	w := newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	born := w.now
	msg, _ := w.seal(w.a, ipv4(20, inner4))
	w.now = born + 180*second
	if _, r := w.open(w.b, w.a.addr, msg); r != counter.WGSessionExpired {
		t.Errorf("open: %v", r)
	}
	if _, r := w.seal(w.a, ipv4(20, inner4)); r != counter.WGNoSession {
		t.Errorf("seal: %v", r)
	}
	if w.a.peer.Usable(w.now) {
		t.Error("an expired session is usable")
	}
	w.tick(t)
	w.send(t, w.a, ipv4(20, inner4))
}

// TestRekeyAfterMessages, on either side, and the hard limit.
func TestRekeyAfterMessages(t *testing.T) {
	for _, role := range []string{"initiator", "responder"} {
		t.Run(role, func(t *testing.T) {
			w := newWorld(t, func(c *wireguard.Config) {
				c.Params.RekeyJitter = 1
				c.Params.RekeyAfterMessages, c.Params.RejectAfterMessages = 20, 40
			}, nil, nil)
			w.connect(t, w.a)
			e := w.a
			if role == "responder" {
				e = w.b
			}
			w.now += 6 * second // the rate of handshakes
			s := e.peer.Session()
			for s.Sealed() < 20 {
				w.send(t, e, ipv4(20, inner4))
				w.tick(t)
			}
			if e.peer.Session() != s {
				t.Fatal("renewed too early")
			}
			w.send(t, e, ipv4(20, inner4))
			w.tick(t)
			w.send(t, e, ipv4(20, inner4))
			if e.peer.Session() == s {
				t.Error("not renewed")
			}
			s = e.peer.Session()
			for s.Sealed() < 40 {
				w.send(t, e, ipv4(20, inner4))
			}
			if _, r := w.seal(e, nil); r != counter.WGNoSession {
				t.Errorf("sealed beyond the limit: %v", r)
			}
		})
	}
}

// TestPassiveKeepalive: data that is not answered is acknowledged by a keepalive
// after 10 s, once; a keepalive is not answered.
func TestPassiveKeepalive(t *testing.T) {
	w := newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	w.advance(t, 30*time.Second)
	sentBefore := w.b.Count(wireguard.KeepaliveSent)
	for range 5 { // several packets, one keepalive
		w.send(t, w.a, ipv4(20, inner4))
		w.now += second
	}
	w.advance(t, 5*time.Second-1)
	if got := w.b.Count(wireguard.KeepaliveSent) - sentBefore; got != 0 {
		t.Errorf("%d keepalives before 10 s", got)
	}
	w.advance(t, time.Minute)
	if got := w.b.Count(wireguard.KeepaliveSent) - sentBefore; got != 1 {
		t.Errorf("%d keepalives, want 1", got)
	}
	if got := w.a.Count(wireguard.InitiationSent); got != 1 {
		t.Errorf("%d initiations: the keepalive did not count as an answer", got)
	}
	// Data the other way counts as the answer.
	w.send(t, w.a, ipv4(20, inner4))
	w.send(t, w.b, ipv4(20, inner4))
	sentBefore = w.b.Count(wireguard.KeepaliveSent)
	w.advance(t, 5*time.Second)
	if got := w.b.Count(wireguard.KeepaliveSent) - sentBefore; got != 0 {
		t.Error("keepalive though data was sent")
	}
}

// TestSilence: data was sent and nothing came back for 15 s: a new handshake.
func TestSilence(t *testing.T) {
	w := newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	w.advance(t, 20*time.Second)
	o := &oneWay{world: w, t: t}
	w.seal(w.a, ipv4(20, inner4)) // lost
	got := o.run(w.a, 16*time.Second)
	if len(got) != 1 || got[0].typ != noise.TypeInitiation || !within(got[0].at, 15*time.Second, time.Microsecond) {
		t.Errorf("sent %v, want one initiation after 15 s", got)
	}
	// Keepalives need no answer.
	w = newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	w.advance(t, 20*time.Second)
	w.seal(w.a, nil)
	o.world = w
	if got := o.run(w.a, 60*time.Second); len(got) != 0 {
		t.Errorf("after a keepalive: sent %v", got)
	}
}

// TestPersistentKeepalive: opens the session, and then speaks when nothing else
// went for the interval; the session is renewed for ever by it.
func TestPersistentKeepalive(t *testing.T) {
	w := newWorld(t, noJitter, func(c *wireguard.PeerConfig) { c.Keepalive = 25 * time.Second }, nil)
	w.tick(t)
	if !w.a.peer.Usable(w.now) {
		t.Fatal("no session")
	}
	before := w.a.Count(wireguard.KeepaliveSent)
	w.advance(t, 100*time.Second)
	if got := w.a.Count(wireguard.KeepaliveSent) - before; got != 4 {
		t.Errorf("%d keepalives in 100 s, want 4", got)
	}
	before = w.a.Count(wireguard.KeepaliveSent)
	for range 10 {
		w.advance(t, 5*time.Second)
		w.send(t, w.b, ipv4(20, inner4))
	}
	if got := w.a.Count(wireguard.KeepaliveSent) - before; got > 5 { // passive ones only
		t.Errorf("%d keepalives though traffic came", got)
	}
	w.advance(t, time.Hour)
	if !w.a.peer.Usable(w.now) {
		t.Error("the session was not kept for an hour")
	}
}

// TestAlwaysOn keeps one session without traffic, whoever has the option, also
// when both have it and began at the same moment.
func TestAlwaysOn(t *testing.T) {
	on := func(c *wireguard.PeerConfig) { c.AlwaysOn = true }
	for _, tt := range []struct {
		name string
		a, b func(*wireguard.PeerConfig)
	}{{"a", on, nil}, {"b", nil, on}, {"both", on, on}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, tt.a, tt.b)
			w.advance(t, 10*time.Second)
			for range 60 {
				if !w.a.peer.Usable(w.now) || !w.b.peer.Usable(w.now) {
					t.Fatalf("no session at %v", time.Duration(w.now))
				}
				w.advance(t, time.Minute)
			}
			// One handshake each 120 s, give or take the first.
			got := w.a.Count(wireguard.InitiationSent) + w.b.Count(wireguard.InitiationSent)
			if got < 22 || got > 33 {
				t.Errorf("%d initiations in an hour", got)
			}
		})
	}
}

// TestZeroKeys: 3 * 180 s after the last new keys nothing is left.
func TestZeroKeys(t *testing.T) {
	w := newWorld(t, noJitter, nil, nil)
	w.connect(t, w.a)
	born := w.now
	w.now = born + 540*second - 1
	w.tick(t)
	if w.a.peer.Session() == nil || w.a.Sessions().Len() == 0 {
		t.Fatal("keys are gone too early")
	}
	w.now = born + 540*second
	w.tick(t)
	for _, e := range []*end{w.a, w.b} {
		p, c, n := e.peer.Keypairs()
		if p != nil || c != nil || n != nil || e.Sessions().Len() != 0 {
			t.Errorf("left: %v %v %v, %d indices", p, c, n, e.Sessions().Len())
		}
		gone := e.TakeRetired()
		if len(gone) == 0 {
			t.Error("no session is handed out to be wiped")
		}
		for _, s := range gone {
			send, recv := s.Ciphers()
			s.Wipe()
			nonce, buf := make([]byte, 12), make([]byte, 2000)
			if send.Seal(buf, nonce, buf[:1000:1000], nil) || recv.Seal(buf, nonce, buf[:1000:1000], nil) {
				t.Error("a wiped session's key still seals")
			}
			s.Wipe()
		}
	}
	w.now += second
	w.connect(t, w.a)
	w.send(t, w.a, ipv4(20, inner4))
}

package wireguard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// initiation makes from initiate and returns the message without delivering it.
func (w *world) initiation(t testing.TB, from *end) []byte {
	t.Helper()
	if err := from.Rekey(w.other(from).PublicKey()); err != nil {
		t.Fatal(err)
	}
	w.now += 6 * second
	for _, o := range from.Tick(w.now) {
		if noise.Classify(o.Msg) == noise.TypeInitiation {
			return o.Msg
		}
	}
	t.Fatal("no initiation")
	return nil
}

// resign puts a right MAC1 on a changed handshake message to the node of e.
func resign(e *end, msg []byte) []byte {
	noise.NewJar(e.PublicKey(), 1).Put(1, msg)
	return msg
}

// TestRefusals: every message that must have no effect, and its counter.
func TestRefusals(t *testing.T) {
	flip := func(b []byte, i int) []byte { b = bytes.Clone(b); b[i] ^= 1; return b }
	for _, tt := range []struct {
		name string
		make func(t *testing.T, w *world) []byte // a message to b
		want wireguard.Stat
	}{
		{"nothing", func(*testing.T, *world) []byte { return nil }, wireguard.RefusedMalformed},
		{"data", func(*testing.T, *world) []byte { return append([]byte{4}, make([]byte, 40)...) }, wireguard.RefusedMalformed},
		{"cut", func(t *testing.T, w *world) []byte { return w.initiation(t, w.a)[:147] }, wireguard.RefusedMalformed},
		{"mac1", func(t *testing.T, w *world) []byte { return flip(w.initiation(t, w.a), 120) }, wireguard.RefusedMAC1},
		{"sender index", func(t *testing.T, w *world) []byte { return flip(w.initiation(t, w.a), 5) }, wireguard.RefusedMAC1},
		{"ephemeral", func(t *testing.T, w *world) []byte { return resign(w.b, flip(w.initiation(t, w.a), 20)) }, wireguard.RefusedAuth},
		{"static", func(t *testing.T, w *world) []byte { return resign(w.b, flip(w.initiation(t, w.a), 50)) }, wireguard.RefusedAuth},
		{"time stamp", func(t *testing.T, w *world) []byte { return resign(w.b, flip(w.initiation(t, w.a), 90)) }, wireguard.RefusedAuth},
		{"stranger", func(t *testing.T, w *world) []byte {
			x := newEnd(t, w, addrC, nil)
			if _, err := x.AddPeer(w.now, wireguard.PeerConfig{PublicKey: w.b.PublicKey(), Endpoint: addrB, AlwaysOn: true}); err != nil {
				t.Fatal(err)
			}
			return x.Tick(w.now)[0].Msg
		}, wireguard.RefusedPeer},
		{"replayed initiation", func(t *testing.T, w *world) []byte {
			m := w.initiation(t, w.a)
			if out := w.b.HandleMessage(w.now, addrA, bytes.Clone(m)); len(out) != 1 {
				t.Fatal("the first was refused")
			}
			w.now += second
			return m
		}, wireguard.RefusedReplay},
		{"older initiation", func(t *testing.T, w *world) []byte {
			old := w.initiation(t, w.a)
			w.b.HandleMessage(w.now, addrA, w.initiation(t, w.a))
			w.now += second
			return old
		}, wireguard.RefusedReplay},
		{"flood", func(t *testing.T, w *world) []byte {
			w.b.HandleMessage(w.now, addrA, w.initiation(t, w.a))
			m := w.initiation(t, w.a)
			w.now -= 6*second - 19e6 // as if it came 19 ms after the first
			return m
		}, wireguard.RefusedFlood},
		{"response to nothing", func(t *testing.T, w *world) []byte {
			m := make([]byte, noise.ResponseSize)
			m[0] = 2
			return resign(w.b, m)
		}, wireguard.RefusedResponse},
		{"forged response", func(t *testing.T, w *world) []byte {
			m := w.initiation(t, w.b)
			out := w.a.HandleMessage(w.now, addrB, m)
			return resign(w.b, flip(out[0].Msg, 20))
		}, wireguard.RefusedAuth},
		{"response twice", func(t *testing.T, w *world) []byte {
			m := w.initiation(t, w.b)
			out := w.a.HandleMessage(w.now, addrB, m)
			w.b.HandleMessage(w.now, addrA, bytes.Clone(out[0].Msg))
			return out[0].Msg
		}, wireguard.RefusedResponse},
		{"cookie to nothing", func(t *testing.T, w *world) []byte {
			m := make([]byte, noise.CookieReplySize)
			m[0] = 3
			return m
		}, wireguard.RefusedCookie},
		{"forged cookie", func(t *testing.T, w *world) []byte {
			m := w.initiation(t, w.b)
			c := make([]byte, noise.CookieReplySize)
			c[0] = 3
			copy(c[4:8], m[4:8])
			return c
		}, wireguard.RefusedCookie},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil, nil, nil)
			msg := tt.make(t, w)
			var before [wireguard.NumStats]uint64
			for s := range wireguard.Stat(wireguard.NumStats) {
				before[s] = w.b.Count(s)
			}
			prev, cur, next := w.b.peer.Keypairs()
			n := w.b.Sessions().Len()
			if out := w.b.HandleMessage(w.now, addrA, msg); len(out) != 0 {
				t.Errorf("answered with %d messages", len(out))
			}
			for s := range wireguard.Stat(wireguard.NumStats) {
				want := before[s]
				if s == tt.want {
					want++
				}
				if got := w.b.Count(s); got != want {
					t.Errorf("%v is %d, want %d", s, got, want)
				}
			}
			if p, c, x := w.b.peer.Keypairs(); p != prev || c != cur || x != next || w.b.Sessions().Len() != n {
				t.Error("sessions changed")
			}
		})
	}
}

// TestForgedResponseDoesNotSpoil: the authentic response still works after it.
func TestForgedResponseDoesNotSpoil(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	m := w.initiation(t, w.a)
	out := w.b.HandleMessage(w.now, addrA, m)
	bad := bytes.Clone(out[0].Msg)
	bad[50] ^= 1
	w.a.HandleMessage(w.now, addrB, resign(w.a, bad))
	w.deliver(t, w.b, out)
	w.send(t, w.a, ipv4(20, inner4))
	w.send(t, w.b, ipv4(20, inner4))
}

// TestResponderWaits: a responder does not seal with a new session before the
// initiator has used it (the whitepaper's key confirmation).
func TestResponderWaits(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	out := w.b.HandleMessage(w.now, addrA, w.initiation(t, w.a))
	if _, _, r := w.b.peer.Reserve(w.now, 1); r != counter.WGNoSession {
		t.Errorf("reason %v", r)
	}
	keepalive := w.a.HandleMessage(w.now, addrB, out[0].Msg)
	w.deliver(t, w.a, keepalive)
	w.send(t, w.b, ipv4(20, inner4))
	if st, _ := w.b.Status(w.now, w.a.PublicKey()); st.LastHandshake != w.now || st.Initiator || !st.Up {
		t.Errorf("status %+v", st)
	}
}

// TestUnansweredInitiationKeepsSession: both began at the same moment, so each
// seals with the session that it initiated. One then begins a renewal whose answers
// get lost for twenty seconds: what it sends meanwhile still opens at the other.
func TestUnansweredInitiationKeepsSession(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	begin := func(e *end) []wireguard.Out {
		t.Helper()
		if err := e.Rekey(w.other(e).PublicKey()); err != nil {
			t.Fatal(err)
		}
		return e.Tick(w.now)
	}
	fromA, fromB := begin(w.a), begin(w.b)
	answerA := w.receive(t, w.a, addrB, fromB[0].Msg)
	answerB := w.receive(t, w.b, addrA, fromA[0].Msg)
	w.deliver(t, w.a, answerA)
	w.deliver(t, w.b, answerB)
	if a, b := w.a.peer.Session(), w.b.peer.Session(); !a.Initiator() || !b.Initiator() {
		t.Fatal("not two sessions")
	}
	w.tick(t) // both take note
	w.now += 10 * second
	packet := ipv4(60, inner4)
	outs := begin(w.a)
	if len(outs) == 0 {
		t.Fatal("no renewal")
	}
	for stop := w.now + 20*second; w.now < stop; w.now += second / 10 {
		for _, o := range append(outs, w.a.Tick(w.now)...) {
			if noise.Classify(o.Msg) == noise.TypeInitiation {
				w.receive(t, w.b, addrA, o.Msg) // its answer is lost
			}
		}
		outs = nil
		w.b.Tick(w.now)
		w.send(t, w.a, packet)
		w.send(t, w.b, packet)
	}
}

// TestPSK: the right one, a wrong one, and changing it while running.
func TestPSK(t *testing.T) {
	psk := newKey(t)
	with := func(k secret.Key32) func(*wireguard.PeerConfig) {
		return func(c *wireguard.PeerConfig) { c.PSK = k }
	}
	w := newWorld(t, nil, with(psk), with(psk))
	w.connect(t, w.a)
	w.send(t, w.a, ipv4(20, inner4))

	// One end changes: the session lives, the next handshake fails.
	w.b.cfg.PSK = newKey(t)
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	w.send(t, w.a, ipv4(20, inner4))
	s := w.a.peer.Session()
	out := w.b.HandleMessage(w.now, addrA, w.initiation(t, w.a))
	if back := w.a.HandleMessage(w.now, addrB, out[0].Msg); len(back) != 0 || w.a.Count(wireguard.RefusedAuth) != 1 {
		t.Error("a handshake with different preshared keys succeeded")
	}
	w.send(t, w.a, ipv4(20, inner4))
	if w.a.peer.Session() != s {
		t.Error("the session was lost")
	}
	// The other follows.
	w.a.cfg.PSK = w.b.cfg.PSK
	if err := w.a.UpdatePeer(w.now, w.a.cfg); err != nil {
		t.Fatal(err)
	}
	w.now += 6 * second
	w.connect(t, w.a)
	if st, _ := w.a.Status(w.now, w.b.PublicKey()); !st.PSK || w.a.peer.Session() == s {
		t.Error("not renewed with the new key")
	}
	w.send(t, w.b, ipv4(20, inner4))
}

// TestRemovePeer: the removed peer's keys go, others stay.
func TestRemovePeer(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	c := newEnd(t, w, addrC, nil)
	if _, err := c.AddPeer(w.now, wireguard.PeerConfig{PublicKey: w.b.PublicKey(), Endpoint: addrB, AlwaysOn: true}); err != nil {
		t.Fatal(err)
	}
	pc, err := w.b.AddPeer(w.now, wireguard.PeerConfig{PublicKey: c.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	resp := w.b.HandleMessage(w.now, addrC, c.Tick(w.now)[0].Msg)
	ka := c.HandleMessage(w.now, addrB, resp[0].Msg)
	if _, r := w.open(w.b, addrC, ka[0].Msg); r != counter.None {
		t.Fatal(r)
	}
	if !pc.Usable(w.now) {
		t.Fatal("no session with c")
	}
	init := w.initiation(t, w.b) // a handshake with a is under way
	w.a.HandleMessage(w.now, addrB, init)

	w.b.TakeRetired()
	old := w.b.peer.Session()
	msg, _ := w.seal(w.a, ipv4(20, inner4))
	if err := w.b.RemovePeer(w.a.PublicKey()); err != nil {
		t.Fatal(err)
	}
	if _, r := w.open(w.b, addrA, msg); r != counter.WGUnknownIndex {
		t.Errorf("a message of the removed peer: %v", r)
	}
	if _, _, r := w.b.peer.Reserve(w.now, 1); r != counter.WGNoSession {
		t.Errorf("Reserve: %v", r)
	}
	// A worker that still holds the session does no harm.
	w.b.peer.Received(w.now, old, addrC, 1, 1, true)
	w.b.peer.Sent(w.now, old, 1, 1, true)
	if !pc.Usable(w.now) || w.b.Sessions().Len() != 1 || len(w.b.Peers()) != 1 {
		t.Errorf("%d indices, %d peers", w.b.Sessions().Len(), len(w.b.Peers()))
	}
	if s := w.b.TakeRetired(); !slices.Contains(s, old) {
		t.Error("the session was not retired")
	}
	if _, ok := w.b.Status(w.now, w.a.PublicKey()); ok {
		t.Error("a removed peer has a status")
	}
	if out := w.b.Tick(w.now + 100*second); len(out) != 0 {
		t.Errorf("sent %d messages", len(out))
	}
	// It can come back.
	if w.b.peer, err = w.b.AddPeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	w.now += 6 * second
	w.connect(t, w.a)
	w.send(t, w.b, ipv4(20, inner4))
	w.b.Close()
	if len(w.b.Peers()) != 0 || w.b.Sessions().Len() != 0 {
		t.Error("something is left after Close")
	}
}

func TestPeerErrors(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	for _, tt := range []struct {
		name string
		err  error
		want error
	}{
		{"twice", errOf(w.a.AddPeer(w.now, w.a.cfg)), wireguard.ErrPeerExists},
		{"self", errOf(w.a.AddPeer(w.now, wireguard.PeerConfig{PublicKey: w.a.PublicKey()})), wireguard.ErrOwnKey},
		{"low order", errOf(w.a.AddPeer(w.now, wireguard.PeerConfig{})), noise.ErrLowOrder},
		{"update", w.a.UpdatePeer(w.now, wireguard.PeerConfig{}), wireguard.ErrNoPeer},
		{"remove", w.a.RemovePeer(wireguard.PublicKey{}), wireguard.ErrNoPeer},
		{"rekey", w.a.Rekey(wireguard.PublicKey{}), wireguard.ErrNoPeer},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.err, tt.want)
		}
	}
	if _, err := w.a.AddPeer(w.now, wireguard.PeerConfig{PublicKey: wireguard.PublicKey{9: 1}, Anchor: -1}); err == nil {
		t.Error("negative interval: accepted")
	}
}

func errOf[T any](_ T, err error) error { return err }

// TestUpdatePeer: a configured endpoint that did not change is not forced back on
// a peer that roamed; one that did is.
func TestUpdatePeer(t *testing.T) {
	w := newWorld(t, nil, nil, nil)
	w.connect(t, w.a)
	s := w.b.peer.Session()
	received(w, w.b, addrC)
	w.b.cfg.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	if got := w.b.peer.Endpoint().Addr; got != addrC {
		t.Errorf("endpoint %v: roaming was undone", got)
	}
	if w.b.peer.AllowedIPs().Contains(inner4) {
		t.Error("the old allowed IPs are in force")
	}
	w.b.cfg.Endpoint = netip.MustParseAddrPort("203.0.113.9:1")
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	if got := w.b.peer.Endpoint().Addr; got != w.b.cfg.Endpoint {
		t.Errorf("endpoint %v, want the new one", got)
	}
	if w.b.peer.Session() != s {
		t.Error("the session was lost")
	}
}

// TestClockBack: initiations are accepted though the wall clock stands still or
// goes back.
func TestClockBack(t *testing.T) {
	wall := time.Unix(2_000_000_000, 0)
	w := newWorld(t, func(c *wireguard.Config) { c.Wall = func() time.Time { return wall } }, nil, nil)
	for range 5 {
		w.connect(t, w.a)
		w.now += 6 * second
		wall = wall.Add(-time.Hour)
	}
	if got := w.b.Count(wireguard.InitiationAccepted); got != 5 {
		t.Errorf("%d initiations accepted, want 5", got)
	}
}

// TestStatusHoldsNoSecret: its JSON has the public key and no other.
func TestStatusHoldsNoSecret(t *testing.T) {
	psk := newKey(t)
	w := newWorld(t, nil, func(c *wireguard.PeerConfig) { c.PSK = psk }, func(c *wireguard.PeerConfig) { c.PSK = psk })
	w.connect(t, w.a)
	st, ok := w.a.Status(w.now, w.b.PublicKey())
	if !ok || !st.Up || !st.Initiator || st.Handshaking || st.Endpoint != addrB || st.TxPackets != 1 || st.TxBytes != 32 {
		t.Errorf("status %+v", st)
	}
	b, err := json.Marshal(st)
	if err != nil || !bytes.Contains(b, []byte(w.b.PublicKey().String())) {
		t.Errorf("%s, %v", b, err)
	}
	for s := range wireguard.Stat(wireguard.NumStats) {
		if s.String() == "" || s.String() == "stat-unknown" {
			t.Errorf("stat %d has no name", s)
		}
	}
}

// TestWorkersAndControl runs both sides' workers against control under -race:
// handshakes, roaming and updates while packets flow.
func TestWorkersAndControl(t *testing.T) {
	w := newWorld(t, func(c *wireguard.Config) {
		c.Params.RekeyTimeout, c.Params.RekeyJitter = time.Millisecond, 1
		c.Params.InitiationInterval = 1
		c.ReplayWindow = 1 << 20 // a worker that waits for its core is not late
	}, nil, nil)
	w.connect(t, w.a)
	fixed := w.now // workers' time; only control's goes on
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		wg.Go(func() {
			var sb, ob wireguard.Batch
			slot := wireguard.SealedLen(60, 0)
			buf := make([]byte, 8*slot)
			src := netip.AddrPortFrom(addrA.Addr(), uint16(51820+i))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s, first, r := w.a.peer.Reserve(fixed, 8)
				if r != counter.None {
					t.Error(r)
					return
				}
				total := s.SealRun(&sb, buf, slot, 8, first, 60, 60, 0)
				w.a.peer.Sent(fixed, s, 8, uint64(total), true)
				for _, o := range ob.OpenRun(w.b.Sessions(), fixed, buf, slot) {
					// A worker may hold a session that was retired since.
					if o.Reason != counter.None && o.Reason != counter.WGUnknownIndex {
						t.Error(o.Reason)
						return
					}
					if o.Session != nil {
						o.Session.Peer().Received(fixed, o.Session, src, 1, uint64(slot), true)
					}
				}
				if n%64 == 0 {
					w.b.peer.Usable(fixed)
				}
			}
		})
	}
	for range 60 {
		w.now += 20e6
		if err := w.a.Rekey(w.b.PublicKey()); err != nil {
			t.Error(err)
		}
		w.tick(t)
		if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
			t.Error(err)
		}
		w.b.Status(w.now, w.a.PublicKey())
		w.a.TakeRetired()
		w.b.TakeRetired()
	}
	close(stop)
	wg.Wait()
	if got := w.a.Count(wireguard.ResponseAccepted); got != 61 {
		t.Errorf("%d handshakes, want 61", got)
	}
}

// FuzzHandleMessage: any bytes from anybody leave a node that works. The first
// byte chooses where the message comes from and what is done before.
func FuzzHandleMessage(f *testing.F) {
	w := newWorld(f, func(c *wireguard.Config) { c.Params.UnderLoadRate = 50 }, nil, nil)
	m1 := w.initiation(f, w.a)
	m2 := w.b.HandleMessage(w.now, addrA, bytes.Clone(m1))[0].Msg
	m3 := make([]byte, noise.CookieReplySize)
	m3[0] = 3
	for _, m := range [][]byte{m1, m2, m3, {4}} {
		f.Add(uint8(0), m)
		f.Add(uint8(3), m)
	}
	f.Fuzz(func(t *testing.T, how uint8, b []byte) {
		w := newWorld(t, func(c *wireguard.Config) { c.Params.UnderLoadRate = 1 }, nil, nil)
		if how&1 != 0 {
			w.connect(t, w.a)
		}
		if how&2 != 0 && (noise.Initiation(b).Valid() || noise.Response(b).Valid()) {
			resign(w.b, b)
		}
		src := []netip.AddrPort{addrA, addrB, addrC, {}}[how>>2&3]
		was := w.b.peer.Session()
		for range 3 { // the later ones under load
			for _, o := range w.b.HandleMessage(w.now, src, bytes.Clone(b)) {
				if len(o.Msg) > len(b) {
					t.Errorf("%d bytes answered with %d: amplification", len(b), len(o.Msg))
				}
			}
		}
		if w.b.peer.Session() != was || w.b.Count(wireguard.InitiationAccepted) > 1 || w.b.peer.Endpoint().Addr != addrA {
			t.Error("a stranger's message had an effect")
		}
	})
}

package bfd_test

import (
	"slices"
	"testing"

	"github.com/ztos/ztos/fabric/bfd"
)

func (e *end) want(t *testing.T, what string, want bfd.State) {
	t.Helper()
	if got := e.status().State; got != want {
		t.Fatalf("%s: %v, want %v: %+v", what, got, want, e.status())
	}
}

// TestUp: slowly until both are up, then as configured, confirmed by a poll.
func TestUp(t *testing.T) {
	w := newWorld(t, nil)
	w.run(900 * ms)
	for _, p := range append(w.a.sent, w.b.sent...) {
		if p.State != bfd.Up && p.DesiredTx != 1e6 {
			t.Errorf("desires %d us while it is %v, want a second", p.DesiredTx, p.State)
		}
	}
	w.up()
	for _, e := range []*end{w.a, w.b} {
		s := e.status()
		if s.Tx != 50*ms || s.Detection != 150*ms || s.TheirState != bfd.Up || s.Yours == 0 || !s.Independent || s.Stats[bfd.WentUp] != 1 {
			t.Errorf("%+v", s)
		}
		polled := slices.ContainsFunc(e.sent, func(p sent) bool { return p.Poll && p.DesiredTx == 50000 })
		if !polled || !slices.ContainsFunc(w.other(e).sent, func(p sent) bool { return p.Final && !p.Poll }) {
			t.Error("the new interval was not polled, or not answered")
		}
	}
	// A minute: nothing fails, and the intervals have their jitter.
	w.a.sent = nil
	w.run(60 * sec)
	if s := w.a.status(); s.State != bfd.Up || s.Stats[bfd.WentDown] != 0 {
		t.Fatalf("%+v", s)
	}
	least, most := 1<<62, 0
	for i := 1; i < len(w.a.sent); i++ {
		d := int(w.a.sent[i].at - w.a.sent[i-1].at)
		least, most = min(least, d), max(most, d)
	}
	if least < int(375*ms/10) || most > int(50*ms) || most-least < int(8*ms) {
		t.Errorf("intervals %d to %d ns, want all of 37.5 to 50 ms", least, most)
	}
	if w.a.events[len(w.a.events)-1].To != bfd.Up || w.a.events[0].To != bfd.Init && w.a.events[0].To != bfd.Up {
		t.Errorf("%+v", w.a.events)
	}
}

// TestMultiplierOne: jitter leaves at least 10 % of the interval, or the other side
// would see failures (RFC 5880 section 6.8.7).
func TestMultiplierOne(t *testing.T) {
	w := newWorld(t, func(a, _ *bfd.Config) { a.Mult = 1 })
	w.up()
	w.run(60 * sec)
	w.b.want(t, "with a multiplier of 1", bfd.Up)
	n := len(w.a.sent)
	for i := n - 500; i < n; i++ {
		if d := w.a.sent[i].at - w.a.sent[i-1].at; d > 45*ms || d < 37*ms {
			t.Fatalf("interval of %d ns, want 37.5 to 45 ms", d)
		}
	}
}

// TestDetection: down when nothing has come for three intervals, not before; then
// both begin anew.
func TestDetection(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	w.a.deaf = true
	last := w.a.status().Heard
	w.run(last + 150*ms - 1 - w.now)
	w.a.want(t, "before the detection time", bfd.Up)
	w.run(1)
	w.a.want(t, "after it", bfd.Down)
	e := w.a.events[len(w.a.events)-1]
	if !e.Failed() || e.Diag != bfd.DiagExpired || !e.Independent {
		t.Errorf("%+v, want a failure by expiry", e)
	}
	// The other side hears of it at once.
	w.b.want(t, "the other side", bfd.Down)
	if e := w.b.events[len(w.b.events)-1]; !e.Failed() || e.Diag != bfd.DiagSignaled {
		t.Errorf("%+v, want a failure by what the neighbour says", e)
	}
	s := w.a.status()
	if s.Yours != 0 || s.Tx != sec || s.Stats[bfd.WentDown] != 1 || s.Diag != bfd.DiagExpired {
		t.Errorf("%+v", s)
	}
	w.run(5 * sec)
	w.a.want(t, "deaf", bfd.Down)
	w.a.deaf = false
	w.up()
	if d := w.a.status().Diag; d != bfd.DiagExpired {
		t.Errorf("why it was down last: %v", d)
	}
}

// TestRestartOfPeer: one that has forgotten everything brings the session down at
// once, and up again.
func TestRestartOfPeer(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	old := w.b.status().Mine
	w.b.Table = bfd.NewTable(dice(77))
	w.apply(w.b, session("10.0.0.1"))
	w.run(100 * ms)
	if e := w.a.events[len(w.a.events)-1]; w.a.status().State == bfd.Up && e.To == bfd.Up && w.a.status().Yours == old {
		t.Fatalf("still up with the old one: %+v", w.a.status())
	}
	w.up()
	if w.a.status().Stats[bfd.WentDown] != 1 {
		t.Errorf("%+v", w.a.status())
	}
}

// TestAdminDown: switching off is no failure, and nothing comes up against it.
func TestAdminDown(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	c := session("10.0.0.1")
	c.Down = true
	w.apply(w.b, c)
	w.b.want(t, "switched off", bfd.AdminDown)
	w.a.want(t, "the other side", bfd.Down)
	e := w.a.events[len(w.a.events)-1]
	if e.Failed() || !e.TheirAdmin || e.Diag != bfd.DiagSignaled {
		t.Errorf("%+v, want no failure", e)
	}
	w.run(10 * sec)
	w.b.want(t, "switched off", bfd.AdminDown)
	w.a.want(t, "the other side", bfd.Down)
	if w.b.status().Stats[bfd.IgnoredAdminDown] == 0 {
		t.Error("what came meanwhile is not counted")
	}
	w.apply(w.b, session("10.0.0.1"))
	w.up()
	// From the beginning.
	c = session("10.0.0.2")
	c.Down = true
	w.apply(w.a, c)
	w.a.want(t, "switched off", bfd.AdminDown)
	// One that is no longer configured says the same.
	w = newWorld(t, nil)
	w.up()
	w.apply(w.b)
	if e := w.a.events[len(w.a.events)-1]; e.To != bfd.Down || e.Failed() {
		t.Errorf("%+v", e)
	}
	if len(w.b.Status()) != 0 {
		t.Error("it is still there")
	}
	w.run(10 * sec)
	if n := w.b.Stats(); n[bfd.RefusedUnknown] == 0 || n[bfd.RefusedStranger] == 0 {
		t.Errorf("packets for a session that is gone, before its detection time and after: %v", n)
	}
}

// TestLeave: a node that ends is left at once.
func TestLeave(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	w.b.deaf = true
	w.carry(w.b, w.b.Leave(w.now))
	if e := w.a.events[len(w.a.events)-1]; !e.Failed() || w.a.status().TheirDiag != bfd.DiagPath {
		t.Errorf("%+v", e)
	}
}

// TestTimers: intervals change while the session is up, by a poll, and it stays up.
func TestTimers(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	c := session("10.0.0.2")
	c.Tx, c.Rx, c.Mult = 200*ms, 100*ms, 5
	w.apply(w.a, c)
	if s := w.a.status(); s.Tx != 50*ms || !s.Poll {
		t.Fatalf("slower before the other side knows: %+v", s)
	}
	w.run(200 * ms)
	a, b := w.a.status(), w.b.status()
	if a.Tx != 200*ms || a.Poll || b.Detection != 1000*ms || b.Tx != 100*ms || a.Detection != 300*ms {
		t.Errorf("%+v\n%+v", a, b)
	}
	w.run(10 * sec)
	// Faster, and again before the first poll was answered.
	c.Tx, c.Rx = 100*ms, 50*ms
	w.apply(w.a, c)
	if s := w.a.status(); s.Tx != 100*ms || s.Detection != 300*ms {
		t.Errorf("faster transmission waits, or shorter detection does not: %+v", s)
	}
	c.Tx = 20 * ms
	w.apply(w.a, c)
	w.run(5 * sec)
	a, b = w.a.status(), w.b.status()
	if a.Tx != 50*ms || a.Detection != 150*ms || a.Poll || b.TheirTx != 20*ms || b.Detection != 250*ms {
		t.Errorf("%+v\n%+v", a, b)
	}
	if a.Stats[bfd.WentDown]+b.Stats[bfd.WentDown] != 0 {
		t.Error("changing times brought the session down")
	}
}

// TestDemand: packets end when the other side asks for demand mode, and its polls
// are answered.
func TestDemand(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	b := w.b.status()
	tell := func(p bfd.Packet) []bfd.Out {
		p.State, p.Mult, p.Mine, p.Yours = bfd.Up, 3, b.Mine, b.Yours
		p.DesiredTx, p.RequiredRx = 50000, 50000
		out, _ := w.a.Receive(w.now, &bfd.Arrival{From: w.a.status().Remote, TTL: 255, Port: 3784, Payload: p.Bytes()})
		return out
	}
	tell(bfd.Packet{Demand: true})
	w.a.sent = nil
	w.a.deaf = true
	w.run(100 * ms)
	if len(w.a.sent) != 0 {
		t.Errorf("%d packets in the other side's demand mode", len(w.a.sent))
	}
	out := tell(bfd.Packet{Demand: true, Poll: true})
	var p bfd.Packet
	if len(out) != 1 {
		t.Fatalf("%d answers to a poll", len(out))
	}
	if p.Decode(out[0].Packet); !p.Final || p.Poll {
		t.Errorf("%+v", p)
	}
	// And when it wants none at all.
	tell(bfd.Packet{})
	w.a.sent = nil
	p = bfd.Packet{State: bfd.Up, Mult: 3, Mine: b.Mine, Yours: b.Yours, DesiredTx: 50000}
	w.a.Receive(w.now, &bfd.Arrival{From: w.a.status().Remote, TTL: 255, Port: 3784, Payload: p.Bytes()})
	w.run(140 * ms)
	if len(w.a.sent) != 0 {
		t.Errorf("%d packets to one that requires none", len(w.a.sent))
	}
}

// TestLoss: two of three packets lost are no failure.
func TestLoss(t *testing.T) {
	w := newWorld(t, nil)
	w.up()
	for range 200 {
		before := len(w.b.sent)
		w.a.deaf = true
		for len(w.b.sent) < before+2 {
			w.run(ms)
		}
		w.a.deaf = false
		for len(w.b.sent) < before+3 {
			w.run(ms)
		}
	}
	if s := w.a.status(); s.Stats[bfd.WentDown] != 0 {
		t.Errorf("%+v", s)
	}
}

package bfd_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/fabric/bfd"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// end is one node of a world: a Table with one session.
type end struct {
	*bfd.Table
	addr   netip.Addr
	deaf   bool // what is sent to it gets lost
	events []bfd.Event
	sent   []sent
}

type sent struct {
	at int64
	bfd.Packet
	raw []byte
}

// world is two ends on a cable without delay, on a clock of its own.
type world struct {
	t    *testing.T
	now  int64
	a, b *end
	ttl  uint8

	flying []flying // in order
	busy   bool
}

// dice returns numbers that are the same in every run.
func dice(seed uint32) func() uint32 {
	return func() uint32 {
		seed ^= seed << 13
		seed ^= seed >> 17
		seed ^= seed << 5
		return seed
	}
}

func session(remote string) bfd.Config {
	return bfd.Config{Name: "peer", Remote: netip.MustParseAddr(remote), Hops: 1, Tx: 50 * ms, Rx: 50 * ms, Mult: 3}
}

// newWorld joins two ends; change changes the sessions that they want.
func newWorld(t *testing.T, change func(a, b *bfd.Config)) *world {
	t.Helper()
	a, b := session("10.0.0.2"), session("10.0.0.1")
	if change != nil {
		change(&a, &b)
	}
	w := &world{t: t, now: 1, ttl: 255,
		a: &end{Table: bfd.NewTable(dice(1)), addr: b.Remote},
		b: &end{Table: bfd.NewTable(dice(2)), addr: a.Remote},
	}
	w.apply(w.a, a)
	w.apply(w.b, b)
	return w
}

func (w *world) apply(e *end, cs ...bfd.Config) {
	w.t.Helper()
	out, err := e.Apply(w.now, cs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.carry(e, out)
}

func (w *world) other(e *end) *end {
	if e == w.a {
		return w.b
	}
	return w.a
}

// flying is a packet on its way.
type flying struct {
	to   *end
	from netip.Addr
	port uint16
	raw  []byte
}

// carry takes packets of e to the other end, and what that answers back, in the
// order in which they are sent.
func (w *world) carry(e *end, outs []bfd.Out) {
	w.t.Helper()
	e.events = append(e.events, e.TakeEvents()...)
	for _, o := range outs {
		var p bfd.Packet
		if _, fault := p.Decode(o.Packet); fault != 0 {
			w.t.Fatalf("sent % x: %v", o.Packet, fault)
		}
		e.sent = append(e.sent, sent{w.now, p, o.Packet})
		c := o.Session.Config()
		w.flying = append(w.flying, flying{w.other(e), e.addr, c.Port(), o.Packet})
	}
	if w.busy {
		return
	}
	w.busy = true
	for len(w.flying) > 0 {
		f := w.flying[0]
		w.flying = w.flying[1:]
		if !f.to.deaf {
			answer, _ := f.to.Receive(w.now, &bfd.Arrival{From: f.from, TTL: w.ttl, Port: f.port, Payload: f.raw})
			w.carry(f.to, answer)
		}
	}
	w.busy = false
}

// run lets d ns pass.
func (w *world) run(d int64) {
	w.t.Helper()
	for until := w.now + d; ; {
		at := min(w.a.Next(), w.b.Next())
		if at > until {
			w.now = until
			return
		}
		w.now = max(w.now, at)
		for _, e := range []*end{w.a, w.b} {
			if e.Next() <= w.now {
				w.carry(e, e.Tick(w.now))
			}
		}
	}
}

func (e *end) status() bfd.Status { return e.Status()[0] }

// up runs until both ends are up and have agreed on their intervals.
func (w *world) up() {
	w.t.Helper()
	for range 100 {
		w.run(100 * ms)
		a, b := w.a.status(), w.b.status()
		if a.State == bfd.Up && b.State == bfd.Up && !a.Poll && !b.Poll {
			return
		}
	}
	w.t.Fatalf("not up after 10 s: %+v, %+v", w.a.status(), w.b.status())
}

func key(text string) secret.Key { return secret.New([]byte(text)) }

package wireguard_test

import (
	"runtime"
	"testing"

	"github.com/ztos/ztos/engine/counter"
)

// TestConfirmNoAllocs: the first data message of each new session, by which a
// responder's worker takes the session into use and puts the one before out, costs
// it no allocation, from the first time on, also when control does not run, and after
// all sessions have ended.
func TestConfirmNoAllocs(t *testing.T) {
	const tries = 3 // the runtime's own allocations are counted too
	var n uint64
	for range tries {
		w := newWorld(t, nil, nil, nil)
		w.connect(t, w.a)
		n = w.confirm(t)
		w.now += 600 * second
		w.a.Tick(w.now)
		w.b.Tick(w.now)
		if w.b.peer.Session() != nil {
			t.Fatal("a session is left after ten minutes")
		}
		if n += w.confirm(t); n == 0 {
			return
		}
	}
	t.Errorf("%d allocations in the last of %d tries", n, tries)
}

// confirm has b answer and confirm 20 sessions of a, and returns what that cost b's
// worker in allocations.
func (w *world) confirm(t *testing.T) (allocations uint64) {
	t.Helper()
	for i := range 20 {
		if err := w.a.Rekey(w.b.PublicKey()); err != nil {
			t.Fatal(err)
		}
		w.now += 6 * second
		initiation := w.a.Tick(w.now)
		response := w.b.HandleMessage(w.now, addrA, initiation[0].Msg)
		first := w.a.HandleMessage(w.now, addrB, response[0].Msg)
		was := w.b.peer.Session()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, r := w.open(w.b, addrA, first[0].Msg)
		runtime.ReadMemStats(&after)
		if r != counter.None || w.b.peer.Session() == was {
			t.Fatalf("handshake %d: %v, or the session is the one before", i, r)
		}
		allocations += after.Mallocs - before.Mallocs
	}
	return allocations
}

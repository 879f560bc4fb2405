package fdio

import "sync/atomic"

// Bits of Gate.state.
const (
	gateBusy uint32 = 1 << iota // the worker is inside
	gateShut                    // control wants the resource gone
)

// Gate says who may free a resource that one worker uses and control shuts:
// the worker on its way out when it is inside, control otherwise. The zero
// value is open.
//
// Enter and Leave cost one atomic exchange each, per burst.
type Gate struct{ state atomic.Uint32 }

// Enter is called by the worker before it uses the resource. false: the gate is
// shut, the resource must not be touched. Panics when somebody is inside
// already: two workers share what only one may own.
//
// Hot path: no allocation.
func (g *Gate) Enter() bool {
	if g.state.CompareAndSwap(0, gateBusy) {
		return true
	}
	if g.state.Load()&gateShut == 0 {
		panic("fdio: two workers use one queue")
	}
	return false
}

// Leave is called by the worker when it is done. true: the gate was shut
// meanwhile and the caller must now free the resource.
//
// Hot path: no allocation.
func (g *Gate) Leave() (free bool) {
	if g.state.CompareAndSwap(gateBusy, 0) {
		return false
	}
	g.state.Store(gateShut)
	return true
}

// Shut lets nobody in any more. Any goroutine. free: the caller must free the
// resource now. busy: a worker is inside and will free it when it leaves; the
// caller may want to wake it. Neither: it was shut before.
func (g *Gate) Shut() (free, busy bool) {
	old := g.state.Or(gateShut)
	return old == 0, old == gateBusy
}

// IsShut reports whether Shut was called. Any goroutine.
func (g *Gate) IsShut() bool { return g.state.Load()&gateShut != 0 }

package l2

import (
	"sync/atomic"

	"github.com/ztos/ztos/engine/ring"
	"github.com/ztos/ztos/engine/table"
)

// Sighting is a source MAC that a worker saw where the FDB does not have it.
type Sighting struct {
	VNI  table.VNI
	MAC  table.MAC
	From Dest // DestLocal or DestVTEP
}

// Ring takes sightings from workers to the one who owns the Learner. What does
// not fit is lost and comes again with the MAC's next frame.
type Ring = ring.Ring[Sighting]

// NewRing returns a ring for at least n sightings, 2 to 1<<20.
func NewRing(n int) *Ring { return ring.New[Sighting](n) }

// Gate says what workers do with a source MAC that the FDB does not have. The
// Learner sets it when a limit is reached. The zero value learns.
type Gate struct{ v atomic.Uint32 }

// GateState is a Gate's value.
type GateState uint32

const (
	GateLearn   GateState = iota // report it
	GateForward                  // forward the frame and do not report it
	GateDrop                     // drop the frame
)

// State returns the gate's state; GateLearn for a nil gate. Any goroutine.
func (g *Gate) State() GateState {
	if g == nil {
		return GateLearn
	}
	return GateState(g.v.Load())
}

func (g *Gate) set(s GateState) { g.v.Store(uint32(s)) }

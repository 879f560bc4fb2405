package counter

import "sync/atomic"

// Cell is a counter with one writer and any number of readers. The zero value
// is 0. The writer pays a plain load and an atomic store; a cell with several
// writers must use Shared.
type Cell struct{ v atomic.Uint64 }

// Add adds n. One writer.
//
// Hot path: no allocation.
func (c *Cell) Add(n uint64) { c.v.Store(c.v.Load() + n) }

// Load returns the value. Any goroutine.
func (c *Cell) Load() uint64 { return c.v.Load() }

// Shared is a counter with several writers. Add it once per burst or run of
// frames, not once per frame: it is a locked instruction.
type Shared struct{ v atomic.Uint64 }

// Add adds n. Any goroutine.
func (c *Shared) Add(n uint64) { c.v.Add(n) }

// Load returns the value. Any goroutine.
func (c *Shared) Load() uint64 { return c.v.Load() }

// Block is the counters of one worker: what it took from its queue, and what of
// it it dropped, by reason. One writer, the worker; readers sum the blocks of all
// workers.
type Block struct {
	taken Cell
	drops [NumReasons]Cell
}

// Take counts n frames or datagrams taken from the worker's queue; a super-frame
// counts as its segments. Once a burst.
//
// Hot path: no allocation.
func (b *Block) Take(n uint64) { b.taken.Add(n) }

// Taken returns how many frames or datagrams were taken. Any goroutine.
func (b *Block) Taken() uint64 { return b.taken.Load() }

// Drop counts n frames dropped for r. Drop(None, n) is a bug and panics, because
// a drop without a reason must not exist.
//
// Hot path: no allocation.
func (b *Block) Drop(r Reason, n uint64) {
	if r == None {
		panic("counter: drop without a reason")
	}
	b.drops[r].Add(n)
}

// Drops returns how many frames were dropped for r. Any goroutine.
func (b *Block) Drops(r Reason) uint64 { return b.drops[r].Load() }

package ring

import (
	"fmt"
	"sync/atomic"
)

// MaxSize is the most values that a Ring holds.
const MaxSize = 1 << 20

// Ring is a bounded queue of any number of writers and one reader. What does not
// fit is lost and counted. It is made of cells with sequence numbers: a cell's
// number says whose turn it is.
type Ring[T any] struct {
	cells []cell[T]
	mask  uint64
	tail  atomic.Uint64 // workers take places here
	_     [56]byte      // the reader's word is on a cache line of its own
	head  uint64        // reader only
	lost  atomic.Uint64
}

type cell[T any] struct {
	turn atomic.Uint64 // = place: free for the writer; = place+1: filled
	v    T
}

// New returns a ring for at least n values, 2 to MaxSize. It panics when n is
// neither.
func New[T any](n int) *Ring[T] {
	if n < 2 || n > MaxSize {
		panic(fmt.Sprintf("ring: %d values", n))
	}
	size := uint64(2)
	for size < uint64(n) {
		size *= 2
	}
	r := &Ring[T]{cells: make([]cell[T], size), mask: size - 1}
	for i := range r.cells {
		r.cells[i].turn.Store(uint64(i))
	}
	return r
}

// Push adds v; false, counted in Lost, when the ring is full. Any goroutine.
//
// Hot path: no allocation, no lock.
func (r *Ring[T]) Push(v T) bool {
	for {
		at := r.tail.Load()
		c := &r.cells[at&r.mask]
		turn := c.turn.Load()
		switch {
		case turn == at:
			if r.tail.CompareAndSwap(at, at+1) {
				c.v = v
				c.turn.Store(at + 1)
				return true
			}
		case turn < at: // the reader has not been here since the last round
			r.lost.Add(1)
			return false
		}
	}
}

// Pop moves values into buf, oldest first, and returns how many. One reader.
func (r *Ring[T]) Pop(buf []T) int {
	for i := range buf {
		c := &r.cells[r.head&r.mask]
		if c.turn.Load() != r.head+1 {
			return i
		}
		buf[i] = c.v
		c.turn.Store(r.head + uint64(len(r.cells)))
		r.head++
	}
	return len(buf)
}

// Lost returns how many values found the ring full. Any goroutine.
func (r *Ring[T]) Lost() uint64 { return r.lost.Load() }

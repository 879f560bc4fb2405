package afxdp

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// desc is struct xdp_desc: one frame of the receive or transmit ring.
type desc struct {
	addr    uint64 // offset of the first byte in the UMEM
	len     uint32 // bytes
	options uint32
}

// ring is the memory that one side of a ring shares with the kernel. Both
// indices count up for ever; their difference is how many entries are in the
// ring, and an entry's place is its index modulo the ring's size, a power of 2.
//
// Loads and stores of the indices are atomic, which in Go is sequentially
// consistent: whoever sees an index sees the entries below it.
type ring[T any] struct {
	producer, consumer, flags *uint32
	slots                     []T
}

func (r *ring[T]) at(i uint32) *T { return &r.slots[i&uint32(len(r.slots)-1)] }

// needsWakeup reports whether the kernel wants a system call before it looks at
// the ring again.
//
// Hot path: no allocation, inlined.
func (r *ring[T]) needsWakeup() bool {
	return atomic.LoadUint32(r.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// producer is a ring that we fill: fill and transmit. One goroutine at a time.
type producer[T any] struct {
	ring[T]
	next uint32 // index of the entry that put writes
	free uint32 // entries at next and behind that are known to be free
}

// room returns how many entries can be put, and asks the kernel when it knows of
// fewer than want.
//
// Hot path: no allocation.
func (p *producer[T]) room(want uint32) uint32 {
	if p.free < want {
		p.free = uint32(len(p.slots)) - (p.next - atomic.LoadUint32(p.consumer))
	}
	return p.free
}

// put writes an entry, for which there must be room. The kernel sees it at the
// next publish.
//
// Hot path: no allocation, inlined.
func (p *producer[T]) put(v T) {
	*p.at(p.next) = v
	p.next++
	p.free--
}

// publish shows the kernel what was put.
//
// Hot path: no allocation, inlined.
func (p *producer[T]) publish() { atomic.StoreUint32(p.producer, p.next) }

// pending returns how many published entries the kernel has not taken yet.
func (p *producer[T]) pending() uint32 { return p.next - atomic.LoadUint32(p.consumer) }

// consumer is a ring that the kernel fills: receive and completion. One goroutine
// at a time.
type consumer[T any] struct {
	ring[T]
	next  uint32 // index of the entry that get reads
	known uint32 // entries at next and behind that are known to be there
}

// ready returns how many entries can be taken, and asks the kernel when it knows
// of none.
//
// Hot path: no allocation.
func (c *consumer[T]) ready() uint32 {
	if c.known == 0 {
		c.known = atomic.LoadUint32(c.producer) - c.next
	}
	return c.known
}

// get reads the next entry; ready must have been at least 1. The kernel may use
// its place after the next release.
//
// Hot path: no allocation, inlined.
func (c *consumer[T]) get() T {
	v := *c.at(c.next)
	c.next++
	c.known--
	return v
}

// release gives the places of what was got back to the kernel.
//
// Hot path: no allocation, inlined.
func (c *consumer[T]) release() { atomic.StoreUint32(c.consumer, c.next) }

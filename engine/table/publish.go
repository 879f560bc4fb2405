package table

import (
	"sync"
	"sync/atomic"
)

// parked is the generation a reader shows while it holds no snapshot.
const parked = ^uint64(0)

// version is one published value with its generation.
type version[T any] struct {
	value *T
	gen   uint64
}

// Publisher hands immutable values from one writer to many readers. The zero
// value is ready and holds nil.
type Publisher[T any] struct {
	cur atomic.Pointer[version[T]]

	mu      sync.Mutex // guards readers and serialises Publish
	readers []*Reader[T]
}

// Reader is one worker's way to a Publisher. Its methods are for that worker
// only.
type Reader[T any] struct {
	p    *Publisher[T]
	seen atomic.Uint64 // generation in use, or parked
	_    [48]byte      // readers of different workers do not share a cache line
}

// Publish makes v what Enter returns from now on and returns its generation,
// which starts at 1 and grows by one. v must not change afterwards.
func (p *Publisher[T]) Publish(v *T) (gen uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gen = 1
	if old := p.cur.Load(); old != nil {
		gen = old.gen + 1
	}
	p.cur.Store(&version[T]{value: v, gen: gen})
	return gen
}

// Load returns the current value without entering it: for control code, which
// the garbage collector alone keeps safe. Any goroutine.
func (p *Publisher[T]) Load() *T {
	if v := p.cur.Load(); v != nil {
		return v.value
	}
	return nil
}

// Generation returns the generation of the current value, 0 before the first.
func (p *Publisher[T]) Generation() uint64 {
	if v := p.cur.Load(); v != nil {
		return v.gen
	}
	return 0
}

// NewReader registers a reader. Close it when its worker ends.
func (p *Publisher[T]) NewReader() *Reader[T] {
	r := &Reader[T]{p: p}
	r.seen.Store(parked)
	p.mu.Lock()
	p.readers = append(p.readers, r)
	p.mu.Unlock()
	return r
}

// Settled reports whether no reader holds a value older than generation gen.
// A reader that enters later can only see gen or newer.
func (p *Publisher[T]) Settled(gen uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.readers {
		if r.seen.Load() < gen {
			return false
		}
	}
	return true
}

// Enter returns the current value, nil before the first Publish, and holds it
// until Leave.
//
// Hot path: once a burst, no allocation.
func (r *Reader[T]) Enter() *T {
	for {
		v := r.p.cur.Load()
		if v == nil {
			return nil
		}
		r.seen.Store(v.gen)
		// A Publish and a Settled between the load and the store would not
		// have seen us: look again.
		if r.p.cur.Load() == v {
			return v.value
		}
	}
}

// Leave gives up what Enter returned.
func (r *Reader[T]) Leave() { r.seen.Store(parked) }

// Close unregisters r.
func (r *Reader[T]) Close() {
	r.Leave()
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for i, o := range r.p.readers {
		if o == r {
			r.p.readers = append(r.p.readers[:i:i], r.p.readers[i+1:]...)
			return
		}
	}
}

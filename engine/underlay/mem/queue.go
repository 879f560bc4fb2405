package mem

import (
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/underlay"
)

// Rx is one receive queue. One worker.
type Rx struct {
	mux    *Mux
	queues []*queue // guarded by the switch's mu
	news   chan struct{}
}

var _ underlay.Receiver = (*Rx)(nil)

// Recv fills b with what is queued; see underlay.Receiver. It waits only when
// the Mux was opened as blocking.
func (r *Rx) Recv(b []underlay.Bundle) (n int, err error) {
	if n, err = r.take(b); err != underlay.ErrTimeout || !r.mux.cfg.Blocking {
		return n, err
	}
	t := time.NewTimer(port.IdleTimeout) //nolint:forbidigo // stands for the kernel's time-out
	defer t.Stop()
	select {
	case <-r.news:
		return r.take(b)
	case <-t.C:
		return 0, underlay.ErrTimeout
	}
}

// take moves what is queued into b.
func (r *Rx) take(b []underlay.Bundle) (n int, err error) {
	s := r.mux.sw
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.mux.closed {
		return 0, underlay.ErrClosed
	}
	for _, q := range r.queues {
		k := copy(b[n:], q.bundles)
		for i := range q.bundles[:k] {
			q.count -= q.bundles[i].Datagrams()
		}
		q.bundles = append(q.bundles[:0], q.bundles[k:]...)
		n += k
	}
	if n == 0 {
		return 0, underlay.ErrTimeout
	}
	return n, nil
}

// Truncated returns 0: buffers are as large as they need be.
func (r *Rx) Truncated() uint64 { return 0 }

// Pending returns how many datagrams wait.
func (r *Rx) Pending() (n int) {
	s := r.mux.sw
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range r.queues {
		n += q.count
	}
	return n
}

// push is one call of Push.
type push struct {
	dst  *underlay.Endpoint
	path int
	data []byte
	size int
}

// Tx is a transmit side. One worker.
type Tx struct {
	mux       *Mux
	queue     []push
	oversized int
}

var _ underlay.Sender = (*Tx)(nil)

// Push queues data; see underlay.Sender.
func (t *Tx) Push(dst *underlay.Endpoint, path int, data []byte, segSize int) {
	if len(data) == 0 {
		return
	}
	if segSize <= 0 || segSize > len(data) {
		segSize = len(data)
	}
	t.queue = append(t.queue, push{dst, int(uint(path) % uint(len(t.mux.paths))), data, segSize})
}

// Paths returns how many source ports there are; see underlay.Sender.
func (t *Tx) Paths() int { return len(t.mux.paths) }

// Flush delivers what is queued; see underlay.Sender.
func (t *Tx) Flush() (sentSegments, failedSegments int) {
	m := t.mux
	m.sw.mu.Lock()
	defer m.sw.mu.Unlock()
	t.oversized = 0
	for _, p := range t.queue {
		n := (len(p.data) + p.size - 1) / p.size
		if m.closed {
			failedSegments += n
			continue
		}
		if m.sw.tooLong(p.dst, p.size) {
			failedSegments += n
			t.oversized += n
			m.errors++
			continue
		}
		sentSegments += n
		// In groups as a real Tx makes them.
		group := max(1, min(underlay.MaxGroup/p.size, underlay.MaxSegments)) * p.size
		for data := p.data; len(data) > 0; {
			g := data[:min(group, len(data))]
			data = data[len(g):]
			m.sw.send(m.paths[p.path], p.dst.Addr(), append([]byte{}, g...), p.size)
		}
	}
	t.queue = t.queue[:0]
	return sentSegments, failedSegments
}

// Oversized returns how many segments of the last Flush exceeded the switch's
// MTU; see underlay.Sender.
func (t *Tx) Oversized() int { return t.oversized }

package netport

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
)

// leg is a receive queue of one driver.
type leg struct{ rx port.Rx }

// Rx is one receive queue, of whichever driver is in use. One worker.
type Rx struct {
	port *Port
	by   atomic.Pointer[leg]

	mu   sync.Mutex // guards past, and by against reading both
	past uint64     // what drivers dropped that are not in use any more
}

// Recv fills v with what has arrived; see port.Rx.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(v *pkt.Vector) error {
	by := r.by.Load()
	err := by.rx.Recv(v)
	switch {
	case err == nil, err == port.ErrTimeout:
	case err == port.ErrClosed && r.by.Load() != by:
		return port.ErrTimeout // another driver goes on
	case errors.Is(err, port.ErrDown):
		r.port.review()
	}
	return err
}

// Dropped returns how many frames drivers and kernel dropped. Any goroutine.
func (r *Rx) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past + r.by.Load().rx.Dropped()
}

// change makes the Rx go by another driver. The old one is closed afterwards.
func (r *Rx) change(to port.Rx) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past += r.by.Load().rx.Dropped()
	r.by.Store(&leg{rx: to})
}

// side is a transmit side of one driver; tx is nil when it could not be opened.
type side struct{ tx port.Tx }

// Tx is a transmit side, of whichever driver is in use. One worker.
type Tx struct {
	port *Port
	next atomic.Pointer[side] // what control wants used from the next batch on

	by      *side
	queued  bool // by has frames of this batch
	refused int  // of this batch, because there is no side
	refusal counter.Reason
	udp     bool // every driver so far took UDP super-frames
}

func newTx(p *Port, tx port.Tx) *Tx {
	s := &side{tx}
	t := &Tx{port: p, by: s, udp: true}
	t.next.Store(s)
	return t
}

// change makes the Tx go by another driver from its next batch on; what is queued
// meanwhile is refused by the old one, which is closed.
func (t *Tx) change(to port.Tx) { t.next.Store(&side{to}) }

// Push queues f; see port.Tx.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Push(f *pkt.Frame) {
	if !t.queued {
		t.by, t.queued = t.next.Load(), true
	}
	if t.by.tx == nil {
		t.refused++
		return
	}
	t.by.tx.Push(f)
}

// Flush sends what is queued; see port.Tx.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Flush() (sent, refused int) {
	t.queued, t.refusal = false, counter.None
	if t.by.tx == nil {
		if refused, t.refused = t.refused, 0; refused > 0 {
			t.refusal = counter.PortDown
		}
		return 0, refused
	}
	sent, refused = t.by.tx.Flush()
	t.refusal = t.by.tx.Refusal()
	return sent, refused
}

// Refusal returns why the last Flush refused; see port.Tx.
func (t *Tx) Refusal() counter.Reason { return t.refusal }

// CanUDPGSO reports whether UDP super-frames are taken. Once a driver did not, it
// stays false.
func (t *Tx) CanUDPGSO() bool {
	if by := t.next.Load(); t.udp && by.tx != nil {
		t.udp = by.tx.CanUDPGSO()
	}
	return t.udp
}

// Close frees the Tx before its port is closed. Not while the worker uses it.
func (t *Tx) Close() error {
	t.port.mu.Lock()
	defer t.port.mu.Unlock()
	delete(t.port.tx, t)
	if c, ok := t.next.Load().tx.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

package worker

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/port"
)

// Graph is what a worker runs. Step receives one burst and carries it to the
// wire. It returns nil, port.ErrTimeout when nothing came, port.ErrDown when the
// device is down (the worker waits a little and tries again), or port.ErrClosed
// when the worker shall end; ErrTimeout and ErrClosed themselves, not wrapped.
type Graph interface {
	Step() error
}

// Events are what a worker tells control about, from its own thread. Both
// functions must return at once.
type Events struct {
	// Fault reports a bug that was contained: the burst in hand was given up.
	Fault func(worker string, panicValue any, stack []byte)
	// Down reports the first of a row of errors from the receive side, and,
	// with a nil err, that it works again.
	Down func(worker string, err error)
}

// Worker runs one Graph on a thread of its own. Its methods are for any
// goroutine.
type Worker struct {
	name   string
	graph  Graph
	block  *counter.Block
	events Events

	stop atomic.Bool
	done chan struct{}

	bursts counter.Cell
	idle   counter.Cell
}

// downPause is how long a worker waits before it asks a device again that was
// down.
const downPause = 50 * time.Millisecond

// Start runs g on a new OS-locked thread. Drops of a contained fault are counted
// in block.
func Start(name string, g Graph, block *counter.Block, ev Events) *Worker {
	w := &Worker{name: name, graph: g, block: block, events: ev, done: make(chan struct{})}
	go w.run()
	return w
}

// Name returns the worker's name: direction, device and queue.
func (w *Worker) Name() string { return w.name }

// Block returns the counters the worker's graph drops into.
func (w *Worker) Block() *counter.Block { return w.block }

// Bursts returns how many bursts were carried, and how many receives ended with
// nothing.
func (w *Worker) Bursts() (bursts, idle uint64) { return w.bursts.Load(), w.idle.Load() }

// Stop asks the worker to end after the burst in hand. Close its receive queue
// to wake it at once.
func (w *Worker) Stop() { w.stop.Store(true) }

// Done is closed when the worker has ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

func (w *Worker) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(w.done)
	down := false
	for !w.stop.Load() {
		err := w.step()
		// Compared, not searched by errors.Is, for which the runtime may allocate.
		switch err {
		case nil:
			w.bursts.Add(1)
		case port.ErrTimeout:
			w.idle.Add(1)
		case port.ErrClosed:
			return
		default:
			if !down && w.events.Down != nil {
				w.events.Down(w.name, err)
			}
			down = true
			time.Sleep(downPause)
			continue
		}
		if down {
			down = false
			if w.events.Down != nil {
				w.events.Down(w.name, nil)
			}
		}
	}
}

// step runs one burst and contains a panic: forwarding of other bursts goes on,
// the fault is counted and reported with its stack.
func (w *Worker) step() (err error) {
	defer func() {
		if v := recover(); v != nil {
			w.block.Drop(counter.WorkerFault, 1)
			if w.events.Fault != nil {
				w.events.Fault(w.name, v, debug.Stack())
			}
			err = fmt.Errorf("worker: %s: fault contained", w.name)
		}
	}()
	return w.graph.Step()
}

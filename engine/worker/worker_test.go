package worker_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/worker"
)

// script is a graph that plays a row of results and then says closed.
type script struct {
	steps []func() error
	at    int
}

func (s *script) Step() error {
	if s.at == len(s.steps) {
		return port.ErrClosed
	}
	s.at++
	return s.steps[s.at-1]()
}

func give(err error) func() error { return func() error { return err } }

func TestWorkerCountsAndEnds(t *testing.T) {
	var block counter.Block
	w := worker.Start("leaf-in p1.0", &script{steps: []func() error{
		give(nil), give(port.ErrTimeout), give(nil),
	}}, &block, worker.Events{})
	<-w.Done()
	if bursts, idle := w.Bursts(); bursts != 2 || idle != 1 {
		t.Fatalf("bursts %d, idle %d; want 2 and 1", bursts, idle)
	}
}

func TestWorkerContainsPanic(t *testing.T) {
	var block counter.Block
	var faults atomic.Int32
	w := worker.Start("x", &script{steps: []func() error{
		func() error { panic("bug") }, give(nil),
	}}, &block, worker.Events{Fault: func(name string, v any, stack []byte) {
		if name == "x" && v == "bug" && len(stack) > 0 {
			faults.Add(1)
		}
	}})
	<-w.Done()
	bursts, _ := w.Bursts()
	if faults.Load() != 1 || block.Drops(counter.WorkerFault) != 1 || bursts != 1 {
		t.Fatalf("faults %d, drops %d, bursts after it %d; want 1 each",
			faults.Load(), block.Drops(counter.WorkerFault), bursts)
	}
}

func TestWorkerReportsDownOnceAndBack(t *testing.T) {
	var block counter.Block
	events := make(chan error, 10)
	w := worker.Start("x", &script{steps: []func() error{
		give(port.ErrDown), give(port.ErrDown), give(port.ErrTimeout),
	}}, &block, worker.Events{Down: func(_ string, err error) { events <- err }})
	<-w.Done()
	close(events)
	var got []error
	for e := range events {
		got = append(got, e)
	}
	if len(got) != 2 || !errors.Is(got[0], port.ErrDown) || got[1] != nil {
		t.Fatalf("events %v, want down once and then up", got)
	}
}

func TestStop(t *testing.T) {
	var block counter.Block
	w := worker.Start("x", endless{}, &block, worker.Events{})
	w.Stop()
	<-w.Done()
}

type endless struct{}

func (endless) Step() error { return port.ErrTimeout }

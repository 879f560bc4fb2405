package metrics_test

import (
	"bytes"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/perf/metrics"
)

// Everything that this test program allocates is in its profile.
func init() { runtime.MemProfileRate = 1 }

// steps is a graph that takes n steps.
type steps struct {
	n    int
	step func()
}

func (s *steps) Step() error {
	if s.n == 0 {
		return port.ErrClosed
	}
	s.n--
	s.step()
	return nil
}

var sink []byte

// TestWorkerAllocs: every allocation of a worker is counted, however few they
// are, and none of another goroutine.
func TestWorkerAllocs(t *testing.T) {
	allocs := func() metrics.Allocs {
		runtime.GC() // the profile is as of the last collection
		var out bytes.Buffer
		if err := pprof.Lookup("allocs").WriteTo(&out, 0); err != nil {
			t.Fatal(err)
		}
		a, err := metrics.ParseAllocs(&out)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	during := func(step func()) metrics.Allocs {
		before := allocs()
		var block counter.Block
		w := worker.Start("w", &steps{n: 1000, step: step}, &block, worker.Events{})
		for range 1000 {
			sink = make([]byte, 100)
		}
		<-w.Done()
		return allocs().Sub(before)
	}
	if got := during(func() {}); got != (metrics.Allocs{}) {
		t.Errorf("of a worker that allocates nothing: %+v", got)
	}
	var mine []byte
	if got, want := during(func() { mine = make([]byte, 64) }), (metrics.Allocs{Objects: 1000, Bytes: 64000}); got != want {
		t.Errorf("of one that allocates 1000 times: %+v, want %+v", got, want)
	}
	_ = mine
	n := 0
	once := func() {
		if n++; n == 500 {
			mine = make([]byte, 64)
		}
	}
	if got, want := during(once), (metrics.Allocs{Objects: 1, Bytes: 64}); got != want {
		t.Errorf("of one that allocates once: %+v, want %+v", got, want)
	}
}

func TestParseAllocsRefuses(t *testing.T) {
	if _, err := metrics.ParseAllocs(strings.NewReader("no profile")); err == nil {
		t.Error("text was taken for a profile")
	}
	var out bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&out, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.ParseAllocs(&out); err == nil {
		t.Error("a profile of goroutines was taken for one of allocations")
	}
	out.Reset()
	if err := pprof.Lookup("allocs").WriteTo(&out, 0); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	p.Period = 512 << 10 // the default: one in half a MiB
	out.Reset()
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.ParseAllocs(&out); err == nil || !strings.Contains(err.Error(), metrics.ProfileAll) {
		t.Errorf("a sample was taken for the whole: %v", err)
	}
}

package metrics_test

import (
	"bytes"
	"runtime"
	"runtime/debug"
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
	// No collection but those asked for: a goroutine that has to help with one may
	// wait for it, and the runtime then allocates a record of that in its name.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
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
	check := func(name string, step func(), want metrics.Allocs) {
		t.Helper()
		got := during(step)
		if got.Objects != want.Objects || got.Bytes != want.Bytes {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		var where uint64
		for function, n := range got.Where {
			if where += n; !strings.Contains(function, "TestWorkerAllocs") {
				t.Errorf("%s: %d allocated by %s", name, n, function)
			}
		}
		if where != want.Objects {
			t.Errorf("%s: %d allocations have a place, want %d", name, where, want.Objects)
		}
	}
	check("a worker that allocates nothing", func() {}, metrics.Allocs{})
	var mine []byte
	check("one that allocates 1000 times", func() { mine = make([]byte, 64) }, metrics.Allocs{Objects: 1000, Bytes: 64000})
	_ = mine
	n := 0
	once := func() {
		if n++; n == 500 {
			mine = make([]byte, 64)
		}
	}
	check("one that allocates once", once, metrics.Allocs{Objects: 1, Bytes: 64})
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

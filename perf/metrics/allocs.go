package metrics

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/bed"
)

// ProfileAll is what an engine must have in its environment for WorkerAllocs:
// its heap profile then holds every allocation, not one of 512 KiB.
const ProfileAll = "GODEBUG=memprofilerate=1"

// workerLoop is the function on whose stack everything is that a worker does.
const workerLoop = "github.com/ztos/ztos/engine/worker.(*Worker).run"

// Allocs is what was allocated on the heap since the start.
type Allocs struct {
	Objects uint64
	Bytes   uint64
	// Where has the objects by the function of this module, or of another but the
	// runtime, that allocated them.
	Where map[string]uint64
}

// Sub returns what was allocated between o and a.
func (a Allocs) Sub(o Allocs) Allocs {
	d := Allocs{Objects: a.Objects - o.Objects, Bytes: a.Bytes - o.Bytes, Where: map[string]uint64{}}
	for name, n := range a.Where {
		if n > o.Where[name] {
			d.Where[name] = n - o.Where[name]
		}
	}
	return d
}

// Add returns the sum.
func (a Allocs) Add(o Allocs) Allocs {
	s := Allocs{Objects: a.Objects + o.Objects, Bytes: a.Bytes + o.Bytes, Where: map[string]uint64{}}
	for _, x := range []Allocs{a, o} {
		for name, n := range x.Where {
			s.Where[name] += n
		}
	}
	return s
}

// WorkerAllocs sums what the workers of engines allocated: exactly, and nothing
// of what timers, the collector or a reader of metrics do beside them. The
// engines must have been started with ProfileAll.
func WorkerAllocs(ctx context.Context, b *bed.Bed, engines []Engine) (Allocs, error) {
	var sum Allocs
	for _, e := range engines {
		// The profile is as of the last collection, which only that of the heap
		// can ask for; it holds what was freed too.
		var a Allocs
		err := get(ctx, b, e, "/debug/pprof/heap?gc=1", func(body io.Reader) (err error) {
			a, err = ParseAllocs(body)
			return err
		})
		if err != nil {
			return Allocs{}, err
		}
		sum = sum.Add(a)
	}
	return sum, nil
}

// ParseAllocs reads an allocation profile in the format of pprof and sums what
// was allocated on the stacks of workers. It fails when the profile is a sample
// only.
func ParseAllocs(r io.Reader) (Allocs, error) {
	p, err := profile.Parse(r)
	if err != nil {
		return Allocs{}, err
	}
	if p.Period != 1 {
		return Allocs{}, fmt.Errorf("it samples every %d bytes: start the engine with %s", p.Period, ProfileAll)
	}
	objects := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "alloc_objects" })
	bytes := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "alloc_space" })
	if objects < 0 || bytes < 0 {
		return Allocs{}, fmt.Errorf("no profile of allocations: its values are %v", p.SampleType)
	}
	sum := Allocs{Where: map[string]uint64{}}
	for _, s := range p.Sample {
		if n := uint64(s.Value[objects]); n > 0 && slices.ContainsFunc(s.Location, inWorker) {
			sum.Objects += n
			sum.Bytes += uint64(s.Value[bytes])
			sum.Where[allocator(s)] += n
		}
	}
	return sum, nil
}

// allocator returns the innermost function of a stack that is not the runtime's.
func allocator(s *profile.Sample) string {
	for _, l := range s.Location {
		for _, n := range l.Line {
			if !strings.HasPrefix(n.Function.Name, "runtime.") {
				return n.Function.Name
			}
		}
	}
	return "?"
}

// inWorker reports whether a location is in the loop of a worker.
func inWorker(l *profile.Location) bool {
	return slices.ContainsFunc(l.Line, func(n profile.Line) bool { return n.Function.Name == workerLoop })
}

package scale

import (
	"math"
	"math/rand/v2"
	"runtime"
	"time"
)

// rounds is how often a loop is timed. The least counts: what other programs do
// on the machine only ever adds.
const rounds = 5

// ns returns what one of k operations costs that loop does, at its best.
func ns(k int, loop func()) float64 {
	best := math.Inf(1)
	for range rounds {
		best = min(best, once(k, loop))
	}
	return best
}

// fill is ns of a loop that begins with nothing: it makes what the loop fills anew
// each time, and leaves the last one filled. From a million on once is enough.
func fill(n int, empty, loop func()) float64 {
	best := math.Inf(1)
	for range rounds {
		empty()
		best = min(best, once(n, loop))
		if n >= 1<<20 {
			break
		}
	}
	return best
}

// once returns what one of k operations costs in one run of loop.
func once(k int, loop func()) float64 {
	began := time.Now()
	loop()
	return float64(time.Since(began).Nanoseconds()) / float64(k)
}

// heap returns the bytes that are reachable now.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what finalizers gave up
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// lookups is how many a timed loop makes.
const lookups = 1 << 18

// draws returns lookups keys of all, in random order, so that a loop over them
// reads memory in order and the table at random.
func draws[K any](r *rand.Rand, all []K) []K {
	out := make([]K, lookups)
	for i := range out {
		out[i] = all[r.IntN(len(all))]
	}
	return out
}

// seeded returns the same random numbers for every run: sizes are compared, not
// runs.
func seeded(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 20)) }

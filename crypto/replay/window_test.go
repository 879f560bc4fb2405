package replay_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ztos/ztos/crypto/replay"
)

// model is the naive window: a set, and the highest number.
type model struct {
	size uint64
	seen map[uint64]bool
	high uint64
	any  bool
}

func (m *model) check(n uint64) replay.Verdict {
	switch {
	case n == math.MaxUint64:
		return replay.Late
	case !m.any || n > m.high:
		return replay.OK
	case m.high-n >= m.size:
		return replay.Late
	case m.seen[n]:
		return replay.Replayed
	}
	return replay.OK
}

func (m *model) mark(n uint64) replay.Verdict {
	v := m.check(n)
	if v == replay.OK {
		m.seen[n] = true
		if !m.any || n > m.high {
			m.high, m.any = n, true
		}
	}
	return v
}

// TestAgainstModel drives windows of many sizes with random walks: forwards,
// inside and behind the window, and with jumps of every magnitude, among them
// those that land on the same ring index.
func TestAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	sizes := []uint32{0, 1, 2, 7, 8, 9, 63, 64, 65, 249, 250, 257, 1017, 1018, 1024, 8128, 8192}
	for range 10 {
		sizes = append(sizes, rng.Uint32N(3000))
	}
	for _, size := range sizes {
		w := replay.New(size)
		m := &model{size: uint64(size), seen: map[uint64]bool{}}
		at := []uint64{0, 1, rng.Uint64() >> rng.IntN(64), 1<<32 - 20, math.MaxUint64 - 4000}[rng.IntN(5)]
		for i := range 20000 {
			n := at
			switch rng.IntN(10) {
			case 0, 1, 2, 3:
				at++
				n = at
			case 4, 5, 6:
				n = at - uint64(rng.IntN(int(size)+40))
			case 7:
				at += uint64(rng.IntN(int(size) + 20))
				n = at
			case 8:
				n = at - rng.Uint64()>>rng.IntN(64)
			default:
				if rng.IntN(50) == 0 {
					at += 1 << rng.IntN(62)
					n = at
				}
			}
			c, v := w.Check(n), w.Mark(n)
			if want := m.mark(n); v != want || c != want {
				t.Fatalf("size %d, step %d, number %d (highest %d): Check %v, Mark %v, want %v",
					size, i, n, m.high, c, v, want)
			}
			if h, ok := w.Highest(); ok != m.any || (ok && h != m.high) || (ok && w.Next() != m.high+1) {
				t.Fatalf("size %d: Highest %d %v, want %d", size, h, ok, m.high)
			}
		}
	}
}

func TestEdges(t *testing.T) {
	type step struct {
		n    uint64
		want replay.Verdict
	}
	const ok, late, replayed = replay.OK, replay.Late, replay.Replayed
	for _, tt := range []struct {
		name  string
		size  uint32
		steps []step
	}{
		{"zero first", 64, []step{{0, ok}, {0, replayed}, {1, ok}}},
		{"start anywhere", 64, []step{{1 << 40, ok}, {1<<40 - 63, ok}, {1<<40 - 64, late}, {1 << 40, replayed}}},
		{"size 0", 0, []step{{0, ok}, {0, late}, {5, ok}, {4, late}, {5, late}, {6, ok}}},
		{"size 1", 1, []step{{0, ok}, {0, replayed}, {5, ok}, {4, late}, {5, replayed}, {6, ok}}},
		{"size 2", 2, []step{{5, ok}, {3, late}, {4, ok}, {4, replayed}}},
		{"last of its block", 250, []step{{7, ok}, {256, ok}, {7, replayed}, {6, late}}},
		{"ring reused", 249, []step{{3, ok}, {256 + 3, ok}, {3, late}, {256 + 2, ok}, {256 + 3, replayed}}},
		// 2^37 and 2^43 apart: the same index, and tags that a 32-bit tag
		// would confuse.
		{"jump by 2^37", 64, []step{{9, ok}, {9 + 1<<37, ok}, {8 + 1<<37, ok}, {9 + 1<<37, replayed}, {9, late}}},
		{"jump by 2^63", 64, []step{{9, ok}, {8 + 1<<63, ok}, {9 + 1<<63, ok}, {9 + 1<<63, replayed}, {9, late}}},
		{"top", 64, []step{{math.MaxUint64, late}, {math.MaxUint64 - 1, ok}, {math.MaxUint64 - 1, replayed},
			{math.MaxUint64 - 64, ok}, {math.MaxUint64 - 65, late}, {math.MaxUint64, late}, {0, late}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := replay.New(tt.size)
			if _, any := w.Highest(); any || w.Next() != 0 || w.Size() != tt.size {
				t.Fatal("a new window is not empty")
			}
			for round := range 2 {
				for i, s := range tt.steps {
					if got := w.Check(s.n); got != s.want {
						t.Fatalf("round %d step %d: Check(%d) = %v, want %v", round, i, s.n, got, s.want)
					}
					if got := w.Mark(s.n); got != s.want {
						t.Fatalf("round %d step %d: Mark(%d) = %v, want %v", round, i, s.n, got, s.want)
					}
				}
				w.Reset()
			}
		})
	}
}

func TestNewPanicsBeyondMaxSize(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	replay.New(replay.MaxSize + 1)
}

// TestConcurrentExactlyOnce: several workers offer the same numbers in different
// orders, all inside the window. Each must be accepted exactly once.
func TestConcurrentExactlyOnce(t *testing.T) {
	const workers, numbers = 4, 1 << 14
	for _, start := range []uint64{0, 1<<32 - numbers/2, math.MaxUint64 - 1 - numbers} {
		w := replay.New(numbers)
		var got [numbers]atomic.Uint32
		var wg sync.WaitGroup
		for g := range workers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), start))
				for _, i := range rng.Perm(numbers) {
					if w.Check(start+uint64(i)) == replay.Late {
						t.Errorf("%d is late", i)
					}
					if w.Mark(start+uint64(i)) == replay.OK {
						got[i].Add(1)
					}
				}
			})
		}
		wg.Wait()
		for i := range got {
			if n := got[i].Load(); n != 1 {
				t.Fatalf("start %d: number %d accepted %d times", start, i, n)
			}
		}
	}
}

// TestConcurrentSliding: the window moves fast over a small ring while workers
// offer every number several times, some far behind, with jumps over many
// rounds of the ring. No number may be accepted twice.
func TestConcurrentSliding(t *testing.T) {
	const workers, numbers, rounds = 4, 1 << 13, 30
	for _, tt := range []struct {
		size   uint32
		stride uint64
	}{{64, 1}, {249, 1}, {64, 256}, {249, 83}, {64, 1 << 40}, {0, 1}, {1, 3}} {
		sum := 0
		for range rounds {
			w := replay.New(tt.size)
			var got [numbers]atomic.Uint32
			var lead atomic.Uint64
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(rand.Uint64(), 7))
					for {
						i := lead.Add(uint64(rng.IntN(2)))
						i -= min(i, uint64(rng.IntN(20)))
						if i >= numbers {
							return
						}
						if w.Mark(i*tt.stride) == replay.OK {
							got[i].Add(1)
						}
					}
				})
			}
			wg.Wait()
			for i := range got {
				n := got[i].Load()
				if n > 1 {
					t.Fatalf("size %d stride %d: number %d accepted %d times", tt.size, tt.stride, i, n)
				}
				sum += int(n)
			}
		}
		if sum < numbers*rounds/200 {
			t.Errorf("size %d stride %d: only %d of %d accepted: the test tests nothing", tt.size, tt.stride, sum, numbers*rounds)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	w := replay.New(1024)
	n := uint64(0)
	if a := testing.AllocsPerRun(1000, func() {
		w.Check(n)
		w.Mark(n)
		w.Mark(n)
		w.Mark(n - min(n, 5000))
		n += 3
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// FuzzWindow reads the input as moves relative to the highest number and holds
// the window against the model.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(64), []byte{1, 1, 0, 255, 130, 1, 0x80, 7})
	f.Add(uint16(0), []byte{0, 0, 1, 2})
	f.Fuzz(func(t *testing.T, size uint16, moves []byte) {
		w := replay.New(uint32(size))
		m := &model{size: uint64(size), seen: map[uint64]bool{}}
		for i := 0; i+1 < len(moves); i += 2 {
			d := uint64(moves[i]&0x3f) << (moves[i+1] & 0x3f)
			n := m.high + d
			if moves[i]&0x40 != 0 {
				n = m.high - d
			}
			c, v := w.Check(n), w.Mark(n)
			if want := m.mark(n); v != want || c != want {
				t.Fatalf("number %d, highest %d: Check %v, Mark %v, want %v", n, m.high, c, v, want)
			}
		}
	})
}

func BenchmarkCheckMark(b *testing.B) {
	for _, size := range []uint32{0, 1024, 8128} {
		b.Run(map[uint32]string{0: "strict", 1024: "1024", 8128: "8128"}[size], func(b *testing.B) {
			w := replay.New(size)
			b.ReportAllocs()
			for i := range uint64(b.N) {
				if w.Check(i) != replay.OK || w.Mark(i) != replay.OK {
					b.Fatal(i)
				}
			}
		})
	}
}

// BenchmarkMarkTwoWorkers: two workers share the window, numbers interleaved.
func BenchmarkMarkTwoWorkers(b *testing.B) {
	w := replay.New(8128)
	var next atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.Mark(next.Add(1))
		}
	})
}

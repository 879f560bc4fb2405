package l2_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// mac returns the n-th of a row of unicast addresses that spreads like real
// ones do: vendor prefix and a running number.
func mac(n int) table.MAC { return table.MAC(0x02_1b_21_000000 + uint64(n)) }

// TestFDBModel compares an FDB with a map over random operations.
func TestFDBModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := l2.NewFDB()
	model := map[table.MAC]l2.Entry{}
	for step := range 60_000 {
		m := mac(rng.IntN(5000))
		if step%1000 < 700 { // grow, then shrink a little
			e := l2.Entry{MAC: m, Dest: l2.Local(table.ACID(rng.Uint32())), Seen: rng.Uint32(), Static: rng.IntN(10) == 0}
			if rng.IntN(2) == 0 {
				e.Dest = l2.Remote(table.VTEPID(rng.Uint32()))
			}
			if !f.Put(e) {
				t.Fatalf("Put(%v) refused", e)
			}
			model[m] = e
		} else {
			_, had := model[m]
			if f.Delete(m) != had {
				t.Fatalf("Delete(%v) = %v", m, !had)
			}
			delete(model, m)
		}
		probe := mac(rng.IntN(5000))
		want, had := model[probe]
		if got, ok := f.Get(probe); ok != had || got != want {
			t.Fatalf("Get(%v) = %v, %v, want %v, %v", probe, got, ok, want, had)
		}
		if d, ok := f.Lookup(probe); ok != had || d != want.Dest {
			t.Fatalf("Lookup(%v) = %v, %v", probe, d, ok)
		}
		if step%500 == 0 {
			now := rng.Uint32()
			src := f.Touch(probe, want.Dest, now)
			if had {
				want.Seen = now
				model[probe] = want
			}
			if (src == l2.SourceSame) != had {
				t.Fatalf("Touch(%v) = %v", probe, src)
			}
		}
		if f.Len() != len(model) {
			t.Fatalf("Len = %d, want %d", f.Len(), len(model))
		}
	}
	seen := map[table.MAC]bool{}
	for e := range f.All() {
		if seen[e.MAC] || model[e.MAC] != e {
			t.Fatalf("All gave %v, again %v, want %v", e, seen[e.MAC], model[e.MAC])
		}
		seen[e.MAC] = true
	}
	if len(seen) != len(model) {
		t.Errorf("All gave %d entries of %d", len(seen), len(model))
	}
	f.Clear()
	if f.Len() != 0 {
		t.Error("Clear left entries")
	}
	if _, ok := f.Lookup(mac(1)); ok {
		t.Error("Clear left an entry")
	}
}

func TestFDBTouch(t *testing.T) {
	f := l2.NewFDB()
	here, there := l2.Local(1), l2.Remote(1)
	f.Put(l2.Entry{MAC: mac(1), Dest: here, Seen: 5})
	f.Put(l2.Entry{MAC: mac(2), Dest: here, Static: true})
	f.Put(l2.Entry{MAC: mac(3), Dest: l2.Blackhole, Static: true})
	for _, tt := range []struct {
		m    int
		from l2.Dest
		want l2.Source
	}{
		{1, here, l2.SourceSame}, {1, there, l2.SourceMoved},
		{2, here, l2.SourceSame}, {2, there, l2.SourceStatic},
		{3, here, l2.SourceDrop}, {4, here, l2.SourceUnknown},
	} {
		if got := f.Touch(mac(tt.m), tt.from, 9); got != tt.want {
			t.Errorf("Touch(%d, %v) = %v, want %v", tt.m, tt.from, got, tt.want)
		}
	}
	if e, _ := f.Get(mac(1)); e.Seen != 9 {
		t.Errorf("Seen = %d, want 9", e.Seen)
	}
	// Changes around it keep the age.
	for i := range 500 {
		f.Put(l2.Entry{MAC: mac(100 + i), Dest: there})
	}
	if e, _ := f.Get(mac(1)); e.Seen != 9 || e.Dest != here {
		t.Errorf("after 500 changes: %v", e)
	}
}

func TestFDBPutRefuses(t *testing.T) {
	f := l2.NewFDB()
	for _, e := range []l2.Entry{
		{Dest: l2.Local(1)},
		{MAC: table.Broadcast, Dest: l2.Local(1)},
		{MAC: 0x01_00_5e_00_00_01, Dest: l2.Local(1)},
		{MAC: 1 << 48, Dest: l2.Local(1)},
		{MAC: mac(1)},
	} {
		if f.Put(e) {
			t.Errorf("Put(%v) succeeded", e)
		}
	}
	if _, ok := f.Lookup(0); ok {
		t.Error("the zero MAC was found")
	}
}

// TestFDBUnderTraffic lets workers look up and touch while the writer changes:
// an entry that is never changed is always found, with its destination.
func TestFDBUnderTraffic(t *testing.T) {
	f := l2.NewFDB()
	const fixed = 200
	for i := range fixed {
		f.Put(l2.Entry{MAC: mac(i), Dest: l2.Local(table.ACID(i + 1))})
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 0))
			for now := uint32(1); ; now++ {
				select {
				case <-stop:
					return
				default:
				}
				for range 100 {
					i := rng.IntN(fixed)
					if d, ok := f.Lookup(mac(i)); !ok || d != l2.Local(table.ACID(i+1)) {
						t.Errorf("Lookup(%d) = %v, %v", i, d, ok)
						return
					}
					if s := f.Touch(mac(i), l2.Local(table.ACID(i+1)), now); s != l2.SourceSame {
						t.Errorf("Touch(%d) = %v", i, s)
						return
					}
				}
			}
		})
	}
	for i := range 20_000 {
		m := mac(1000 + i%3000)
		if i%3 == 2 {
			f.Delete(m)
		} else {
			f.Put(l2.Entry{MAC: m, Dest: l2.Remote(1)})
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkFDB(b *testing.B) {
	for _, n := range []int{1 << 10, 16 << 10, 1 << 20} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		f := l2.NewFDB()
		for i := range n {
			f.Put(l2.Entry{MAC: mac(i), Dest: l2.Local(1)})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		perEntry := float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
		b.Run(fmt.Sprintf("lookup/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				if _, ok := f.Lookup(mac(int(x>>12) & (n - 1))); !ok {
					b.Fatal("missing")
				}
			}
			b.ReportMetric(perEntry, "B/entry")
		})
		b.Run(fmt.Sprintf("miss/%d", n), func(b *testing.B) {
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				if _, ok := f.Lookup(mac(1<<21 + int(x>>12))); ok {
					b.Fatal("found")
				}
			}
		})
		b.Run(fmt.Sprintf("touch/%d", n), func(b *testing.B) {
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				f.Touch(mac(int(x>>12)&(n-1)), l2.Local(1), 7)
			}
		})
		b.Run(fmt.Sprintf("change/%d", n), func(b *testing.B) {
			x := uint32(1)
			for b.Loop() {
				x = x*1664525 + 1013904223
				f.Put(l2.Entry{MAC: mac(int(x>>12) & (n - 1)), Dest: l2.Local(1), Seen: x})
			}
		})
	}
}

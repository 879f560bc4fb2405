package scale

import (
	"math/rand/v2"
	"runtime"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// FDB measures one bridge domain's FDB at each of sizes.
func FDB(sizes []int) Series {
	s := Series{
		Name: "fdb", Title: "FDB entries of one bridge domain", Axis: "entries",
		Metrics: []Metric{
			{"bytes", "heap for an entry", "B", true},
			{"hit", "lookup of a random MAC that is there", "ns", true},
			{"miss", "lookup of a random MAC that is not", "ns", true},
			{"change", "one entry put and published", "ns", true},
			{"bulk", "an entry, when the table is filled from empty", "ns", true},
			{"ageing", "an entry, when the table is walked for ageing", "ns", true},
		},
	}
	for _, n := range sizes {
		s.Points = append(s.Points, Point{n, fdb(n)})
	}
	return s
}

func randomMAC(r *rand.Rand) table.MAC { return table.MAC(r.Uint64()&(1<<48-1)&^(1<<40) | 1<<41) }

// changes is how many single changes are timed.
const changes = 1 << 12

func fdb(n int) []float64 {
	r := seeded(n)
	macs := make([]table.MAC, n)
	for i := range macs {
		macs[i] = randomMAC(r)
	}
	hits, misses := draws(r, macs), make([]table.MAC, lookups)
	for i := range misses {
		misses[i] = randomMAC(r) | 1<<42
	}
	before := heap()
	var f *l2.FDB
	bulk := fill(n, func() { f = l2.NewFDB() }, func() {
		for i, m := range macs {
			f.Put(l2.Entry{MAC: m, Dest: l2.Remote(table.VTEPID(i%1000 + 1)), Seen: 1})
		}
	})
	bytes := (heap() - before) / float64(n)
	find := func(keys []table.MAC) float64 {
		return ns(lookups, func() {
			for _, m := range keys {
				f.Lookup(m)
			}
		})
	}
	hit, miss := find(hits), find(misses)
	change := ns(changes, func() {
		for i := range changes {
			f.Put(l2.Entry{MAC: hits[i], Dest: l2.Remote(table.VTEPID(i%1000 + 1)), Seen: 2})
		}
	})
	ageing := ns(n, func() {
		for e := range f.All() {
			if e.Seen == 0 {
				panic("scale: an entry nobody put")
			}
		}
	})
	runtime.KeepAlive(f)
	return []float64{bytes, hit, miss, change, bulk, ageing}
}

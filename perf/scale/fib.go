package scale

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"

	"github.com/ztos/ztos/engine/table/fib"
)

// FIBs of tenants hold handles here: what they lead to is the same for any
// structure.
type (
	routes   = fib.FIB[uint32]
	change   = fib.Change[uint32]
	location struct {
		vrf  int
		addr netip.Addr
	}
)

// flows is how many destinations a worker talks to at a time in the measurement
// of the flow cache, and flowCache how many it remembers.
const (
	flows     = 1024
	flowCache = 4096
)

func fibMetrics() []Metric {
	return []Metric{
		{"bytes", "heap for a route", "B", true},
		{"hit", "lookup of a random address that a route holds", "ns", true},
		{"cached", "the same through a worker's flow cache, for 1,024 destinations in turn", "ns", true},
		{"miss", "lookup of a random address that none holds; most end at the first level", "ns", true},
		{"change", "one route changed and published", "ns", true},
		{"batch", "a route, in batches of 100 published once", "ns", true},
		{"bulk", "a route, when the FIB is filled from empty", "ns", true},
	}
}

// FIB measures the FIB of one VRF at each of sizes, in routes.
func FIB(sizes []int) Series {
	s := Series{Name: "fib", Title: "FIB routes of one VRF", Axis: "routes", Metrics: fibMetrics()}
	for _, n := range sizes {
		s.Points = append(s.Points, Point{n, fibs(1, n)})
	}
	return s
}

// VRFs measures VRFs of perVRF routes each, at each of counts.
func VRFs(counts []int, perVRF int) Series {
	s := Series{
		Name: fmt.Sprintf("vrf-%d", perVRF), Title: "VRFs of " + thousands(perVRF) + " FIB routes each",
		Axis: "VRFs", Metrics: fibMetrics(),
	}
	for _, n := range counts {
		s.Points = append(s.Points, Point{n, fibs(n, perVRF)})
	}
	return s
}

// routeMix returns n distinct routes, spread as the Internet's are, roughly: most
// are /24, the others /16 to /23; every eighth is IPv6, /32 to /48.
func routeMix(r *rand.Rand, n int) []change {
	seen := make(map[netip.Prefix]bool, n)
	out := make([]change, 0, n)
	for len(out) < n {
		var p netip.Prefix
		if len(out)%8 == 7 {
			a := [16]byte{0x20, 0x01}
			binary.BigEndian.PutUint32(a[2:], r.Uint32())
			p = netip.PrefixFrom(netip.AddrFrom16(a), 32+r.IntN(17)).Masked()
		} else {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], r.Uint32()>>1) // the upper half is for misses
			p = netip.PrefixFrom(netip.AddrFrom4(a), 24-max(0, r.IntN(16)-8)).Masked()
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, change{Prefix: p, Value: r.Uint32()})
		}
	}
	return out
}

func fibs(vrfs, perVRF int) []float64 {
	r := seeded(vrfs*7 + perVRF)
	// Tenants with the same routes are no different from others to a FIB, which
	// shares nothing with another's.
	mix := routeMix(r, perVRF)
	all := make([]location, min(vrfs*perVRF, 1<<20))
	for i := range all {
		all[i] = location{r.IntN(vrfs), mix[r.IntN(perVRF)].Prefix.Addr()}
	}
	hits, few := draws(r, all), draws(r, all[:min(flows, len(all))])
	misses := make([]location, lookups)
	for i := range misses {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], r.Uint32()|1<<31)
		misses[i] = location{r.IntN(vrfs), netip.AddrFrom4(a)}
	}

	before := heap()
	var fs []routes
	bulk := fill(vrfs*perVRF, func() { fs = make([]routes, vrfs) }, func() {
		for i := range fs {
			must(fs[i].Update(mix))
		}
	})
	bytes := (heap() - before) / float64(vrfs*perVRF)
	find := func(keys []location) float64 {
		return ns(lookups, func() {
			for i := range keys {
				fs[keys[i].vrf].Load().Lookup(keys[i].addr)
			}
		})
	}
	hit, miss := find(hits), find(misses)
	cache := fib.NewCache[uint32](flowCache)
	cached := ns(lookups, func() {
		for i := range few {
			cache.Lookup(fs[few[i].vrf].Load(), few[i].addr)
		}
	})
	one := publish(r, fs, mix, 1)
	batch := publish(r, fs, mix, min(100, perVRF))
	runtime.KeepAlive(fs)
	return []float64{bytes, hit, cached, miss, one, batch, bulk}
}

// publish returns what a route costs in batches of k.
func publish(r *rand.Rand, fs []routes, mix []change, k int) float64 {
	times := changes / k
	return ns(times*k, func() {
		for range times {
			at := r.IntN(len(mix) - k + 1)
			must(fs[r.IntN(len(fs))].Update(mix[at : at+k]))
		}
	})
}

func must(err error) {
	if err != nil {
		panic(err) // the measurement is wrong
	}
}

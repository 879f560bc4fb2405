package evpn_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
)

// batchSize is how many routes come at once: some BGP messages.
const batchSize = 1000

// macUpdates returns n type 2 routes, with an address each or without, over 50
// VTEPs, in batches.
func macUpdates(t testing.TB, n int, ips bool) [][]evpn.Update {
	t.Helper()
	l2, l3 := rt(t, "65000:100"), rt(t, "65000:5000")
	var all [][]evpn.Update
	for i := 0; i < n; i += batchSize {
		us := make([]evpn.Update, 0, batchSize)
		for j := i; j < min(i+batchSize, n); j++ {
			leaf := 2 + j%50
			u := evpn.Update{Peer: 2}
			a := &u.Route.Attrs
			*a = evpn.Attrs{NextHop: vtep(leaf), RTs: []evpn.RT{l2}, Label1: vni100, Encaps: evpn.EncapVXLAN,
				Preference: evpn.Preference{LocalPref: 100}}
			var ip netip.Addr
			if ips {
				ip = netip.AddrFrom4([4]byte{10, byte(j >> 16), byte(j >> 8), byte(j)})
				a.RTs = []evpn.RT{l2, l3}
				a.Label2, a.RouterMAC = l3vni, routerMAC(leaf)
			}
			u.Route.Key = evpn.KeyOfMAC(evpn.NewRD(vtep(leaf), 100), 0, host(j), ip)
			us = append(us, u)
		}
		all = append(all, us)
	}
	return all
}

// prefixUpdates returns n type 5 routes.
func prefixUpdates(t testing.TB, n int) [][]evpn.Update {
	t.Helper()
	l3 := []evpn.RT{rt(t, "65000:5000")}
	var all [][]evpn.Update
	for i := 0; i < n; i += batchSize {
		us := make([]evpn.Update, 0, batchSize)
		for j := i; j < min(i+batchSize, n); j++ {
			leaf := 2 + j%50
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + j>>16), byte(j >> 8), byte(j), 0}), 24)
			us = append(us, evpn.Update{Peer: 2, Route: evpn.Route{
				Key: evpn.KeyOfPrefix(evpn.NewRD(vtep(leaf), 1), 0, p),
				Attrs: evpn.Attrs{NextHop: vtep(leaf), RTs: l3, Label1: l3vni, RouterMAC: routerMAC(leaf),
					Encaps: evpn.EncapVXLAN, Preference: evpn.Preference{LocalPref: 100}},
			}})
		}
		all = append(all, us)
	}
	return all
}

func freshLeaf(t testing.TB) *evpn.Speaker {
	t.Helper()
	s := evpn.New()
	if err := s.Configure(0, leafConfig(t, 1)); err != nil {
		t.Fatal(err)
	}
	s.PeerUp(peerOf(2))
	s.Flush(0)
	return s
}

func feed(s *evpn.Speaker, all [][]evpn.Update) (changes int) {
	for _, us := range all {
		s.Update(0, us)
		c := s.Flush(0)
		changes += len(c.MACs) + len(c.Prefixes)
	}
	return changes
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestScale: memory for each route does not grow with their number, stays within
// bounds, and is given back.
func TestScale(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t testing.TB, n int) [][]evpn.Update
		max  uint64 // bytes for each route
	}{
		{"MAC", func(t testing.TB, n int) [][]evpn.Update { return macUpdates(t, n, false) }, 450},
		{"MAC and IP, host routes", func(t testing.TB, n int) [][]evpn.Update { return macUpdates(t, n, true) }, 1000},
		{"prefixes", prefixUpdates, 600},
	} {
		per := map[int]uint64{}
		for _, n := range []int{10_000, 100_000} {
			all := tt.make(t, n)
			before := heap()
			s := freshLeaf(t)
			if got := feed(s, all); got < n {
				t.Fatalf("%s: %d changes of %d routes", tt.name, got, n)
			}
			used := heap() - before
			per[n] = used / uint64(n)
			s.PeerDown(0, 2, false)
			s.Flush(0)
			if z := s.Size(); z.Keys+z.Paths+z.Attrs+z.MACs+z.Neighbours+z.Prefixes != 0 {
				t.Errorf("%s: left over: %+v", tt.name, z)
			}
			runtime.KeepAlive(all)
		}
		t.Logf("%s: %d bytes a route of 10 k, %d of 100 k", tt.name, per[10_000], per[100_000])
		if per[100_000] > tt.max || per[100_000] > 2*per[10_000] {
			t.Errorf("%s: %d bytes a route of 10 k, %d of 100 k; want %d at most", tt.name, per[10_000], per[100_000], tt.max)
		}
	}
}

// TestAffectedOnly: one change among many routes allocates for itself, not for
// them.
func TestAffectedOnly(t *testing.T) {
	for _, n := range []int{1_000, 100_000} {
		s := freshLeaf(t)
		feed(s, macUpdates(t, n, true))
		us := macUpdates(t, 1, true)[0]
		us[0].Route.Attrs.Mobility.Present = true
		var seq uint32
		allocs := testing.AllocsPerRun(100, func() {
			seq++
			us[0].Route.Attrs.Mobility.Seq = seq
			s.Update(0, us)
			if c := s.Flush(0); len(c.MACs) != 1 {
				t.Fatalf("%d MACs changed", len(c.MACs))
			}
		})
		if allocs > 20 {
			t.Errorf("one move among %d: %v allocations", n, allocs)
		}
		again := testing.AllocsPerRun(100, func() {
			s.Update(0, us)
			if c := s.Flush(0); !c.Empty() {
				t.Fatalf("changes %+v", c)
			}
		})
		if again > 0 {
			t.Errorf("a route that was known, among %d: %v allocations", n, again)
		}
	}
}

// benchmark feeds all to a fresh speaker in each round.
func benchmark(b *testing.B, all [][]evpn.Update, n int) {
	b.ReportAllocs()
	var took time.Duration
	var used uint64
	for b.Loop() {
		before := heap()
		start := time.Now()
		s := freshLeaf(b)
		feed(s, all)
		took += time.Since(start)
		used += heap() - before
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/float64(n), "ns/route")
	b.ReportMetric(float64(used)/float64(b.N)/float64(n), "B/route")
}

func BenchmarkMAC(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) { benchmark(b, macUpdates(b, n, false), n) })
	}
}

func BenchmarkMACIP(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) { benchmark(b, macUpdates(b, n, true), n) })
	}
}

func BenchmarkPrefix(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) { benchmark(b, prefixUpdates(b, n), n) })
	}
}

// BenchmarkMove is a host that moves among 100,000: Update and Flush.
func BenchmarkMove(b *testing.B) {
	s := freshLeaf(b)
	feed(s, macUpdates(b, 100_000, true))
	us := macUpdates(b, 1, true)[0]
	us[0].Route.Attrs.Mobility.Present = true
	b.ReportAllocs()
	for b.Loop() {
		us[0].Route.Attrs.Mobility.Seq++
		s.Update(0, us)
		s.Flush(0)
	}
}

// BenchmarkMassWithdraw is a type 1 route per segment that goes and comes, with
// 100,000 MACs behind it.
func BenchmarkMassWithdraw(b *testing.B) {
	s := freshLeaf(b)
	for _, us := range macUpdates(b, 100_000, false) {
		for i := range us {
			us[i].Route.Attrs.ESI = es1
			us[i].Route.Attrs.NextHop = vtep(2)
		}
		s.Update(0, us)
	}
	ad := evpn.Update{Peer: 2, Route: evpn.Route{Key: evpn.KeyOfAD(evpn.NewRD(vtep(2), 1), es1, evpn.MaxTag),
		Attrs: evpn.Attrs{NextHop: vtep(2), RTs: []evpn.RT{rt(b, "65000:100")}, Encaps: evpn.EncapVXLAN,
			ESILabel: evpn.ESILabel{Present: true}}}}
	s.Flush(0)
	b.ReportAllocs()
	for b.Loop() {
		ad.Withdraw = !ad.Withdraw
		s.Update(0, []evpn.Update{ad})
		if c := s.Flush(0); len(c.MACs) > 0 {
			b.Fatalf("%d MACs changed", len(c.MACs))
		}
	}
}

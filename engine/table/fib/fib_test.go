package fib_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/table/fib"
)

// naive is a FIB as its definition says: all routes, and the longest that holds
// the address.
type naive map[netip.Prefix]uint32

func (n naive) lookup(a netip.Addr) (v uint32, ok bool) {
	bits := -1
	for p, x := range n {
		if p.Contains(a) && p.Bits() > bits {
			v, ok, bits = x, true, p.Bits()
		}
	}
	return v, ok
}

// address returns one of few addresses that lie close together, of either
// family, so that prefixes nest and addresses hit them.
func address(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, byte(r.IntN(3)), byte(r.IntN(3)), byte(r.IntN(256))})
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(r.IntN(2)), 14: byte(r.IntN(2)), 15: byte(r.IntN(256))}
	if r.IntN(8) == 0 {
		a = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(r.IntN(4))} // IPv4-mapped
	}
	return netip.AddrFrom16(a)
}

func prefix(r *rand.Rand) netip.Prefix {
	for {
		a := address(r)
		bits := a.BitLen() - r.IntN(20)
		if r.IntN(10) == 0 {
			bits = r.IntN(a.BitLen() + 1)
		}
		if p := netip.PrefixFrom(a, bits); !a.Is4In6() {
			return p
		}
	}
}

// TestAgreesWithNaive: after random batches, of sizes on both sides of where
// Update chooses another way, every lookup is what the definition says, with and
// without a cache, and older versions are what they were.
func TestAgreesWithNaive(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	var f fib.FIB[uint32]
	model := naive{}
	cache := fib.NewCache[uint32](64)
	type old struct {
		table *fib.Table[uint32]
		model naive
	}
	olds := []old{{f.Load(), naive{}}}
	for batch := range 300 {
		var changes []fib.Change[uint32]
		size := 1
		if batch%10 == 0 {
			size = r.IntN(100)
		}
		for range size {
			c := fib.Change[uint32]{Prefix: prefix(r), Value: r.Uint32(), Delete: r.IntN(3) == 0}
			if c.Delete && r.IntN(2) == 0 && len(model) > 0 {
				for c.Prefix = range model {
					break
				}
			}
			if c.Delete {
				delete(model, c.Prefix.Masked())
			} else {
				model[c.Prefix.Masked()] = c.Value
			}
			changes = append(changes, c)
		}
		if err := f.Update(changes); err != nil {
			t.Fatal(err)
		}
		if batch%50 == 0 {
			olds = append(olds, old{f.Load(), maps.Clone(model)})
		}
		now := old{f.Load(), model}
		for i := range 100 {
			o := now
			if i%4 == 0 {
				o = olds[r.IntN(len(olds))]
			}
			a := address(r)
			want, wantOK := o.model.lookup(a)
			if got, ok := o.table.Lookup(a); got != want || ok != wantOK {
				t.Fatalf("seed %d, batch %d: Lookup(%v) = %d, %v; want %d, %v", seed, batch, a, got, ok, want, wantOK)
			}
			if got, ok := cache.Lookup(o.table, a); got != want || ok != wantOK {
				t.Fatalf("seed %d, batch %d: cached Lookup(%v) = %d, %v; want %d, %v", seed, batch, a, got, ok, want, wantOK)
			}
		}
		if got := maps.Collect(f.Load().All()); !maps.Equal(got, model) || f.Load().Len() != len(model) {
			t.Fatalf("seed %d, batch %d: %d routes, Len %d, want %d", seed, batch, len(got), f.Load().Len(), len(model))
		}
	}
	for _, o := range olds {
		if got := maps.Collect(o.table.All()); !maps.Equal(got, o.model) {
			t.Fatalf("seed %d: a version changed after it was published", seed)
		}
	}
}

func TestReplaceAndSorted(t *testing.T) {
	var f fib.FIB[uint32]
	if err := f.Update([]fib.Change[uint32]{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Value: 9}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "2001:db8::/32"}
	routes := map[netip.Prefix]uint32{}
	for i, s := range want {
		routes[netip.MustParsePrefix(s)] = uint32(i)
	}
	if err := f.Replace(routes); err != nil {
		t.Fatal(err)
	}
	var got []string
	for p, v := range f.Load().Sorted() {
		got = append(got, p.String())
		if x, ok := f.Load().Get(p); !ok || x != v {
			t.Errorf("Get(%v) = %d, %v; want %d", p, x, ok, v)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("routes %v, want %v", got, want)
	}
}

func TestBadPrefixChangesNothing(t *testing.T) {
	good := fib.Change[int]{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 1}
	for _, bad := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)} {
		var f fib.FIB[int]
		if err := f.Update([]fib.Change[int]{good, {Prefix: bad}}); err == nil {
			t.Errorf("Update took %v", bad)
		}
		if err := f.Replace(map[netip.Prefix]int{bad: 1}); err == nil {
			t.Errorf("Replace took %v", bad)
		}
		if f.Load() != nil || f.Load().Len() != 0 {
			t.Error("a refused change was published")
		}
		if _, ok := f.Load().Lookup(netip.MustParseAddr("10.0.0.1")); ok {
			t.Error("an empty FIB has a route")
		}
	}
}

// TestPublishUnderTraffic: every version has one value in all of its routes;
// readers that see two in one version saw a part of a batch.
func TestPublishUnderTraffic(t *testing.T) {
	const routes, versions, readers = 300, 300, 3
	var f fib.FIB[uint32]
	change := func(v uint32) (cs []fib.Change[uint32]) {
		for i := range uint32(routes) {
			cs = append(cs, fib.Change[uint32]{Prefix: host(i), Value: v})
		}
		return cs
	}
	if err := f.Update(change(0)); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			c := fib.NewCache[uint32](routes)
			for last := uint32(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				tab := f.Load()
				want, ok := c.Lookup(tab, host(0).Addr())
				if !ok || want < last {
					t.Errorf("version %d after %d, found %v", want, last, ok)
					return
				}
				last = want
				for i := range uint32(routes) {
					if got, ok := c.Lookup(tab, host(i).Addr()); !ok || got != want {
						t.Errorf("route %d has value %d, %v; route 0 has %d", i, got, ok, want)
						return
					}
				}
			}
		})
	}
	for v := range uint32(versions) {
		if err := f.Update(change(v + 1)); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// host returns a /32 that is another for each i.
func host(i uint32) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], i*2654435761)
	return netip.PrefixFrom(netip.AddrFrom4(b), 32)
}

func TestNoAllocs(t *testing.T) {
	var f fib.FIB[*int]
	x := new(int)
	six := netip.MustParsePrefix("2001:db8::/32")
	if err := f.Update([]fib.Change[*int]{{Prefix: host(1), Value: x}, {Prefix: six, Value: x}}); err != nil {
		t.Fatal(err)
	}
	c := fib.NewCache[*int](2)
	addrs := []netip.Addr{host(1).Addr(), host(2).Addr(), six.Addr(), six.Addr().Next(), netip.IPv6Unspecified(), {}}
	n := testing.AllocsPerRun(100, func() {
		tab := f.Load()
		for _, a := range addrs {
			tab.Lookup(a)
			c.Lookup(tab, a)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// mix returns n routes as the Internet has them, roughly: most are /24, the rest
// spread from /16 to /23; every eighth is IPv6.
func mix(n int) map[netip.Prefix]uint32 {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	out := make(map[netip.Prefix]uint32, n)
	for len(out) < n {
		var p netip.Prefix
		if len(out)%8 == 0 {
			a := [16]byte{0x20, 0x01}
			binary.BigEndian.PutUint32(a[2:], r.Uint32())
			p = netip.PrefixFrom(netip.AddrFrom16(a), 32+r.IntN(17))
		} else {
			var a [4]byte
			binary.BigEndian.PutUint32(a[:], r.Uint32())
			p = netip.PrefixFrom(netip.AddrFrom4(a), max(16, 24-max(0, r.IntN(16)-8)))
		}
		out[p.Masked()] = r.Uint32()
	}
	return out
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		routes := mix(n)
		tab, err := fib.Of(routes)
		if err != nil {
			b.Fatal(err)
		}
		var addrs []netip.Addr
		for p := range routes {
			addrs = append(addrs, p.Addr())
		}
		for _, flows := range []int{512, len(addrs)} {
			b.Run(fmt.Sprintf("routes=%d/flows=%d/trie", n, flows), func(b *testing.B) {
				for i := range b.N {
					tab.Lookup(addrs[i*7919%flows])
				}
			})
			b.Run(fmt.Sprintf("routes=%d/flows=%d/cache", n, flows), func(b *testing.B) {
				c := fib.NewCache[uint32](4096)
				for i := range b.N {
					c.Lookup(tab, addrs[i*7919%flows])
				}
			})
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	routes := mix(100_000)
	var all []fib.Change[uint32]
	for p, v := range routes {
		all = append(all, fib.Change[uint32]{Prefix: p, Value: v})
	}
	for _, k := range []int{1, 100, 700, 900, 10_000, 50_000} {
		b.Run(fmt.Sprintf("routes=100000/batch=%d", k), func(b *testing.B) {
			var f fib.FIB[uint32]
			if err := f.Replace(routes); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				at := i * k % (len(all) - k + 1)
				if err := f.Update(all[at : at+k]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*k), "ns/route")
		})
	}
}

package wireguard_test

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
)

// TestIndexTableModel compares the table with a map on random operations,
// through several growths.
func TestIndexTableModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	tab := wireguard.NewIndexTable(crand.Reader)
	model := map[uint32]*wireguard.Session{}
	var keys []uint32
	for range 20000 {
		switch {
		case len(keys) == 0 || r.IntN(3) > 0:
			s, err := tab.NewIndexed()
			if err != nil {
				t.Fatal(err)
			}
			if model[s.Local()] != nil || s.Local() == 0 {
				t.Fatalf("index %#x given out twice, or zero", s.Local())
			}
			model[s.Local()] = s
			keys = append(keys, s.Local())
		default:
			i := r.IntN(len(keys))
			k := keys[i]
			keys[i] = keys[len(keys)-1]
			keys = keys[:len(keys)-1]
			delete(model, k)
			tab.Release(k)
			tab.Release(k) // twice does no harm
			if tab.Lookup(k) != nil {
				t.Fatalf("released index %#x is found", k)
			}
		}
		if tab.Len() != len(model) {
			t.Fatalf("%d indices, want %d", tab.Len(), len(model))
		}
	}
	for k, s := range model {
		if tab.Lookup(k) != s {
			t.Fatalf("index %#x is lost", k)
		}
		// The same slot under another index is not found.
		for bit := tab.SlotBits(); bit < 32; bit++ {
			if tab.Lookup(k^1<<bit) != nil {
				t.Fatalf("index %#x is found as %#x", k, k^1<<bit)
			}
		}
	}
	if tab.SlotBits() < 13 {
		t.Errorf("only %d slot bits: the table did not grow", tab.SlotBits())
	}
}

// TestIndexTableReaders: what is in the table is found at every moment of its
// growth.
func TestIndexTableReaders(t *testing.T) {
	tab := wireguard.NewIndexTable(crand.Reader)
	fixed, err := tab.NewIndexed()
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !stop.Load() {
				if tab.Lookup(fixed.Local()) != fixed {
					t.Error("a session was not found")
					return
				}
			}
		})
	}
	for range 5000 {
		s, err := tab.NewIndexed()
		if err != nil {
			t.Fatal(err)
		}
		if tab.Lookup(s.Local()) != s {
			t.Fatal("a new session was not found")
		}
	}
	stop.Store(true)
	wg.Wait()
}

func TestAllowedIPsModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(4)), byte(r.IntN(8))})
		}
		b := [16]byte{0x20, 1, 0xd, 0xb8}
		b[7], b[8], b[15] = byte(r.IntN(2)), byte(r.IntN(2)<<7), byte(r.IntN(8))
		return netip.AddrFrom16(b)
	}
	for range 300 {
		var ps []netip.Prefix
		for range r.IntN(30) {
			a := addr()
			ps = append(ps, netip.PrefixFrom(a, r.IntN(a.BitLen()+1)))
		}
		set := wireguard.NewAllowedIPs(ps)
		for range 100 {
			a := addr()
			want := false
			for _, p := range ps {
				want = want || p.Contains(a)
			}
			if got := set.Contains(a); got != want {
				t.Fatalf("%v in %v: %v, want %v", a, ps, got, want)
			}
			if got := set.AllowsSource(packetFrom(a)); got != want {
				t.Fatalf("packet from %v in %v: %v, want %v", a, ps, got, want)
			}
		}
	}
}

// packetFrom returns an empty IP packet from a.
func packetFrom(a netip.Addr) []byte {
	if a.Is4() {
		return ipv4(20, a)
	}
	b := make([]byte, 40)
	b[0] = 0x60
	copy(b[8:], a.AsSlice())
	return b
}

func TestAllowedIPsNothing(t *testing.T) {
	var none *wireguard.AllowedIPs
	a := netip.MustParseAddr("10.0.0.1")
	for _, set := range []*wireguard.AllowedIPs{none, wireguard.NewAllowedIPs(nil)} {
		if set.Contains(a) || set.AllowsSource(packetFrom(a)) || len(set.Prefixes()) != 0 {
			t.Error("an empty set allows something")
		}
	}
	all := wireguard.NewAllowedIPs([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	for _, b := range [][]byte{nil, {0x45}, make([]byte, 19), make([]byte, 64), append([]byte{0x60}, make([]byte, 38)...)} {
		if all.AllowsSource(b) {
			t.Errorf("not a packet, but allowed: %x", b)
		}
	}
}

func TestInner(t *testing.T) {
	v4, v6 := ipv4(24, inner4), packetFrom(netip.MustParseAddr("2001:db8::1"))
	v6 = append(v6, 1, 2, 3)
	binary.BigEndian.PutUint16(v6[4:], 3)
	set := func(b []byte, at int, v uint16) []byte {
		b = bytes.Clone(b)
		binary.BigEndian.PutUint16(b[at:], v)
		return b
	}
	pad := func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 13)...) }
	for _, tt := range []struct {
		name  string
		plain []byte
		want  []byte
	}{
		{"v4", v4, v4}, {"v4 padded", pad(v4), v4},
		{"v6", v6, v6}, {"v6 padded", pad(v6), v6},
		{"v4 length too large", set(v4, 2, 25), nil},
		{"v4 length below header", set(v4, 2, 19), nil},
		{"v4 cut", v4[:19], nil},
		{"v6 length too large", set(v6, 4, 4), nil},
		{"v6 length of 65535", set(v6, 4, 65535), nil},
		{"v6 cut", v6[:39], nil},
		{"version 5", append([]byte{0x55}, v4[1:]...), nil},
	} {
		got, r := wireguard.Inner(tt.plain)
		if !bytes.Equal(got, tt.want) || (r == counter.None) != (tt.want != nil) {
			t.Errorf("%s: %x, %v", tt.name, got, r)
		}
	}
}

func FuzzInner(f *testing.F) {
	f.Add(ipv4(24, inner4))
	f.Add(packetFrom(netip.MustParseAddr("2001:db8::1")))
	all := wireguard.NewAllowedIPs([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, r := wireguard.Inner(b)
		if (r == counter.None) != (len(p) >= 20) || len(p) > len(b) {
			t.Errorf("%d bytes of %d, %v", len(p), len(b), r)
		}
		if r == counter.None && !all.AllowsSource(p) {
			t.Error("a whole packet has no source")
		}
		all.AllowsSource(b)
	})
}

func TestPinned(t *testing.T) {
	var none *wireguard.Pinned
	p := wireguard.NewPinned([]netip.Prefix{netip.MustParsePrefix("192.0.2.77/24")}, []netip.AddrPort{addrC})
	for _, tt := range []struct {
		set  *wireguard.Pinned
		src  string
		want bool
	}{
		{none, "203.0.113.1:1", true},
		{wireguard.NewPinned(nil, nil), "203.0.113.1:1", true},
		{p, "192.0.2.1:9", true},
		{p, addrC.String(), true},
		{p, "198.51.100.3:40001", false},
		{p, "[2001:db8::2]:51820", false},
	} {
		if got := tt.set.Allows(netip.MustParseAddrPort(tt.src)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.src, got, tt.want)
		}
	}
}

func BenchmarkAllowedIPs(b *testing.B) {
	for _, n := range []int{1, 4, 12, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var ps []netip.Prefix
			for i := range n {
				ps = append(ps, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16))
			}
			set := wireguard.NewAllowedIPs(ps)
			p := ipv4(64, netip.AddrFrom4([4]byte{10, byte(n - 1), 1, 1}))
			b.ReportAllocs()
			for b.Loop() {
				if !set.AllowsSource(p) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	tab := wireguard.NewIndexTable(crand.Reader)
	var is []uint32
	for range 1024 {
		s, err := tab.NewIndexed()
		if err != nil {
			b.Fatal(err)
		}
		is = append(is, s.Local())
	}
	i := 0
	for b.Loop() {
		if tab.Lookup(is[i&1023]) == nil {
			b.Fatal("lost")
		}
		i++
	}
}

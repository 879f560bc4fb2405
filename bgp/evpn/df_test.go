package evpn_test

import (
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
)

func cands(alg evpn.DFAlg, prefs ...int) []evpn.Candidate {
	var list []evpn.Candidate
	for i, p := range prefs {
		c := evpn.Candidate{Addr: vtep(i + 1), DF: evpn.DFElection{Present: true, Alg: alg, Preference: uint16(p)}}
		list = append(list, c)
	}
	return list
}

// TestElectModulo: RFC 7432 section 8.5, "the PE with ordinal i is the DF for an
// <ES, VLAN V> when (V mod N) = i", ordinals by address.
func TestElectModulo(t *testing.T) {
	list := []evpn.Candidate{{Addr: addr("10.0.0.3")}, {Addr: addr("10.0.0.1")}, {Addr: addr("10.0.0.2")}}
	for v, want := range map[uint32]string{99: "10.0.0.1", 100: "10.0.0.2", 101: "10.0.0.3", 0: "10.0.0.1"} {
		if df, _ := evpn.Elect(evpn.DFModulo, v, evpn.ESI{}, list); df != addr(want) {
			t.Errorf("V %d: %s, want %s", v, df, want)
		}
	}
	if df, backup := evpn.Elect(evpn.DFModulo, 1, evpn.ESI{}, nil); df.IsValid() || backup.IsValid() {
		t.Errorf("without candidates: %s, %s", df, backup)
	}
	if df, backup := evpn.Elect(evpn.DFModulo, 1, evpn.ESI{}, list[:1]); df != addr("10.0.0.3") || backup.IsValid() {
		t.Errorf("alone: %s, %s", df, backup)
	}
}

// wrand is Wrand of RFC 8584 section 3.2, in numbers that do not wrap.
func wrand(v uint32, esi evpn.ESI, a netip.Addr) uint64 {
	stream := append([]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}, esi[:]...)
	d := uint64(crc32.ChecksumIEEE(stream)) % (1 << 31)
	b := a.AsSlice()
	var si uint64
	for _, x := range b[len(b)-4:] {
		si = si<<8 | uint64(x)
	}
	const m, c, mod = 1103515245, 12345, 1 << 31
	inner := (m*(si%mod) + c) % mod
	return (m*((inner^d)%mod) + c) % mod
}

// TestElectHRW: RFC 8584 section 3.2: the highest weight; a node that is neither
// DF nor backup may go without change; the backup takes over.
func TestElectHRW(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	shares := map[netip.Addr]int{}
	for range 2000 {
		v, esi := rng.Uint32N(4096), evpn.ESIFromMAC(host(rng.IntN(1000)), rng.Uint32N(1<<24))
		list := cands(evpn.DFHRW, 0, 0, 0, 0)
		list[3].Addr = addr("2001:db8::4")
		df, backup := evpn.Elect(evpn.DFHRW, v, esi, list)
		shares[df]++
		var best netip.Addr
		for _, c := range list {
			if !best.IsValid() || wrand(v, esi, c.Addr) > wrand(v, esi, best) {
				best = c.Addr
			}
		}
		if df != best {
			t.Fatalf("V %d, %s: %s, want %s", v, esi, df, best)
		}
		var rest, without []evpn.Candidate
		for _, c := range list {
			if c.Addr != df {
				rest = append(rest, c)
			}
			if c.Addr == df || c.Addr == backup {
				without = append(without, c)
			}
		}
		if next, _ := evpn.Elect(evpn.DFHRW, v, esi, rest); next != backup {
			t.Fatalf("backup %s, elected without the DF %s", backup, next)
		}
		if same, _ := evpn.Elect(evpn.DFHRW, v, esi, without); same != df {
			t.Fatalf("DF %s, without bystanders %s", df, same)
		}
	}
	for a, n := range shares {
		if n < 300 || n > 700 { // 500 each
			t.Errorf("%s is DF of %d in 2000", a, n)
		}
	}
}

// TestElectPreference: the examples of RFC 9785 section 4.1.
func TestElectPreference(t *testing.T) {
	with := func(list []evpn.Candidate, dp ...int) []evpn.Candidate {
		for _, i := range dp {
			list[i].DF.Caps = evpn.CapDontPreempt
		}
		return list
	}
	for _, tt := range []struct {
		name       string
		alg        evpn.DFAlg
		list       []evpn.Candidate
		df, backup int
	}{
		{"vES1: 500 before 255", evpn.DFHighest, cands(evpn.DFHighest, 500, 255), 1, 2},
		{"vES2: 300 before 200 before 100", evpn.DFHighest, cands(evpn.DFHighest, 100, 200, 300), 3, 2},
		{"vES1, lowest", evpn.DFLowest, cands(evpn.DFLowest, 500, 255), 2, 1},
		{"vES2, lowest", evpn.DFLowest, cands(evpn.DFLowest, 100, 200, 300), 1, 2},
		{"equal: Don't Preempt", evpn.DFHighest, with(cands(evpn.DFHighest, 500, 500), 1), 2, 1},
		{"equal: Don't Preempt, lowest", evpn.DFLowest, with(cands(evpn.DFLowest, 500, 500), 1), 2, 1},
		{"equal: the lower address", evpn.DFHighest, cands(evpn.DFHighest, 500, 500), 1, 2},
		{"Don't Preempt does not beat preference", evpn.DFHighest, with(cands(evpn.DFHighest, 500, 499), 1), 1, 2},
	} {
		if df, backup := evpn.Elect(tt.alg, 7, evpn.ESI{}, tt.list); df != vtep(tt.df) || backup != vtep(tt.backup) {
			t.Errorf("%s: %s, %s; want %s, %s", tt.name, df, backup, vtep(tt.df), vtep(tt.backup))
		}
	}
	// "an IPv4 address is always considered numerically lower than an IPv6 address"
	list := cands(evpn.DFHighest, 1, 1)
	list[0].Addr = addr("2001:db8::1")
	list[1].Addr = addr("203.0.113.1")
	if df, _ := evpn.Elect(evpn.DFHighest, 7, evpn.ESI{}, list); df != list[1].Addr {
		t.Errorf("of two families: %s", df)
	}
}

// TestAgree: RFC 8584 section 2.2: all say the same, or the default.
func TestAgree(t *testing.T) {
	df := func(alg evpn.DFAlg, caps evpn.DFCaps) evpn.Candidate {
		return evpn.Candidate{DF: evpn.DFElection{Present: true, Alg: alg, Caps: caps}}
	}
	for _, tt := range []struct {
		name string
		list []evpn.Candidate
		alg  evpn.DFAlg
		caps evpn.DFCaps
	}{
		{"one", []evpn.Candidate{df(1, 0)}, evpn.DFHRW, 0},
		{"all HRW with AC-DF", []evpn.Candidate{df(1, evpn.CapACDF), df(1, evpn.CapACDF)}, evpn.DFHRW, evpn.CapACDF},
		{"one without the community", []evpn.Candidate{df(1, 0), {}}, evpn.DFModulo, 0},
		{"highest and lowest", []evpn.Candidate{df(2, 0), df(3, 0)}, evpn.DFModulo, 0},
		{"AC-DF at one only", []evpn.Candidate{df(1, evpn.CapACDF), df(1, 0)}, evpn.DFModulo, 0},
		{"Don't Preempt at one only", []evpn.Candidate{df(2, evpn.CapDontPreempt), df(2, 0)}, evpn.DFHighest, 0},
		{"all of an algorithm that is not known", []evpn.Candidate{df(9, 0), df(9, 0)}, evpn.DFModulo, 0},
		{"nobody", nil, evpn.DFModulo, 0},
	} {
		if alg, caps := evpn.Agree(tt.list); alg != tt.alg || caps != tt.caps {
			t.Errorf("%s: %d, %x; want %d, %x", tt.name, alg, caps, tt.alg, tt.caps)
		}
	}
}

package unicast_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/unicast"
)

const own = 65000

var (
	r1, r2 = netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")
	r6     = netip.MustParseAddr("fd00:9::2")
)

// owned is a subnet that the VRF has itself.
var owned = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24"), netip.MustParsePrefix("fd00:9::/64")}

func neighbors() []unicast.Neighbor {
	any4 := netip.MustParsePrefix("10.0.0.0/8")
	return []unicast.Neighbor{
		{Addr: r1, AS: 65101, Accept: []netip.Prefix{any4}},
		{Addr: r2, AS: 65102, Accept: []netip.Prefix{any4}},
		{Addr: r6, AS: 65101, Accept: []netip.Prefix{netip.MustParsePrefix("fd00::/16")}},
	}
}

func newRIB() *unicast.RIB {
	r := unicast.NewRIB(own)
	r.Configure(neighbors(), owned)
	return r
}

func say(p string, hop netip.Addr, as ...uint32) unicast.Update {
	return unicast.Update{Route: unicast.Route{Prefix: netip.MustParsePrefix(p), NextHop: hop, ASPath: as}}
}

func gone(p string) unicast.Update {
	return unicast.Update{Withdraw: true, Route: unicast.Route{Prefix: netip.MustParsePrefix(p)}}
}

// hops returns changes as "PREFIX by HOP HOP".
func hops(cs []unicast.Change) (out []string) {
	for _, c := range cs {
		s := c.Prefix.String() + " by"
		for _, p := range c.Paths {
			s += " " + p.NextHop.String()
		}
		out = append(out, s)
	}
	return out
}

func want(t *testing.T, got []unicast.Change, want ...string) {
	t.Helper()
	if g := hops(got); !slices.Equal(g, want) {
		t.Errorf("changes %q, want %q", g, want)
	}
}

func TestTaken(t *testing.T) {
	r := newRIB()
	want(t, r.Update(r1, []unicast.Update{say("10.1.0.0/16", r1, 65101), say("10.2.0.0/16", r1, 65101, 65200)}),
		"10.1.0.0/16 by 10.9.0.2", "10.2.0.0/16 by 10.9.0.2")
	want(t, r.Update(r1, []unicast.Update{say("10.1.0.0/16", r1, 65101)}))
	want(t, r.Update(r2, []unicast.Update{say("10.2.0.0/16", r2, 65102)}), "10.2.0.0/16 by 10.9.0.3") // shorter
	want(t, r.Update(r2, []unicast.Update{gone("10.2.0.0/16"), gone("10.77.0.0/16")}), "10.2.0.0/16 by 10.9.0.2")
	want(t, r.Update(r6, []unicast.Update{say("fd00:1::/32", r6, 65101)}), "fd00:1::/32 by fd00:9::2")
	want(t, r.Down(r1), "10.1.0.0/16 by", "10.2.0.0/16 by")
	want(t, r.Down(r1))
	for f := range unicast.NumFaults {
		if n := r.Faults(unicast.Fault(f)); n != 0 {
			t.Errorf("%d routes not taken for %v", n, unicast.Fault(f))
		}
	}
}

// TestChoice: what is equal shares, what is not does not.
func TestChoice(t *testing.T) {
	base := func(med uint32, origin uint8, as ...uint32) unicast.Update {
		u := say("10.1.0.0/16", r1, as...)
		u.Route.MED, u.Route.Origin = med, origin
		return u
	}
	for _, tt := range []struct {
		name     string
		by1, by2 unicast.Update
		want     string
	}{
		{"equal", base(0, 0, 65101), base(0, 0, 65102), "10.9.0.2 10.9.0.3"},
		{"MEDs of two ASes do not compare", base(5, 0, 65101), base(9, 0, 65102), "10.9.0.2 10.9.0.3"},
		{"shorter path", base(0, 2, 65101), base(0, 0, 65102, 65102), "10.9.0.2"},
		{"lower origin", base(0, 2, 65101), base(9, 1, 65102), "10.9.0.3"},
	} {
		r := newRIB()
		tt.by2.Route.NextHop = r2
		r.Update(r1, []unicast.Update{tt.by1})
		r.Update(r2, []unicast.Update{tt.by2})
		s := ""
		for i, p := range r.Best(tt.by1.Route.Prefix) {
			if i > 0 {
				s += " "
			}
			s += p.NextHop.String()
		}
		if s != tt.want {
			t.Errorf("%s: by %q, want %q", tt.name, s, tt.want)
		}
	}
	// Of one AS they do.
	r := unicast.NewRIB(own)
	list := neighbors()
	list[1].AS = 65101
	r.Configure(list, owned)
	first, second := base(5, 0, 65101), base(4, 0, 65101)
	second.Route.NextHop = r2
	r.Update(r1, []unicast.Update{first})
	want(t, r.Update(r2, []unicast.Update{second}), "10.1.0.0/16 by 10.9.0.3")
	// One next hop by two neighbours is one.
	second.Route.MED, second.Route.NextHop = 5, r1
	want(t, r.Update(r2, []unicast.Update{second}), "10.1.0.0/16 by 10.9.0.2")
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		from netip.Addr
		u    unicast.Update
		want unicast.Fault
	}{
		{r1, say("11.0.0.0/16", r1, 65101), unicast.NotAllowed},
		{r1, say("8.0.0.0/6", r1, 65101), unicast.NotAllowed}, // holds what is allowed, and more
		{r1, say("0.0.0.0/0", r1, 65101), unicast.NotAllowed},
		{r1, say("10.1.0.0/16", r1, 65101, own), unicast.OwnAS},
		{r1, say("10.1.0.0/16", r1, 65102, 65101), unicast.FirstAS},
		{r1, say("10.1.0.0/16", r1), unicast.FirstAS},
		{r1, say("10.1.0.0/16", netip.MustParseAddr("10.9.0.77"), 65101), unicast.NextHop},
		{r1, say("10.1.0.0/16", netip.Addr{}, 65101), unicast.NextHop},
		{r1, say("fd00:1::/32", r6, 65101), unicast.Family},
		{r6, say("10.1.0.0/16", r1, 65101), unicast.Family},
		{r6, say("::ffff:10.1.0.0/112", r6, 65101), unicast.Family},
		{r1, say("10.9.0.0/24", r1, 65101), unicast.OwnSubnet},
		{r1, say("10.9.0.3/32", r1, 65101), unicast.OwnSubnet},
		{r1, say("10.1.0.0/16", r1, slices.Repeat([]uint32{65101}, unicast.MaxPath+1)...), unicast.LongPath},
		{netip.MustParseAddr("10.9.0.77"), say("10.1.0.0/16", r1, 65101), unicast.Stranger},
	} {
		r := newRIB()
		r.Update(r1, []unicast.Update{say("10.1.0.0/16", r1, 65101)})
		had := len(r.Best(netip.MustParsePrefix("10.1.0.0/16")))
		cs := r.Update(tt.from, []unicast.Update{tt.u})
		if n := r.Faults(tt.want); n != 1 {
			t.Errorf("%v by %v: %d counted as %v, want 1", tt.u.Route, tt.from, n, tt.want)
		}
		for _, c := range cs {
			if len(c.Paths) > 0 {
				t.Errorf("%v by %v: taken", tt.u.Route, tt.from)
			}
		}
		// What replaces a good route and is not taken withdraws it.
		if tt.from == r1 && tt.u.Route.Prefix.String() == "10.1.0.0/16" {
			if now := len(r.Best(tt.u.Route.Prefix)); had != 1 || now != 0 {
				t.Errorf("%v: %d paths, then %d, want 1 and 0", tt.u.Route, had, now)
			}
		}
	}
	for f := range unicast.NumFaults {
		if unicast.Fault(f).String() == "" {
			t.Errorf("fault %d has no name", f)
		}
	}
}

// TestConfigure: what was not allowed is, without the neighbour's saying it again,
// and the other way round.
func TestConfigure(t *testing.T) {
	r := newRIB()
	r.Update(r1, []unicast.Update{say("10.1.0.0/16", r1, 65101), say("11.1.0.0/16", r1, 65101)})
	list := neighbors()
	want(t, r.Configure(list, owned))
	list[0].Accept = []netip.Prefix{netip.MustParsePrefix("11.0.0.0/8")}
	want(t, r.Configure(list, owned), "10.1.0.0/16 by", "11.1.0.0/16 by 10.9.0.2")
	want(t, r.Configure(list, []netip.Prefix{netip.MustParsePrefix("11.1.0.0/16")}), "11.1.0.0/16 by")
	want(t, r.Configure(list, owned), "11.1.0.0/16 by 10.9.0.2")
	want(t, r.Configure(list[1:], owned), "11.1.0.0/16 by")
	want(t, r.Configure(list, owned))
	want(t, r.Update(r1, []unicast.Update{say("11.1.0.0/16", r1, 65101)}), "11.1.0.0/16 by 10.9.0.2")
}

// TestModel: after any history the RIB has what one has that was told the end of it.
func TestModel(t *testing.T) {
	for range 50 {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newRIB()
		said := map[netip.Addr]map[netip.Prefix]unicast.Update{r1: {}, r2: {}}
		seen := map[netip.Prefix][]unicast.Route{}
		follow := func(cs []unicast.Change) {
			for _, c := range cs {
				if seen[c.Prefix] = c.Paths; len(c.Paths) == 0 {
					delete(seen, c.Prefix)
				}
			}
		}
		as := map[netip.Addr]uint32{r1: 65101, r2: 65102}
		for range 300 {
			from := []netip.Addr{r1, r2}[rnd.IntN(2)]
			if rnd.IntN(40) == 0 {
				clear(said[from])
				follow(r.Down(from))
				continue
			}
			u := say(fmt.Sprintf("%d.%d.0.0/16", 10+rnd.IntN(2), rnd.IntN(4)), []netip.Addr{r1, r2}[rnd.IntN(2)], as[from])
			for range rnd.IntN(2) {
				u.Route.ASPath = append(u.Route.ASPath, uint32(own+rnd.IntN(3)))
			}
			u.Route.MED, u.Route.Origin = uint32(rnd.IntN(2)), uint8(rnd.IntN(2))
			if u.Withdraw = rnd.IntN(3) == 0; u.Withdraw {
				delete(said[from], u.Route.Prefix)
			} else {
				said[from][u.Route.Prefix] = u
			}
			follow(r.Update(from, []unicast.Update{u}))
		}
		fresh := newRIB()
		for from, us := range said {
			for _, u := range us {
				fresh.Update(from, []unicast.Update{u})
			}
		}
		n := 0
		for p, paths := range fresh.All() {
			n++
			if !slices.EqualFunc(paths, seen[p], func(a, b unicast.Route) bool {
				return a.NextHop == b.NextHop && a.MED == b.MED && slices.Equal(a.ASPath, b.ASPath)
			}) {
				t.Errorf("seed %d: %v by %v, want %v", seed, p, seen[p], paths)
			}
		}
		if n != len(seen) {
			t.Errorf("seed %d: %d prefixes, want %d", seed, len(seen), n)
		}
	}
}

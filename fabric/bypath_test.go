package fabric_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ztos/ztos/fabric"
)

// TestManyFlows: what one burst of many flows brings leaves in a group for each
// source port, not in one for each flow.
func TestManyFlows(t *testing.T) {
	s := newSteady(t, manyFlows(32))
	s.b.must(s.leaf1.Step())
	paths, datagrams := s.first.Paths(), 0
	for i := range s.first.bundles {
		datagrams += s.first.bundles[i].Datagrams()
	}
	if n := len(s.first.bundles); n > paths || datagrams != 32 {
		t.Errorf("%d datagrams in %d groups, want 32 in at most %d", datagrams, n, paths)
	}
	s.b.must(s.sp.Step())
	s.b.must(s.leaf2.Step())
	if s.out.sent != 32 {
		t.Errorf("%d frames arrived, want 32", s.out.sent)
	}
	s.b.noDrops()
}

// TestByPath: frames of one source port lie together, in the order in which they
// came.
func TestByPath(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		in := make([]uint8, rnd.IntN(65))
		for i := range in {
			in[i] = uint8(rnd.IntN(1 + rnd.IntN(17)))
		}
		want := make([]int, len(in))
		for i := range want {
			want[i] = i
		}
		slices.SortStableFunc(want, func(a, b int) int { return int(in[a]) - int(in[b]) })
		if got := fabric.ByPath(in); !slices.Equal(got, want) {
			t.Fatalf("%v: %v, want %v", in, got, want)
		}
	}
}

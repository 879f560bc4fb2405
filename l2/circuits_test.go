package l2_test

import (
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// TestCircuits: what Access was made of is what it yields, and no more after the
// caller has enough.
func TestCircuits(t *testing.T) {
	var acs []*l2.AC
	for i, m := range []l2.Match{
		{Kind: l2.MatchUntagged}, {Kind: l2.MatchAll}, {Kind: l2.MatchVLAN, VLAN: 7},
		{Kind: l2.MatchQinQ, VLAN: 7, Inner: 9}, {Kind: l2.MatchQinQ, VLAN: 8, Inner: 4094},
	} {
		acs = append(acs, &l2.AC{ID: table.ACID(i + 1), Match: m})
	}
	a, err := l2.NewAccess(acs)
	if err != nil {
		t.Fatal(err)
	}
	var got []table.ACID
	for ac := range a.Circuits() {
		got = append(got, ac.ID)
	}
	slices.Sort(got)
	if want := []table.ACID{1, 2, 3, 4, 5}; !slices.Equal(got, want) {
		t.Errorf("circuits %v, want %v", got, want)
	}
	for n := range len(acs) {
		seen := 0
		for range a.Circuits() {
			if seen++; seen > n {
				break
			}
		}
		if seen != n+1 {
			t.Errorf("%d circuits after the caller had enough with %d", seen, n+1)
		}
	}
	empty, err := l2.NewAccess(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ac := range empty.Circuits() {
		t.Errorf("a circuit of a port without: %v", ac)
	}
}

package l2_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

func placed(m int, to l2.Dest) l2.Placement { return l2.Placement{VNI: 5, MAC: mac(m), Dest: to} }

// newPlaced is a learner of VNI 5 whose VTEP 7 is told of and whose VTEP 8 is
// learned from.
func newPlaced(t *testing.T) *l2.Learner {
	t.Helper()
	l := l2.NewLearner()
	c := domainConfig()
	c.Told = []table.VTEPID{7}
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	l.TakeChanges()
	return l
}

func kinds(l *l2.Learner) (out []l2.ChangeKind) {
	for _, c := range l.TakeChanges() {
		out = append(out, c.Kind)
	}
	return out
}

func TestPlace(t *testing.T) {
	l := newPlaced(t)
	l.Learn([]l2.Sighting{sight(1, l2.Remote(7)), sight(2, l2.Remote(8)), sight(3, l2.Local(1))}, 1)
	expectContents(t, "nothing is learned from a VTEP that is told of", l, map[int]l2.Dest{
		2: l2.Remote(8), 3: l2.Local(1), 50: l2.Local(1), 51: l2.Remote(7),
	})
	for _, tt := range []struct {
		name string
		p    l2.Placement
		want bool
	}{
		{"new", placed(1, l2.Remote(7)), true},
		{"again", placed(1, l2.Remote(7)), true},
		{"in place of what was learned", placed(2, l2.Remote(7)), true},
		{"in place of a local one", placed(3, l2.Remote(8)), true},
		{"elsewhere now", placed(1, l2.Remote(8)), true},
		{"in quarantine", placed(4, l2.Blackhole), true},
		{"a configured MAC", placed(50, l2.Remote(7)), false},
		{"an unknown VTEP", placed(5, l2.Remote(9)), false},
		{"a circuit", placed(5, l2.Local(1)), false},
		{"no VNI", l2.Placement{VNI: 6, MAC: mac(1), Dest: l2.Remote(7)}, false},
		{"no MAC", l2.Placement{VNI: 5, Dest: l2.Remote(7)}, false},
	} {
		if got := l.Place(tt.p); got != tt.want {
			t.Errorf("%s: Place = %v, want %v", tt.name, got, tt.want)
		}
	}
	expectContents(t, "placed", l, map[int]l2.Dest{
		1: l2.Remote(8), 2: l2.Remote(7), 3: l2.Remote(8), 4: l2.Blackhole, 50: l2.Local(1), 51: l2.Remote(7),
	})
	l.Age(1 << 20)
	l.FlushVNI(5)
	l.FlushVTEP(7)
	if n := l.Flush(5, func(l2.Entry) bool { return true }); n != 0 {
		t.Errorf("%d placed entries were flushed", n)
	}
	if e, ok := l.FDB(5).Get(mac(1)); !ok || !e.External || e.Static {
		t.Errorf("entry %+v, %v", e, ok)
	}
	for m, want := range map[int]bool{1: true, 50: false, 60: false} {
		if got := l.Displace(5, mac(m)); got != want {
			t.Errorf("Displace(%d) = %v, want %v", m, got, want)
		}
	}
	l.Learn([]l2.Sighting{sight(1, l2.Remote(8))}, 2)
	if l.Displace(5, mac(1)) {
		t.Error("a learned MAC was displaced")
	}
}

// TestPlacedMoves: what is placed moves to a circuit if the arbiter agrees, and
// to no other VTEP.
func TestPlacedMoves(t *testing.T) {
	l := newPlaced(t)
	var asked []table.MAC
	agree := true
	l.SetArbiter(func(vni table.VNI, m table.MAC, at table.ACID) bool {
		if vni != 5 || at != 2 {
			t.Errorf("asked of VNI %d, circuit %d", vni, at)
		}
		asked = append(asked, m)
		return agree
	})
	l.Place(placed(1, l2.Remote(7)))
	l.Learn([]l2.Sighting{sight(1, l2.Remote(8))}, 1)
	expectContents(t, "from another VTEP", l, map[int]l2.Dest{1: l2.Remote(7), 50: l2.Local(1), 51: l2.Remote(7)})
	if got := kinds(l); len(got) != 2 || got[1] != l2.MoveRefused {
		t.Errorf("changes %v, want placed, move-refused", got)
	}
	agree = false
	l.Learn([]l2.Sighting{sight(1, l2.Local(2))}, 1)
	expectContents(t, "the arbiter refuses", l, map[int]l2.Dest{1: l2.Remote(7), 50: l2.Local(1), 51: l2.Remote(7)})
	agree = true
	l.Learn([]l2.Sighting{sight(1, l2.Local(2)), sight(1, l2.Local(2))}, 1)
	expectContents(t, "the arbiter agrees", l, map[int]l2.Dest{1: l2.Local(2), 50: l2.Local(1), 51: l2.Remote(7)})
	if len(asked) != 2 {
		t.Errorf("asked %d times, want 2", len(asked))
	}
	if l.Evict(5, mac(1), 1) || !l.Evict(5, mac(1), 2) || l.Evict(5, mac(1), 2) {
		t.Error("Evict does not remove what is at the circuit, once")
	}
}

// TestPlacedLimits: what others have does not count for the limits here.
func TestPlacedLimits(t *testing.T) {
	l := newPlaced(t)
	c := domainConfig()
	c.Told, c.Limit = []table.VTEPID{7}, l2.Limit{Max: 1, Action: l2.LimitDrop}
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	l.Learn([]l2.Sighting{sight(1, l2.Local(1))}, 1)
	if l.Gate(5).State() != l2.GateDrop {
		t.Fatal("the limit is not reached")
	}
	l.Place(placed(1, l2.Remote(7)))
	l.Place(placed(2, l2.Remote(7)))
	if l.Gate(5).State() != l2.GateLearn {
		t.Error("placed MACs count for the limit")
	}
	l.Learn([]l2.Sighting{sight(1, l2.Local(1))}, 1)
	if l.Gate(5).State() != l2.GateDrop {
		t.Error("a MAC that came back does not count")
	}
	l.Evict(5, mac(1), 1)
	if l.Gate(5).State() != l2.GateLearn {
		t.Error("an evicted MAC counts")
	}
}

// TestPlacedConfiguration: a configured entry wins, and what loses its VTEP goes.
func TestPlacedConfiguration(t *testing.T) {
	l := newPlaced(t)
	l.Place(l2.Placement{VNI: 5, MAC: mac(1), Dest: l2.Remote(7), Fixed: true})
	l.Place(placed(2, l2.Remote(7)))
	l.Place(placed(3, l2.Remote(8)))
	l.Place(placed(4, l2.Blackhole))
	c := domainConfig()
	c.VTEPs, c.Statics = []table.VTEPID{8}, []l2.Static{{MAC: mac(3), Dest: l2.Local(1)}}
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	expectContents(t, "VTEP 7 is gone", l, map[int]l2.Dest{3: l2.Local(1), 4: l2.Blackhole})
	l.RemoveDomain(5)
	if len(l.Domains()) != 0 {
		t.Error("the domain is still there")
	}
}

// TestPlacedFrames: what the bridge does with frames of placed MACs.
func TestPlacedFrames(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	place := func(m int, to l2.Dest, fixed, frozen bool) {
		t.Helper()
		if !r.learner.Place(l2.Placement{VNI: rigVNI, MAC: mac(m), Dest: to, Fixed: fixed, Frozen: frozen}) {
			t.Fatalf("MAC %d was not placed", m)
		}
	}
	place(1, l2.Remote(1), false, false)
	place(2, l2.Remote(1), true, false)
	place(3, l2.Remote(1), false, true)
	place(4, l2.Blackhole, false, true)
	r.send(1, mac(60), mac(61)) // learned at circuit 1
	for _, tt := range []struct {
		name string
		from int
		src  int
		want l2.Verdict
	}{
		{"from its VTEP", -1, 1, to(l2.Local(1))},
		{"from another VTEP", -2, 1, dropped(counter.MACForeignVTEP)},
		{"from another VTEP, sticky", -2, 2, dropped(counter.MACForeignVTEP)},
		{"at a circuit, sticky", 2, 2, dropped(counter.MACMoveRefused)},
		{"at a circuit, in quarantine", 2, 3, dropped(counter.MACQuarantined)},
		{"from its keeper, in quarantine", -1, 3, to(l2.Local(1))},
		{"at a circuit, in quarantine and nowhere else", 2, 4, dropped(counter.MACQuarantined)},
		{"at a circuit", 2, 1, to(l2.Local(1))}, // last: it moves
	} {
		r.expect(tt.name, r.send(tt.from, mac(61), mac(tt.src)), tt.want)
	}
	r.expect("to who moved here", r.send(1, mac(1), mac(61)), to(l2.Local(2)))

	if !r.learner.Freeze(rigVNI, mac(1), true) || r.learner.Freeze(rigVNI, mac(2), true) {
		t.Error("Freeze marks what was learned, and nothing else")
	}
	r.expect("the newcomer's VTEP", r.send(-1, mac(61), mac(1)), dropped(counter.MACQuarantined))
	r.expect("the keeper", r.send(2, mac(61), mac(1)), to(l2.Local(1)))
	r.expect("the keeper at another circuit", r.send(3, mac(61), mac(1)), to(l2.Local(1)))
	r.expect("the newcomer still", r.send(-1, mac(61), mac(1)), dropped(counter.MACQuarantined))
	r.learner.Freeze(rigVNI, mac(1), false)
	r.expect("released", r.send(-1, mac(61), mac(1)), to(l2.Local(1)))
}

package l2_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// group sets group 1 of r and puts MACs of EVPN into it.
func (r *rig) group(g *l2.Group, macs ...int) {
	r.t.Helper()
	if !r.learner.SetGroup(rigVNI, 1, g) {
		r.t.Fatal("group refused")
	}
	for _, m := range macs {
		if !r.learner.Place(l2.Placement{VNI: rigVNI, MAC: mac(m), Dest: l2.InGroup(1)}) {
			r.t.Fatal("placement refused")
		}
	}
}

// flow lets the bridge decide on a frame with a flow hash, from circuit 1.
func (r *rig) flow(dst table.MAC, hash uint32) l2.Verdict {
	r.t.Helper()
	f := &pkt.Frame{}
	f.Reset(frame(dst, mac(1), 50))
	f.Hash = hash
	return r.sendFrame(1, f)
}

// TestGroupSpread: flows spread over the members of a segment, each stays at one,
// and when a member goes only its own flows move.
func TestGroupSpread(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) { c.VTEPs = []table.VTEPID{1, 2, 3} }, l2.Limit{})
	r.send(1, table.Broadcast, mac(1))
	three := []l2.Dest{l2.Remote(1), l2.Remote(2), l2.Remote(3)}
	r.group(&l2.Group{Members: three, Sources: three}, 20, 21)
	const flows = 3000
	was, count := map[uint32]l2.Dest{}, map[l2.Dest]int{}
	for i := range uint32(flows) {
		hash := i * 0x9e3779b1
		v := r.flow(mac(20), hash)
		if v != r.flow(mac(21), hash) {
			t.Fatal("the MAC chose the member, not the flow")
		}
		was[hash] = v.Dest
		count[v.Dest]++
	}
	for _, d := range three {
		if n := count[d]; n < flows/4 || n > flows*5/12 {
			t.Errorf("%v of %d flows took %v", n, flows, d)
		}
	}
	two := []l2.Dest{l2.Remote(1), l2.Remote(3)}
	r.learner.TakeChanges()
	r.group(&l2.Group{Members: two, Sources: two})
	if c := r.learner.TakeChanges(); len(c) != 0 {
		t.Errorf("a change of a group changed MACs: %v", c)
	}
	for hash, d := range was {
		got := r.flow(mac(20), hash).Dest
		if d != l2.Remote(2) && got != d || got == l2.Remote(2) {
			t.Fatalf("flow %#x went from %v to %v", hash, d, got)
		}
	}
	r.group(&l2.Group{})
	r.expect("no member: unknown", r.flow(mac(20), 1), flooded)
	r.learner.SetGroup(rigVNI, 1, nil)
	r.expect("no group: unknown", r.flow(mac(20), 1), flooded)
}

// TestGroupSource: any node of the segment may have a MAC of it as a source, no
// other; at a circuit on the segment it is learned, and elsewhere too, as a move.
func TestGroupSource(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) {
		c.VTEPs, c.Told = []table.VTEPID{1, 2, 3}, []table.VTEPID{1, 2, 3}
	}, l2.Limit{})
	r.group(&l2.Group{Members: []l2.Dest{l2.Remote(1)}, Sources: []l2.Dest{l2.Remote(1), l2.Remote(2), l2.Local(2)}}, 20)
	for from, want := range map[int]l2.Verdict{
		-1: flooded, -2: flooded, -3: dropped(counter.MACForeignVTEP),
	} {
		r.expect("from a VTEP", r.send(from, table.Broadcast, mac(20)), want)
	}
	fixed := l2.Placement{VNI: rigVNI, MAC: mac(21), Dest: l2.InGroup(1), Fixed: true}
	if !r.learner.Place(fixed) {
		t.Fatal("not placed")
	}
	r.expect("a sticky MAC at its segment here", r.send(2, table.Broadcast, mac(21)), flooded)
	r.expect("a sticky MAC elsewhere", r.send(1, table.Broadcast, mac(21)), dropped(counter.MACMoveRefused))
	if d, _ := r.bd.FDB.Lookup(mac(21)); d != l2.InGroup(1) {
		t.Errorf("a sticky MAC of another node was learned: %v", d)
	}
	r.expect("at the segment here", r.send(2, table.Broadcast, mac(20)), flooded)
	if d, _ := r.bd.FDB.Lookup(mac(20)); d != l2.Local(2) {
		t.Errorf("not learned at its segment: %v", d)
	}
}

// TestGroupLocal: a group may lead to a circuit here, as far as that is one of the
// bridge domain.
func TestGroupLocal(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	r.group(&l2.Group{Members: []l2.Dest{l2.Local(2)}}, 20)
	r.expect("from a VTEP", r.send(-1, mac(20), mac(7)), to(l2.Local(2)))
	r.expect("from a circuit", r.send(1, mac(20), mac(1)), to(l2.Local(2)))
	f := &pkt.Frame{}
	f.Reset(frame(mac(20), mac(99), 50))
	r.bridge.Begin(r.now)
	r.expect("from the gateway", r.bridge.FromGateway(r.bd, f), to(l2.Local(2)))
	r.bridge.End()
}

func TestSetGroupRefused(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	for name, try := range map[string]func() bool{
		"no domain":      func() bool { return r.learner.SetGroup(7, 1, &l2.Group{}) },
		"no ID":          func() bool { return r.learner.SetGroup(rigVNI, 0, &l2.Group{}) },
		"ID too great":   func() bool { return r.learner.SetGroup(rigVNI, l2.MaxGroups+1, &l2.Group{}) },
		"unknown VTEP":   func() bool { return r.learner.SetGroup(rigVNI, 1, &l2.Group{Members: []l2.Dest{l2.Remote(9)}}) },
		"unknown source": func() bool { return r.learner.SetGroup(rigVNI, 1, &l2.Group{Sources: []l2.Dest{l2.Local(9)}}) },
		"group in group": func() bool { return r.learner.SetGroup(rigVNI, 1, &l2.Group{Members: []l2.Dest{l2.InGroup(1)}}) },
		"placed nowhere": func() bool { return r.learner.Place(l2.Placement{VNI: rigVNI, MAC: mac(1), Dest: l2.InGroup(3)}) },
	} {
		if try() {
			t.Errorf("%s: taken", name)
		}
	}
	if !r.learner.SetGroup(rigVNI, 8, nil) || r.bd.FDB.Group(8) != nil {
		t.Error("taking away what is not there failed")
	}
}

func TestGroupNoAllocs(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) {
		c.ACs[1].Segment = l2.NewSegment(l2.SegmentState{DF: true, Peers: []table.VTEPID{2}})
	}, l2.Limit{})
	r.send(1, table.Broadcast, mac(1))
	r.send(2, table.Broadcast, mac(2))
	both := []l2.Dest{l2.Remote(1), l2.Remote(2)}
	r.group(&l2.Group{Members: both, Sources: both}, 20)
	f, flood := &pkt.Frame{}, make([]*l2.AC, 0, 8)
	there, back, bum := frame(mac(20), mac(1), 50), frame(mac(1), mac(20), 50), frame(table.Broadcast, mac(2), 50)
	if n := testing.AllocsPerRun(200, func() {
		r.bridge.Begin(r.now)
		f.Reset(there)
		f.Hash++
		if v := r.bridge.FromLocal(r.bd, r.bd.ACs[0], f); v.Kind != l2.Unicast {
			t.Fatal(v)
		}
		f.Reset(back)
		f.VTEP = 2
		if v := r.bridge.FromVTEP(r.bd, f); v.Kind != l2.Unicast {
			t.Fatal(v)
		}
		f.Reset(bum) // of a host here, by another node of its segment
		f.VTEP = 2
		if v := r.bridge.FromVTEP(r.bd, f); v.Kind != l2.Flood {
			t.Fatal(v)
		}
		flood, _ = r.bd.AppendFlood(flood[:0], nil, 2)
		r.bridge.End()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGroup(b *testing.B) {
	r := newRig(b, nil, l2.Limit{})
	r.send(1, table.Broadcast, mac(1))
	both := []l2.Dest{l2.Remote(1), l2.Remote(2)}
	r.group(&l2.Group{Members: both, Sources: both}, 20)
	f := &pkt.Frame{}
	f.Reset(frame(mac(20), mac(1), 50))
	b.ReportAllocs()
	r.bridge.Begin(5 * second)
	for b.Loop() {
		f.Hash += 7
		r.bridge.FromLocal(r.bd, r.bd.ACs[0], f)
	}
}

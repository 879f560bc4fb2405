package l2_test

import (
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// TestSegmentFlood: which BUM frames go to a segment. Circuit 1 leads to it, VTEP 1
// is on it too, VTEP 2 is not.
func TestSegmentFlood(t *testing.T) {
	cell := l2.NewSegment(l2.SegmentState{})
	r := newRig(t, func(c *l2.BDConfig) { c.ACs[0].Segment = cell }, l2.Limit{})
	for _, tt := range []struct {
		name       string
		state      l2.SegmentState
		from       int // 2, 3: a circuit; 0: the gateway; -1, -2: a VTEP
		want       bool
		held       l2.Held
		everywhere bool
	}{
		{"before the election, from a VTEP", l2.SegmentState{}, -2, false, l2.Held{NotDF: 1}, true},
		{"before the election, from here", l2.SegmentState{}, 2, true, l2.Held{}, false},
		{"not the DF, from a VTEP", l2.SegmentState{Peers: []table.VTEPID{1}}, -2, false, l2.Held{NotDF: 1}, true},
		{"DF, from a VTEP", l2.SegmentState{DF: true, Peers: []table.VTEPID{1}}, -2, true, l2.Held{}, true},
		{"DF, from a peer", l2.SegmentState{DF: true, Peers: []table.VTEPID{1}}, -1, false, l2.Held{Peer: 1}, true},
		{"not the DF, from a peer", l2.SegmentState{Peers: []table.VTEPID{1}}, -1, false, l2.Held{Peer: 1}, true},
		{"not the DF, from here", l2.SegmentState{Peers: []table.VTEPID{1}}, 3, true, l2.Held{}, false},
		{"not the DF, of the gateway", l2.SegmentState{Peers: []table.VTEPID{1}}, 0, true, l2.Held{}, true},
		{"single-active DF, from a peer", l2.SegmentState{SingleActive: true, DF: true, Peers: []table.VTEPID{1}}, -1, true, l2.Held{}, true},
		{"single-active, not the DF, from a VTEP", l2.SegmentState{SingleActive: true}, -2, false, l2.Held{Blocked: 1}, true},
		{"single-active, not the DF, from here", l2.SegmentState{SingleActive: true}, 2, false, l2.Held{Blocked: 1}, false},
		{"single-active, not the DF, of the gateway", l2.SegmentState{SingleActive: true}, 0, false, l2.Held{Blocked: 1}, true},
	} {
		cell.Set(tt.state)
		list, held := r.bd.AppendFlood(nil, r.bd.AC(table.ACID(max(tt.from, 0))), table.VTEPID(max(-tt.from, 0)))
		if got := slices.Contains(list, r.bd.ACs[0]); got != tt.want || held != tt.held {
			t.Errorf("%s: sent %v, held %+v; want %v, %+v", tt.name, got, held, tt.want, tt.held)
		}
		if got := slices.Contains(list, r.bd.ACs[1]) && slices.Contains(list, r.bd.ACs[2]); got != tt.everywhere {
			t.Errorf("%s: other circuits %v, want %v", tt.name, got, tt.everywhere)
		}
	}
}

// TestSegmentAlone: a frame of which nothing is sent is dropped, and says why.
func TestSegmentAlone(t *testing.T) {
	cell := l2.NewSegment(l2.SegmentState{Peers: []table.VTEPID{1}})
	r := newRig(t, func(c *l2.BDConfig) {
		c.ACs = c.ACs[:1]
		c.ACs[0].Segment = cell
	}, l2.Limit{})
	r.expect("not the DF", r.send(-2, table.Broadcast, mac(7)), dropped(counter.BUMNotDF))
	r.expect("from a peer", r.send(-1, table.Broadcast, mac(8)), dropped(counter.SplitHorizon))
	cell.Set(l2.SegmentState{SingleActive: true})
	r.expect("blocked", r.send(-2, table.Broadcast, mac(7)), dropped(counter.SegmentNotDF))
	drops := &counter.Block{}
	h := l2.Held{NotDF: 2, Peer: 1, Blocked: 3}
	h.Count(drops, 4)
	for reason, want := range map[counter.Reason]uint64{counter.BUMNotDF: 8, counter.SplitHorizon: 4, counter.SegmentNotDF: 12} {
		if got := drops.Drops(reason); got != want {
			t.Errorf("%v: %d, want %d", reason, got, want)
		}
	}
}

// TestSegmentBlocked: a single-active segment that another node uses is closed both
// ways, and nothing is learned there.
func TestSegmentBlocked(t *testing.T) {
	cell := l2.NewSegment(l2.SegmentState{SingleActive: true, DF: true})
	r := newRig(t, func(c *l2.BDConfig) { c.ACs[0].Segment = cell }, l2.Limit{})
	r.expect("in", r.send(1, table.Broadcast, mac(1)), flooded)
	r.expect("out", r.send(2, mac(1), mac(2)), to(l2.Local(1)))
	cell.Set(l2.SegmentState{SingleActive: true})
	r.expect("in, blocked", r.send(1, table.Broadcast, mac(5)), dropped(counter.SegmentNotDF))
	r.expect("out, blocked", r.send(2, mac(1), mac(2)), dropped(counter.SegmentNotDF))
	r.expect("out from a VTEP, blocked", r.send(-1, mac(1), mac(3)), dropped(counter.SegmentNotDF))
	if _, ok := r.bd.FDB.Lookup(mac(5)); ok {
		t.Error("learned at a blocked circuit")
	}
}

// TestSegmentSibling: what a host sends by its other link comes here from the node
// at that end, and is no foreign frame; from any other node it is.
func TestSegmentSibling(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) {
		c.Told = []table.VTEPID{1, 2}
		c.ACs[0].Segment = l2.NewSegment(l2.SegmentState{DF: true, Peers: []table.VTEPID{1}})
	}, l2.Limit{})
	r.send(1, table.Broadcast, mac(1))
	r.send(2, table.Broadcast, mac(2))
	r.expect("from the peer", r.send(-1, mac(2), mac(1)), to(l2.Local(2)))
	r.expect("flooded by the peer", r.send(-1, table.Broadcast, mac(1)), flooded)
	r.expect("from another", r.send(-2, mac(2), mac(1)), dropped(counter.MACForeignVTEP))
	r.expect("a host of another circuit, from the peer", r.send(-1, mac(1), mac(2)), dropped(counter.MACForeignVTEP))
	if d, _ := r.bd.FDB.Lookup(mac(1)); d != l2.Local(1) {
		t.Errorf("it moved: %v", d)
	}
}

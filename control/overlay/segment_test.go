package overlay_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

var shared = evpn.ESIFromValue([9]byte{1, 2, 3})

// attach gives nodes 1 and 2 of r a segment at circuit 1.
func (r *rig) attach(singleActive bool) {
	r.t.Helper()
	for i := 1; i <= 2; i++ {
		n := r.node(i)
		c := nodeConfig(i, len(r.nodes))
		c.Segments = []evpn.EthernetSegment{{ESI: shared, SingleActive: singleActive, VNIs: []table.VNI{red}}}
		n.overlay.SetSegments([]overlay.Segment{{
			Name: "host", ESI: shared, SingleActive: singleActive, Circuits: map[table.VNI]table.ACID{red: 1},
		}})
		if err := n.overlay.Configure(c, map[table.VNI]string{red: "red"}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// link sets the link of node i's segment and lets the nodes come to rest, elections
// held.
func (r *rig) link(i int, up bool) {
	r.t.Helper()
	r.node(i).overlay.SegmentLink(shared, up)
	r.settle()
	r.clock.now += 2 * evpn.DefaultDFWait
	for _, n := range r.nodes {
		n.overlay.Tick()
	}
	r.settle()
}

// expectSegment compares what node i does for the segment at circuit 1.
func (r *rig) expectSegment(what string, i int, df bool, peers ...table.VTEPID) {
	r.t.Helper()
	if s := r.node(i).segments[1]; s.DF != df || !slices.Equal(s.Peers, peers) {
		r.t.Errorf("%s: node %d: %+v, want DF %v, peers %v", what, i, s, df, peers)
	}
}

// group returns the group that node i has a MAC in.
func (r *rig) group(what string, i, m int) l2.Group {
	r.t.Helper()
	e, _ := r.node(i).Entry(red, mac(m))
	if e.Dest.Kind != l2.DestGroup {
		r.t.Fatalf("%s: node %d has MAC %d at %v, want a group", what, i, m, e.Dest)
	}
	return *r.node(i).FDB(red).Group(l2.GroupID(e.Dest.ID))
}

// TestLocalSegment: nodes 1 and 2 have a host with two links; node 3 spreads its
// flows, each of the two sends to its own link, and a link that fails leaves all to
// the other.
func TestLocalSegment(t *testing.T) {
	r := newRig(t, 3)
	r.attach(false)
	r.expectSegment("before there is a link", 1, false)
	r.link(1, true)
	r.expectSegment("alone", 1, true)
	r.link(2, true)
	r.expectSegment("red is even: the lowest address", 1, red%2 == 0, 2)
	r.expectSegment("the other", 2, red%2 != 0, 1)

	r.see(1, 7, local(1))
	r.settle()
	if g := r.group("learned at node 1", 3, 7); !slices.Equal(g.Members, []l2.Dest{handle(1), handle(2)}) {
		t.Errorf("node 3 sends to %v", g.Members)
	}
	g := r.group("learned at node 1", 2, 7)
	if !slices.Equal(g.Members, []l2.Dest{local(1)}) || !slices.Contains(g.Sources, handle(1)) || !slices.Contains(g.Sources, local(1)) {
		t.Errorf("node 2 has %+v", g)
	}
	r.see(2, 7, local(1))
	r.settle()
	r.expect("seen by both", 1, 7, local(1))
	r.expect("seen by both", 2, 7, local(1))
	for i := 1; i <= 2; i++ {
		if v, _ := r.node(i).overlay.MAC(red, mac(7)); !v.Local || v.Moves != 0 || v.Mobility.Seq != 0 {
			t.Errorf("node %d: %+v: two links of a host are no move", i, v)
		}
	}

	before := r.node(3).overlay.Counts()
	r.link(1, false)
	if g := r.group("link 1 down", 3, 7); !slices.Equal(g.Members, []l2.Dest{handle(2)}) {
		t.Errorf("node 3 sends to %v", g.Members)
	}
	if g := r.group("link 1 down", 1, 7); !slices.Equal(g.Members, []l2.Dest{handle(2)}) {
		t.Errorf("node 1 sends to %v", g.Members)
	}
	r.expect("link 1 down", 2, 7, local(1))
	r.expectSegment("link 1 down", 2, true)
	r.expectSegment("link 1 down", 1, false)
	if now := r.node(3).overlay.Counts(); now.Groups == before.Groups {
		t.Error("no change of a group was counted")
	}
	r.link(1, true)
	r.expectSegment("link 1 back", 2, red%2 != 0, 1)
	if v := r.node(1).overlay.Segments(); len(v) != 1 || !v[0].Up || len(v[0].VNI) != 1 || v[0].VNI[0].Vote.Phase != "done" ||
		len(v[0].VNI[0].Vote.Candidates) != 2 || !v[0].VNI[0].Vote.DF.IsValid() {
		t.Errorf("shown: %+v", v)
	}
	if g := r.node(3).overlay.Groups(); len(g) != 1 || g[0].ESI != shared || g[0].Local || !slices.Equal(g[0].Members, []netip.Addr{vtep(1), vtep(2)}) {
		t.Errorf("node 3 shows %+v", g)
	}
}

// TestSegmentAtAnotherCircuit: an apply may give the circuit of a segment another
// handle, of which EVPN knows nothing: it goes on as the segment's, and what the old
// handle stands for is closed.
func TestSegmentAtAnotherCircuit(t *testing.T) {
	r := newRig(t, 2)
	r.attach(false)
	r.link(1, true)
	r.link(2, true)
	r.expectSegment("before", 1, red%2 == 0, 2)
	n := r.node(1)
	n.overlay.SetSegments([]overlay.Segment{{Name: "host", ESI: shared, Circuits: map[table.VNI]table.ACID{red: 5}}})
	c := nodeConfig(1, 2)
	c.Segments = []evpn.EthernetSegment{{ESI: shared, VNIs: []table.VNI{red}}}
	if err := n.overlay.Configure(c, map[table.VNI]string{red: "red"}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if s := n.segments[5]; s.DF != (red%2 == 0) || !slices.Equal(s.Peers, []table.VTEPID{2}) {
		t.Errorf("the new circuit: %+v", s)
	}
	if s := n.segments[1]; s.DF || !s.SingleActive || len(s.Peers) > 0 {
		t.Errorf("the old circuit: %+v, want it closed", s)
	}
}

// TestMassWithdrawFirst: a link that is lost is told by one route before the MACs.
func TestMassWithdrawFirst(t *testing.T) {
	r := newRig(t, 2)
	r.attach(false)
	r.link(1, true)
	for m := range 20 {
		r.see(1, 100+m, local(1))
	}
	r.settle()
	r.node(1).overlay.SegmentLink(shared, false)
	routes := r.node(1).apply().Routes
	if len(routes) < 22 || !routes[0].Withdraw || routes[0].Route.Key.Kind != evpn.AutoDiscovery || routes[0].Route.Key.Tag != evpn.MaxTag {
		t.Errorf("%d routes, the first is %+v", len(routes), routes[0])
	}
	if _, ok := r.node(1).Entry(red, mac(100)); ok {
		t.Error("a MAC stays at a circuit without a link")
	}
}

// TestSingleActiveSegment: the designated forwarder alone has the MACs; when it loses its
// link the other one is sent to, and it forgets what it had.
func TestSingleActiveSegment(t *testing.T) {
	r := newRig(t, 3)
	r.attach(true)
	r.link(1, true)
	r.link(2, true)
	use, idle := 1, 2
	if r.node(2).segments[1].DF {
		use, idle = 2, 1
	}
	r.expectSegment("elected", use, true, table.VTEPID(idle))
	r.expectSegment("elected", idle, false, table.VTEPID(use))
	if !r.node(idle).segments[1].SingleActive {
		t.Error("the other is open")
	}
	r.see(use, 7, local(1))
	r.settle()
	g := r.group("in use", 3, 7)
	if !slices.Equal(g.Members, []l2.Dest{handle(use)}) || !slices.Contains(g.Sources, handle(idle)) {
		t.Errorf("node 3 has %+v", g)
	}
	if g := r.group("in use", idle, 7); !slices.Equal(g.Members, []l2.Dest{handle(use)}) {
		t.Errorf("the other node has %+v", g)
	}
	r.node(use).overlay.SegmentLink(shared, false)
	r.settle()
	r.expectSegment("link down", idle, true)
	r.see(idle, 7, local(1))
	r.settle()
	if g := r.group("moved over", 3, 7); !slices.Equal(g.Members, []l2.Dest{handle(idle)}) {
		t.Errorf("node 3 has %+v", g)
	}
	r.link(use, true)
	r.expectSegment("back", use, true, table.VTEPID(idle))
	r.expect("it is the other's no more", idle, 7, nowhere)
}

// TestSegmentChanges: circuits that come to lead to a segment, or no more, forget
// their MACs, which come again behind where they are.
func TestSegmentChanges(t *testing.T) {
	r := newRig(t, 2)
	r.see(1, 7, local(1))
	r.settle()
	r.expect("no segment", 2, 7, handle(1))
	r.attach(false)
	r.settle()
	r.expect("a segment came", 1, 7, nowhere)
	r.expect("a segment came", 2, 7, nowhere)
	r.link(1, true)
	r.see(1, 7, local(1))
	r.settle()
	r.group("behind it", 2, 7)
	n := r.node(1)
	n.overlay.SetSegments(nil)
	if err := n.overlay.Configure(nodeConfig(1, 2), nil); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.expect("it went", 1, 7, nowhere)
	r.expect("it went", 2, 7, nowhere)
	if len(n.overlay.Segments()) != 0 || len(r.node(2).overlay.Groups()) != 0 {
		t.Error("a segment is still shown")
	}
}

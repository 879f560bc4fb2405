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

var nowhere l2.Dest

// TestLearnedAndAged: what one node learns, the others have; what it forgets they
// forget.
func TestLearnedAndAged(t *testing.T) {
	r := newRig(t, 3)
	r.expectFlood("at the start", 1, vtep(2), vtep(3))
	r.see(1, 1, local(1))
	r.settle()
	r.expect("learned", 1, 1, local(1))
	if e := r.expect("learned", 2, 1, handle(1)); !e.External || e.Static {
		t.Errorf("entry %+v", e)
	}
	r.expect("learned", 3, 1, handle(1))
	r.see(2, 1, handle(3))
	r.settle()
	r.expect("seen from a third one", 2, 1, handle(1))

	r.clock.now += 1000e9
	for _, n := range r.nodes {
		n.Age(l2.Seconds(r.clock.now))
	}
	r.settle()
	for i := 1; i <= 3; i++ {
		r.expect("aged", i, 1, nowhere)
	}
	if c := r.node(1).overlay.Counts(); c.Announced != 2 || c.Withdrawn != 1 {
		t.Errorf("counts %+v, want 2 routes announced, 1 withdrawn", c)
	}
}

// TestAgedAndBack: a MAC that ages and is seen again before anybody was told stays.
func TestAgedAndBack(t *testing.T) {
	r := newRig(t, 2)
	r.see(1, 1, local(1))
	r.settle()
	r.clock.now += 1000e9
	r.node(1).Age(l2.Seconds(r.clock.now))
	r.see(1, 1, local(2))
	r.settle()
	r.expect("back", 1, 1, local(2))
	r.expect("back", 2, 1, handle(1))
}

// TestMove: a MAC that appears at another node moves there, and back.
func TestMove(t *testing.T) {
	r := newRig(t, 3)
	at := 1
	r.see(at, 1, local(1))
	r.settle()
	for _, next := range []int{2, 3, 2} {
		r.see(next, 1, local(2))
		r.settle()
		for i := 1; i <= 3; i++ {
			want := handle(next)
			if i == next {
				want = local(2)
			}
			r.expect("moved", i, 1, want)
		}
		at = next
	}
	moves := r.node(2).overlay.Moves()
	if len(moves) != 3 || moves[2].From != vtep(3) || moves[2].To.IsValid() || moves[2].Seq != 3 {
		t.Errorf("moves %+v", moves)
	}
	if c := r.node(1).overlay.Counts(); c.Moves != 1 {
		t.Errorf("node 1 counted %d moves, want 1: the others were not its", c.Moves)
	}
}

// TestDuplicate: a MAC at two nodes at once ends in quarantine at the newcomer,
// and is let out by command.
func TestDuplicate(t *testing.T) {
	r := newRig(t, 2)
	for range evpn.DefaultMoves {
		r.see(1, 1, local(1))
		r.settle()
		r.see(2, 1, local(1))
		r.settle()
	}
	keeper, newcomer := 1, 2
	if len(r.node(1).overlay.Duplicates()) == 0 && len(r.node(2).overlay.Duplicates()) == 0 {
		t.Fatal("no duplicate was found")
	}
	if e, _ := r.node(2).Entry(red, mac(1)); e.Dest.Kind == l2.DestLocal {
		keeper, newcomer = 2, 1
	}
	r.expect("the keeper", keeper, 1, local(1))
	if e := r.expect("the newcomer", newcomer, 1, handle(keeper)); !e.External {
		t.Errorf("the newcomer has %+v", e)
	}
	frozen := 0
	for _, n := range r.nodes {
		if e, _ := n.Entry(red, mac(1)); e.Frozen {
			frozen++
		}
	}
	if frozen == 0 {
		t.Error("nobody drops what the newcomer sends")
	}
	r.see(newcomer, 1, local(1))
	r.settle()
	r.expect("the newcomer again", newcomer, 1, handle(keeper))

	for _, n := range r.nodes {
		for _, d := range n.overlay.Duplicates() {
			if !n.overlay.Release(d.VNI, d.MAC) {
				t.Error("Release found nothing")
			}
		}
		if n.overlay.Release(red, mac(9)) {
			t.Error("a MAC that is in no quarantine was released")
		}
	}
	r.settle()
	for _, n := range r.nodes {
		if e, _ := n.Entry(red, mac(1)); e.Frozen || len(n.overlay.Duplicates()) != 0 {
			t.Errorf("node %d after the release: %+v", n.i, e)
		}
	}
	r.clock.now += evpn.DefaultWindow + 1 // the keeper has counted moves of its own
	r.see(newcomer, 1, local(1))
	r.settle()
	r.expect("released", newcomer, 1, local(1))
	r.expect("released", keeper, 1, handle(newcomer))
}

// TestKeeperHere: a node that keeps a duplicate drops what the newcomer's node
// sends with it, and counts it.
func TestKeeperHere(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	r.see(1, 1, local(1))
	r.settle()
	rt, _ := evpn.NewRT(as, uint32(red))
	for seq := uint32(1); len(n.overlay.Duplicates()) == 0; seq += 2 {
		if seq > 20 {
			t.Fatal("no duplicate was found")
		}
		n.overlay.Update([]evpn.Update{{Peer: peerOf(2), Route: evpn.Route{
			Key: evpn.KeyOfMAC(evpn.NewRD(vtep(2), 1), 0, mac(1), netip.Addr{}),
			Attrs: evpn.Attrs{NextHop: vtep(2), RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN, Label1: red,
				Mobility: evpn.Mobility{Present: true, Seq: seq}},
		}}})
		n.apply()
		if len(n.overlay.Duplicates()) == 0 {
			r.see(1, 1, local(1))
			n.apply()
		}
	}
	if d := n.overlay.Duplicates()[0]; d.Keeper.IsValid() || d.Newcomer != vtep(2) {
		t.Fatalf("%+v; want this node for keeper", d)
	}
	if e, _ := n.Entry(red, mac(1)); e.Dest != local(1) || !e.Frozen {
		t.Errorf("the keeper has %+v", e)
	}
	n.overlay.Release(red, mac(1))
	n.apply()
	if e, _ := n.Entry(red, mac(1)); e.Frozen {
		t.Errorf("released, and %+v", e)
	}
}

// TestBarred: a newcomer whose keeper has gone is dropped, not flooded, until
// released.
func TestBarred(t *testing.T) {
	r := newRig(t, 2)
	for range evpn.DefaultMoves {
		r.see(1, 1, local(1))
		r.settle()
		r.see(2, 1, local(1))
		r.settle()
	}
	var newcomer *node
	for _, n := range r.nodes {
		for _, d := range n.overlay.Duplicates() {
			if d.Keeper.IsValid() {
				newcomer = n
			}
		}
	}
	if newcomer == nil {
		t.Fatal("no node holds itself for the newcomer")
	}
	keeper := r.node(3 - newcomer.i)
	keeper.FlushVNI(red)
	r.settle()
	if e := r.expect("without keeper", newcomer.i, 1, l2.Blackhole); !e.Frozen {
		t.Errorf("entry %+v", e)
	}
	if !newcomer.overlay.Release(red, mac(1)) {
		t.Fatal("Release found nothing")
	}
	r.settle()
	r.expect("released", newcomer.i, 1, nowhere)
	r.see(newcomer.i, 1, local(1))
	r.settle()
	r.expect("released", newcomer.i, 1, local(1))
}

// TestSticky: a configured MAC does not move, and who claims it is reported.
func TestSticky(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	if err := n.SetDomain(l2.DomainConfig{
		VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}, {ID: 2, Port: 2}}, VTEPs: []table.VTEPID{2}, Told: []table.VTEPID{2},
		Statics: []l2.Static{{MAC: mac(1), Dest: local(1)}},
	}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if e := r.expect("configured", 2, 1, handle(1)); !e.Static {
		t.Errorf("entry %+v is not fixed", e)
	}
	r.see(2, 1, local(1))
	r.settle()
	r.expect("seen elsewhere", 2, 1, handle(1))
	if c := r.node(2).overlay.Counts(); c.Conflicts == 0 {
		t.Error("the conflict was not counted")
	}
}

// TestUngranted: a VTEP that the configuration does not name is refused, counted,
// and gets neither floods nor MACs.
func TestUngranted(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	rt, _ := evpn.NewRT(as, uint32(red))
	rogue := vtep(66)
	attrs := evpn.Attrs{NextHop: rogue, RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN}
	imet, host := attrs, attrs
	imet.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: red, Endpoint: rogue}
	host.Label1 = red
	rd := evpn.NewRD(rogue, 1)
	n.overlay.Update([]evpn.Update{
		{Peer: peerOf(2), Route: evpn.Route{Key: evpn.KeyOfMulticast(rd, 0, rogue), Attrs: imet}},
		{Peer: peerOf(2), Route: evpn.Route{Key: evpn.KeyOfMAC(rd, 0, mac(1), netip.Addr{}), Attrs: host}},
	})
	n.apply()
	r.expect("of a stranger", 1, 1, nowhere)
	r.expectFlood("without the stranger", 1, vtep(2))
	refusals := n.overlay.Refusals()
	if len(refusals) != 1 || refusals[0].VTEP != rogue || refusals[0].Reason != "vni-not-granted" || refusals[0].Count != 2 {
		t.Errorf("refusals %+v", refusals)
	}
	if c := n.overlay.Counts(); c.Refused != 2 {
		t.Errorf("%d refused, want 2", c.Refused)
	}
}

// TestOtherVNI: a granted VTEP that asks for frames of another VNI is not served.
func TestOtherVNI(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	rt, _ := evpn.NewRT(as, uint32(red))
	rd := evpn.NewRD(vtep(2), 9)
	n.overlay.Update([]evpn.Update{{Peer: peerOf(2), Route: evpn.Route{
		Key:   evpn.KeyOfMAC(rd, 0, mac(1), netip.Addr{}),
		Attrs: evpn.Attrs{NextHop: vtep(2), RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN, Label1: red + 1},
	}}})
	n.apply()
	r.expect("with another VNI", 1, 1, nowhere)
	if x := n.overlay.Refusals(); len(x) != 1 || x[0].Reason != overlay.ReasonOtherVNI {
		t.Errorf("refusals %+v", x)
	}
	if c := n.overlay.Counts(); c.Unplaced != 1 {
		t.Errorf("%d unplaced, want 1", c.Unplaced)
	}
}

// TestSessionDown: with the session its routes go, unless it restarts gracefully.
func TestSessionDown(t *testing.T) {
	r := newRig(t, 2)
	r.see(1, 1, local(1))
	r.see(1, 2, local(1))
	r.settle()
	n := r.node(2)

	n.overlay.PeerDown(peerOf(1), true)
	n.apply()
	r.expect("a graceful restart", 2, 1, handle(1))
	r.expectFlood("a graceful restart", 2, vtep(1))
	n.overlay.PeerUp(evpn.Peer{ID: peerOf(1), Addr: vtep(1), RouterID: vtep(1), IBGP: true})
	var again []evpn.RouteChange
	for k, route := range r.node(1).known {
		if k.MAC != mac(2) {
			again = append(again, evpn.RouteChange{Route: route})
		}
	}
	n.overlay.Update(updates(1, again))
	n.overlay.EndOfRIB(peerOf(1))
	n.apply()
	r.expect("announced again", 2, 1, handle(1))
	r.expect("not announced again", 2, 2, nowhere)

	n.overlay.PeerDown(peerOf(1), false)
	n.apply()
	r.expect("down", 2, 1, nowhere)
	r.expectFlood("down", 2)
}

// TestReconfigure: a bridge domain that gets EVPN announces what it knows; one
// that loses it keeps what is its own.
func TestReconfigure(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	r.see(2, 2, local(1))
	r.settle()
	r.expect("before", 1, 2, handle(2))

	off := nodeConfig(1, 2)
	off.BDs = nil
	if err := n.overlay.Configure(off, nil); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.expect("without EVPN", 1, 2, nowhere)
	r.expectFlood("its VTEP is gone for the other", 2)
	r.see(1, 1, local(1))
	r.settle()
	r.expect("learned without EVPN", 1, 1, local(1))
	r.expect("not announced", 2, 1, nowhere)

	if err := n.overlay.Configure(nodeConfig(1, 2), map[table.VNI]string{red: "red"}); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.expect("with EVPN again", 1, 2, handle(2))
	r.expect("announced now", 2, 1, handle(1))
	r.expectFlood("back", 2, vtep(1))
	if d := n.overlay.Domains(); len(d) != 1 || d[0].Name != "red" || len(d[0].Flood) != 1 {
		t.Errorf("domains %+v", d)
	}
	if err := n.overlay.Configure(evpn.Config{}, nil); err == nil {
		t.Error("an empty configuration was taken")
	}
}

// TestSegment: MACs behind a segment of two nodes are spread over both, and go to
// the one that is left when the other withdraws from it.
func TestSegment(t *testing.T) {
	r := newRig(t, 3)
	n := r.node(1)
	rt, _ := evpn.NewRT(as, uint32(red))
	esi := evpn.ESI{0, 1}
	attrs := func(i int) evpn.Attrs {
		return evpn.Attrs{
			NextHop: vtep(i), RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN,
			Preference: evpn.Preference{LocalPref: 100},
		}
	}
	var us []evpn.Update
	add := func(i int, k evpn.Key, change func(*evpn.Attrs)) {
		a := attrs(i)
		change(&a)
		us = append(us, evpn.Update{Peer: peerOf(i), Route: evpn.Route{Key: k, Attrs: a}})
	}
	for _, i := range []int{2, 3} {
		rd := evpn.NewRD(vtep(i), 1)
		add(i, evpn.KeyOfAD(evpn.NewRD(vtep(i), 2), esi, evpn.MaxTag), func(a *evpn.Attrs) { a.ESILabel.Present = true })
		add(i, evpn.KeyOfAD(rd, esi, 0), func(a *evpn.Attrs) { a.Label1 = red })
	}
	const macs = 64
	for m := range macs {
		add(2, evpn.KeyOfMAC(evpn.NewRD(vtep(2), 1), 0, mac(100+m), netip.Addr{}), func(a *evpn.Attrs) { a.ESI, a.Label1 = esi, red })
	}
	n.overlay.Update(us)
	n.apply()
	both := []l2.Dest{handle(2), handle(3)}
	for m := range macs {
		r.expect("behind the segment", 1, 100+m, l2.InGroup(1))
	}
	if g := n.FDB(red).Group(1); !slices.Equal(g.Members, both) || !slices.Equal(g.Sources, both) {
		t.Fatalf("MACs are at %+v", g)
	}
	n.TakeChanges()
	n.overlay.Update([]evpn.Update{{Peer: peerOf(2), Withdraw: true, Route: evpn.Route{
		Key: evpn.KeyOfAD(evpn.NewRD(vtep(2), 2), esi, evpn.MaxTag),
	}}})
	n.apply()
	if g := n.FDB(red).Group(1); !slices.Equal(g.Members, both[1:]) || !slices.Equal(g.Sources, both[1:]) {
		t.Errorf("after the mass withdrawal MACs are at %+v", g)
	}
	if c := n.TakeChanges(); len(c) != 0 {
		t.Errorf("the mass withdrawal changed %d MACs", len(c))
	}
	if n.overlay.PeerDown(peerOf(2), false); n.apply().Members {
		t.Error("a leaf has memberships")
	}
	if g := n.FDB(red).Group(1); g != nil {
		t.Errorf("without MACs the group is %+v", g)
	}
	r.expect("withdrawn", 1, 100, nowhere)
}

// TestRefusalsBounded: a peer that invents VTEPs does not fill the memory.
func TestRefusalsBounded(t *testing.T) {
	r := newRig(t, 2)
	n := r.node(1)
	rt, _ := evpn.NewRT(as, uint32(red))
	const strangers = 3000
	for i := range strangers {
		v := netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)})
		n.overlay.Update([]evpn.Update{{Peer: peerOf(2), Route: evpn.Route{
			Key:   evpn.KeyOfMAC(evpn.NewRD(v, 1), 0, mac(i), netip.Addr{}),
			Attrs: evpn.Attrs{NextHop: v, RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN, Label1: red},
		}}})
		n.apply()
	}
	list := n.overlay.Refusals()
	sum := uint64(0)
	for _, x := range list {
		sum += x.Count
	}
	if len(list) > 1100 || sum != strangers || n.overlay.Counts().Refused != strangers {
		t.Errorf("%d refusals are told apart, %d counted", len(list), sum)
	}
}

// TestRegrant: routes of a VTEP that loses its grant go, and are reported.
func TestRegrant(t *testing.T) {
	r := newRig(t, 3)
	r.see(3, 1, local(1))
	r.settle()
	n := r.node(1)
	r.expect("granted", 1, 1, handle(3))
	if err := n.overlay.Configure(nodeConfig(1, 2), nil); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.expect("not granted", 1, 1, nowhere)
	r.expectFlood("not granted", 1, vtep(2))
	x := n.overlay.Refusals()
	if len(x) != 1 || x[0].VTEP != vtep(3) || x[0].Count != 2 {
		t.Errorf("refusals %+v, want the two routes of VTEP 3", x)
	}
}

package l3_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

// TestAway: what another leaf has is lost here, but for statics, and held next
// hops are asked for anew.
func TestAway(t *testing.T) {
	n := l3.NewNeighbours()
	learned, static, held, asked := addr("10.1.1.2"), addr("10.1.1.3"), addr("10.1.1.4"), addr("10.1.1.5")
	n.SetLink(l3.LinkConfig{
		VNI: vni1, Prefixes: []netip.Prefix{pfx("10.1.1.0/24")},
		Statics: map[netip.Addr]table.MAC{static: 3}, Held: []netip.Addr{held},
	}, 1)
	for i, a := range []netip.Addr{learned, held} {
		n.Work(l3.Event{Kind: l3.Seen, VNI: vni1, Addr: a, MAC: table.MAC(2 + i)}, 1)
	}
	n.Work(l3.Event{Kind: l3.Wanted, VNI: vni1, Addr: asked}, 1)
	n.TakeChanges()
	n.Tick(1)
	for _, tt := range []struct {
		name string
		vni  table.VNI
		addr netip.Addr
		want bool
	}{
		{"another VNI", vni1 + 1, learned, false},
		{"unknown", vni1, addr("10.1.1.9"), false},
		{"static", vni1, static, false},
		{"learned", vni1, learned, true},
		{"learned, again", vni1, learned, false},
		{"held", vni1, held, true},
		{"held, again", vni1, held, false},
		{"asked for", vni1, asked, true},
	} {
		if got := n.Away(tt.vni, tt.addr, 2); got != tt.want {
			t.Errorf("%s: Away = %v, want %v", tt.name, got, tt.want)
		}
	}
	lost := map[netip.Addr]bool{}
	for _, c := range n.TakeChanges() {
		if c.Kind != l3.Lost {
			t.Errorf("change %v", c)
		}
		lost[c.Host.Addr] = true
	}
	if len(lost) != 2 || !lost[learned] || !lost[held] {
		t.Errorf("lost %v, want the learned and the held one", lost)
	}
	if probes, _ := n.Tick(2); len(probes) != 1 || probes[0].Addr != held || probes[0].MAC != 0 {
		t.Errorf("asked for %+v, want the held one", probes)
	}
	states := map[netip.Addr]l3.State{}
	for l := range n.All(vni1) {
		states[l.Addr] = l.State
	}
	if len(states) != 2 || states[static] != l3.Permanent || states[held] != l3.Incomplete {
		t.Errorf("left are %v", states)
	}
}

// TestDoubt: a host that is doubted and answers stays, one that does not is lost
// after three questions; an answer in between ends the doubt.
func TestDoubt(t *testing.T) {
	n := l3.NewNeighbours()
	here, gone := addr("10.1.1.2"), addr("10.1.1.3")
	n.SetLink(l3.LinkConfig{VNI: vni1, Prefixes: []netip.Prefix{pfx("10.1.1.0/24")}}, 1)
	seen := func(a netip.Addr, mac table.MAC, now int64) {
		n.Work(l3.Event{Kind: l3.Seen, VNI: vni1, Addr: a, MAC: mac}, now)
	}
	seen(here, 2, 1)
	seen(gone, 3, 1)
	n.TakeChanges()
	if n.Doubt(vni1, addr("10.1.1.9"), 1) || n.Doubt(vni1+1, here, 1) {
		t.Error("doubts a host that nobody knows")
	}
	if !n.Doubt(vni1, here, 1) || !n.Doubt(vni1, gone, 1) {
		t.Error("does not doubt")
	}
	if n.Doubt(vni1, here, 1) {
		t.Error("doubts twice")
	}
	probes, _ := n.Tick(1)
	if len(probes) != 2 || probes[0].MAC == 0 || probes[1].MAC == 0 {
		t.Errorf("asked %+v, want both by their MACs", probes)
	}
	seen(here, 2, 2)
	for i := range 5 {
		n.Tick(1 + int64(i+1)*1e9)
	}
	ch := n.TakeChanges()
	if len(ch) != 1 || ch[0].Kind != l3.Lost || ch[0].Host.Addr != gone {
		t.Errorf("changes %v, want the loss of %v", ch, gone)
	}
}

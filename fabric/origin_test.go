package fabric_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/macsec"
)

// told has leaf1 be told by EVPN what is behind its VTEPs in red: host 2 is behind
// leaf2. Hosts 1 and 4 are leaf1's own.
func newTold(b *bed) *node {
	b.t.Helper()
	n := b.nodes["leaf1"]
	dom := n.parts.Domains[0]
	bd, err := l2.NewBD(l2.BDConfig{VNI: red, FDB: n.learn.FDB(red), ACs: dom.BD.ACs, VTEPs: dom.BD.VTEPs, Told: dom.BD.VTEPs})
	b.must(err)
	dom.BD = bd
	b.must(n.learn.SetDomain(l2.DomainConfig{VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}}, VTEPs: bd.VTEPs, Told: bd.VTEPs}))
	if !n.learn.Place(l2.Placement{VNI: red, MAC: table.MACFrom(mac(2)), Dest: l2.Remote(dom.Adjacencies[vtep(2)].ID)}) {
		b.t.Fatal("not placed")
	}
	n.publish()
	for _, i := range []int{1, 4} {
		hello := arpFrame(1, i, hostAddr(red, i), hostAddr(red, i))
		b.inject("leaf1", red, hello, pkt.Offload{})
	}
	n.learn.TakeChanges()
	n.ports[red].Sent()
	return n
}

// TestOrigin: what a leaf's SA has authenticated is taken with that leaf's MACs only,
// and in its name only; whatever else is dropped, counted and told to control.
func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		name, from string
		src        int
		reason     counter.Reason
	}{
		{"its own MAC", "leaf2", 2, counter.None},
		{"a MAC that nobody has", "leaf3", 3, counter.None},
		{"another leaf's", "leaf3", 2, counter.MACForeignVTEP},
		{"one of the receiver's", "leaf3", 4, counter.MACForeignVTEP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			b.introduce()
			n := newTold(b)
			frame, off := tcp(tt.src, 1, 1, pattern(100, 1))
			b.inject(tt.from, red, frame, off)
			got := len(n.ports[red].Sent())
			if tt.reason == counter.None {
				if got != 1 || len(n.learn.TakeChanges()) != 0 {
					t.Errorf("%d frames reached the host, want 1, and nothing to tell", got)
				}
				b.noDrops()
				return
			}
			if d := n.dropped(tt.reason); got != 0 || d != 1 {
				t.Errorf("%d frames reached the host, %d were dropped for %v, want 0 and 1", got, d, tt.reason)
			}
			c := n.learn.TakeChanges()
			from := n.parts.Domains[0].Adjacencies[b.nodes[tt.from].addr].ID
			if len(c) != 1 || c[0].Kind != l2.MoveRefused || c[0].MAC != table.MACFrom(mac(tt.src)) || c[0].To != l2.Remote(from) {
				t.Errorf("control is told %v", c)
			}
		})
	}
}

// TestOriginBySCI: the origin is that of the SA that authenticated a frame, not the
// outer source: leaf3's frames in leaf2's name are nobody's, with a MAC of leaf2 too.
func TestOriginBySCI(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	n := newTold(b)
	// To leaf1 the channel that leaf2 sends on is leaf3's.
	s, dom := n.secys[red], n.parts.Domains[0]
	b.must(s.RemoveRxSC(sci(red, 3)))
	b.must(s.RemoveRxSC(sci(red, 2)))
	sc, err := s.AddRxSC(sci(red, 2), dom.Adjacencies[vtep(3)].ID)
	b.must(err)
	_, err = s.InstallRxSA(sci(red, 2), macsec.RxSAConfig{SAK: sak(red, 2, 32)})
	b.must(err)
	for _, src := range []int{2, 3} {
		frame, off := tcp(src, 1, 1, pattern(100, 1))
		b.inject("leaf2", red, frame, off)
	}
	if got, d := len(n.ports[red].Sent()), n.dropped(counter.MACsecForeignSCI); got != 0 || d != 2 {
		t.Errorf("%d frames reached the host, %d were dropped, want 0 and 2", got, d)
	}
	if c := sc.Counters(); c.InPktsForeign != 2 {
		t.Errorf("%+v", c)
	}
}

// TestOriginNoAllocs: frames that are refused for their origin, real SAs.
func TestOriginNoAllocs(t *testing.T) {
	frame, off := tcp(1, 2, 1, pattern(1000, 1))
	s := newSteady(t, []injection{{frame, off}, {frame, off}})
	n := s.b.nodes["leaf2"]
	dom := n.parts.Domains[0]
	bd, err := l2.NewBD(l2.BDConfig{VNI: red, FDB: n.learn.FDB(red), ACs: dom.BD.ACs, VTEPs: dom.BD.VTEPs, Told: dom.BD.VTEPs})
	s.b.must(err)
	dom.BD = bd
	if !n.learn.Place(l2.Placement{VNI: red, MAC: table.MACFrom(mac(1)), Dest: l2.Remote(dom.Adjacencies[vtep(3)].ID)}) {
		t.Fatal("not placed")
	}
	n.publish()
	for range 20 {
		s.burst()
	}
	before := n.dropped(counter.MACForeignVTEP)
	if a := testing.AllocsPerRun(50, s.burst); a != 0 {
		t.Errorf("%v allocations for a burst, want 0", a)
	}
	if n.dropped(counter.MACForeignVTEP)-before != 2*51 {
		t.Errorf("%d drops", n.dropped(counter.MACForeignVTEP)-before)
	}
}

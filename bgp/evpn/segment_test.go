package evpn_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

var es1 = evpn.ESIFromMAC(host(900), 1)

// multihomed is n leaves of which those in on share the segment es1.
func multihomed(t *testing.T, n int, on []int, seg func(i int, s *evpn.EthernetSegment)) *fabric {
	t.Helper()
	f := mesh(t, n, func(i int, c *evpn.Config) {
		if slices.Contains(on, i) {
			s := evpn.EthernetSegment{ESI: es1, VNIs: []table.VNI{vni100, vni200}}
			if seg != nil {
				seg(i, &s)
			}
			c.Segments = []evpn.EthernetSegment{s}
		}
	})
	for _, i := range on {
		f.leaf(i).SegmentUp(f.now, es1)
	}
	f.settle()
	f.after(10 * sec)
	return f
}

// dfs returns which leaves think that they are the DF of es1.
func (f *fabric) dfs(vni table.VNI) (list []int) {
	for _, n := range f.nodes {
		if n.segments[segmentKey{vni, es1}].DF {
			list = append(list, n.i)
		}
	}
	return list
}

// group returns where a node sends frames for a MAC.
func (n *node) group(vni table.VNI, mac table.MAC) evpn.Group {
	n.t.Helper()
	m, ok := n.macs[macKey{vni, mac}]
	if !ok || m.ESI.IsZero() {
		n.t.Fatalf("%s: %s: %+v (%v), want one behind a segment", n.name, mac, m, ok)
	}
	return n.groups[groupKey{vni, m.ESI, m.Target}]
}

func targets(vni table.VNI, leaves ...int) (list []evpn.Target) {
	for _, i := range leaves {
		list = append(list, evpn.Target{VTEP: vtep(i), VNI: vni})
	}
	return list
}

// TestSegmentRoutes: RFC 7432 sections 8.1.1, 8.2.1 and 8.4.1, what a node
// announces of a segment.
func TestSegmentRoutes(t *testing.T) {
	f := multihomed(t, 2, []int{1}, func(_ int, s *evpn.EthernetSegment) { s.SingleActive = true })
	one := f.leaf(1)
	perES := evpn.KeyOfAD(evpn.NewRD(vtep(1), 65535), es1, evpn.MaxTag)
	if a, ok := one.announced[perES]; !ok || !a.ESILabel.Present || !a.ESILabel.SingleActive || a.ESILabel.Label != 0 ||
		!slices.Equal(a.RTs, []evpn.RT{rt(t, "65000:100"), rt(t, "65000:200")}) || a.Label1 != 0 {
		t.Errorf("type 1 per segment: %+v (%v)", a, ok)
	}
	perEVI := evpn.KeyOfAD(evpn.NewRD(vtep(1), 100), es1, 0)
	if a, ok := one.announced[perEVI]; !ok || a.Label1 != vni100 || !slices.Equal(a.RTs, []evpn.RT{rt(t, "65000:100")}) {
		t.Errorf("type 1 per EVI: %+v (%v)", a, ok)
	}
	es := evpn.KeyOfSegment(evpn.NewRD(vtep(1), 65535), es1, vtep(1))
	if a, ok := one.announced[es]; !ok || a.ESImport != es1.Import() || !a.DF.Present || len(a.RTs) != 0 {
		t.Errorf("type 4: %+v (%v)", a, ok)
	}
	one.SegmentDown(f.now, es1)
	f.flush(one)
	if r := one.last.Routes; len(r) != 4 || r[0].Route.Key != perES || !r[0].Withdraw {
		t.Errorf("down: %v, want type 1 per segment first, and all four", r)
	}
}

// TestSegmentManyRTs: RFC 7432 section 8.2.1.1: the set of type 1 routes carries
// all route targets, each route as many as fit, told apart by their RDs.
func TestSegmentManyRTs(t *testing.T) {
	c := leafConfig(t, 1)
	c.BDs = nil
	seg := evpn.EthernetSegment{ESI: es1}
	for i := range 1000 {
		r, _ := evpn.NewRT(asn, uint32(i))
		vni := table.VNI(i + 10_000)
		c.BDs = append(c.BDs, evpn.BD{VNI: vni, RD: evpn.NewRD(vtep(1), uint16(i+10)), Export: []evpn.RT{r}})
		seg.VNIs = append(seg.VNIs, vni)
	}
	c.Segments = []evpn.EthernetSegment{seg}
	n := newNode(t, 1, c)
	n.SegmentUp(0, es1)
	n.flush(0)
	all := map[evpn.RT]int{}
	routes := 0
	for k, a := range n.announced {
		if k.Kind == evpn.AutoDiscovery && k.Tag == evpn.MaxTag {
			routes++
			if len(a.RTs) > 400 {
				t.Errorf("%d route targets in one route", len(a.RTs))
			}
			for _, x := range a.RTs {
				all[x]++
			}
		}
	}
	if len(all) != 1000 || routes != 3 {
		t.Errorf("%d route targets in %d routes, want 1000 in 3", len(all), routes)
	}
}

// TestAliasing: RFC 7432 section 8.4: a MAC that one node of an all-active
// segment announced is reached by all of them. Section 9.2.2: T1, T2, T2”, T3.
func TestAliasing(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, nil)
	three := f.leaf(3)
	f.leaf(1).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: es1})
	f.settle()
	if g := three.group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 1, 2)) || len(g.Backup) > 0 || g.Local {
		t.Errorf("T1: %+v, want leaves 1 and 2", g)
	}
	// The other node of the segment has the MAC at its own link.
	if g := f.leaf(2).group(vni100, host(1)); !g.Local || !slices.Equal(g.Members, targets(vni100, 1)) {
		t.Errorf("leaf2: %+v, want local, and leaf 1 if that fails", g)
	}
	// T3: both announce it, one withdraws: nothing changes.
	f.leaf(2).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: es1})
	f.settle()
	f.leaf(1).forget(f.now, vni100, host(1))
	f.settle()
	if g := three.group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 1, 2)) {
		t.Errorf("T3: %+v, want leaves 1 and 2", g)
	}
	// T2'': nobody announces it: unknown.
	f.leaf(2).forget(f.now, vni100, host(1))
	f.settle()
	if m, ok := three.macs[macKey{vni100, host(1)}]; ok || len(three.groups) > 0 {
		t.Errorf("T2'': %+v, groups %v", m, three.groups)
	}
}

// TestMassWithdraw: RFC 7432 section 8.2: one withdrawal repairs all MACs of the
// segment, at a cost that does not depend on how many they are.
func TestMassWithdraw(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, nil)
	const macs = 500
	for i := range macs {
		f.leaf(1).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(i), Port: 7, ESI: es1})
	}
	f.settle()
	three := f.leaf(3)
	perES := evpn.KeyOfAD(evpn.NewRD(vtep(1), 65535), es1, evpn.MaxTag)
	three.Update(f.now, []evpn.Update{{Peer: 1, Withdraw: true, Route: evpn.Route{Key: perES}}})
	c := three.flush(f.now)
	if len(c.Groups) != 1 || len(c.MACs) != 0 {
		t.Fatalf("%d groups and %d MACs changed, want 1 and 0", len(c.Groups), len(c.MACs))
	}
	for i := range macs {
		if g := three.group(vni100, host(i)); !slices.Equal(g.Members, targets(vni100, 2)) {
			t.Fatalf("T2: %+v, want leaf 2", g)
		}
	}
	// The last node of the segment goes too: unknown, until the MACs are withdrawn.
	perES = evpn.KeyOfAD(evpn.NewRD(vtep(2), 65535), es1, evpn.MaxTag)
	three.Update(f.now, []evpn.Update{{Peer: 2, Withdraw: true, Route: evpn.Route{Key: perES}}})
	three.flush(f.now)
	if g := three.group(vni100, host(0)); len(g.Members)+len(g.Backup) > 0 {
		t.Errorf("without type 1: %+v, want none", g)
	}
}

// TestPerEVIWithoutPerES: RFC 7432 section 8.4: a type 1 route per EVI "MUST NOT
// be used until it also receives the associated set of Ethernet A-D per ES
// routes", and section 9.2.2: nor is the MAC.
func TestPerEVIWithoutPerES(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	ad := func(r remote, tag uint32) (evpn.Key, evpn.Attrs) {
		a := r.attrs(rt(t, "65000:100"))
		if tag == evpn.MaxTag {
			a.ESILabel.Present = true
			return evpn.KeyOfAD(r.rd(1), es1, tag), a
		}
		a.Label1 = vni100
		return evpn.KeyOfAD(r.rd(vni100), es1, tag), a
	}
	two, three := remoteOf(n, 2), remoteOf(n, 3)
	k, a := two.mac(vni100, host(1), "", evpn.Mobility{})
	a.ESI = es1
	two.announce(0, k, a)
	three.announce(0, first(ad(three, 0)), second(ad(three, 0)))
	n.flush(0)
	if g := n.group(vni100, host(1)); len(g.Members) > 0 {
		t.Errorf("MAC alone: %+v, want none", g)
	}
	two.announce(0, first(ad(two, evpn.MaxTag)), second(ad(two, evpn.MaxTag)))
	n.flush(0)
	if g := n.group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 2)) {
		t.Errorf("with type 1 per segment of leaf 2: %+v", g)
	}
	// A node of the segment without the EVI is no way to it.
	four := remoteOf(n, 4)
	four.announce(0, first(ad(four, evpn.MaxTag)), second(ad(four, evpn.MaxTag)))
	three.announce(0, first(ad(three, evpn.MaxTag)), second(ad(three, evpn.MaxTag)))
	n.flush(0)
	if g := n.group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 2, 3)) {
		t.Errorf("with both of leaf 3: %+v", g)
	}
	// "its label MUST be used": each asks for the VNI it wants.
	k, a = ad(three, 0)
	a.Label1 = 777
	three.announce(0, k, a)
	n.flush(0)
	if g := n.group(vni100, host(1)); len(g.Members) != 2 || g.Members[1].VNI != 777 {
		t.Errorf("downstream-assigned VNI: %+v", g)
	}
}

func first(k evpn.Key, _ evpn.Attrs) evpn.Key    { return k }
func second(_ evpn.Key, a evpn.Attrs) evpn.Attrs { return a }

// TestReservedESI: RFC 7432 section 9.2.2: with ESI 0 or MAX-ESI the MAC route
// alone counts.
func TestReservedESI(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remoteOf(n, 2)
	k, a := r.mac(vni100, host(1), "", evpn.Mobility{})
	a.ESI = evpn.MaxESI
	r.announce(0, k, a)
	n.flush(0)
	if m := n.macs[macKey{vni100, host(1)}]; !m.ESI.IsZero() || m.Target.VTEP != vtep(2) || len(n.groups) > 0 {
		t.Errorf("entry %+v, groups %v", m, n.groups)
	}
}

// TestSingleActive: RFC 7432 section 14.1.1: one primary; one backup takes over,
// of several none.
func TestSingleActive(t *testing.T) {
	single := func(_ int, s *evpn.EthernetSegment) { s.SingleActive = true }
	for _, tt := range []struct {
		name    string
		on      []int
		backup  []evpn.Target
		failed  []evpn.Target // members after the primary failed
		waiting []evpn.Target // backups then
	}{
		{"one backup", []int{1, 2}, targets(vni100, 2), targets(vni100, 2), nil},
		{"two backups", []int{1, 2, 3}, targets(vni100, 2, 3), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := multihomed(t, 4, tt.on, single)
			f.leaf(1).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: es1})
			f.settle()
			four := f.leaf(4)
			if g := four.group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 1)) || !slices.Equal(g.Backup, tt.backup) {
				t.Errorf("%+v, want leaf 1 and backup %v", g, tt.backup)
			}
			perES := evpn.KeyOfAD(evpn.NewRD(vtep(1), 65535), es1, evpn.MaxTag)
			four.Update(f.now, []evpn.Update{{Peer: 1, Withdraw: true, Route: evpn.Route{Key: perES}}})
			four.flush(f.now)
			if g := four.group(vni100, host(1)); !slices.Equal(g.Members, tt.failed) || !slices.Equal(g.Backup, tt.waiting) {
				t.Errorf("primary failed: %+v, want %v", g, tt.failed)
			}
		})
	}
}

// TestSingleActiveLocal: on the segment itself, only the DF has the MACs at its
// own link; the other sends to it, and takes over when it fails.
func TestSingleActiveLocal(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, func(i int, s *evpn.EthernetSegment) {
		s.SingleActive = true
		s.DF = evpn.DFElection{Alg: evpn.DFHighest, Preference: uint16(100 * i)}
	})
	two, one := f.leaf(2), f.leaf(1) // leaf 2 is DF
	two.learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: es1})
	f.settle()
	if g := one.group(vni100, host(1)); g.Local || !slices.Equal(g.Members, targets(vni100, 2)) {
		t.Errorf("leaf1, not the DF: %+v, want leaf 2", g)
	}
	two.SegmentDown(f.now, es1)
	f.flush(two)
	perES := evpn.KeyOfAD(evpn.NewRD(vtep(2), 65535), es1, evpn.MaxTag)
	es := evpn.KeyOfSegment(evpn.NewRD(vtep(2), 65535), es1, vtep(2))
	one.Update(f.now, []evpn.Update{{Peer: 2, Withdraw: true, Route: evpn.Route{Key: perES}},
		{Peer: 2, Withdraw: true, Route: evpn.Route{Key: es}}})
	one.flush(f.now)
	if g := one.group(vni100, host(1)); !g.Local {
		t.Errorf("leaf1, the DF now: %+v, want local", g)
	}
}

// TestSegmentFailover: the link of one leaf goes; MACs that its partner has too
// go there at once, and what only it had is evicted.
func TestSegmentFailover(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, nil)
	one := f.leaf(1)
	for _, n := range []*node{one, f.leaf(2)} {
		n.learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: es1})
	}
	one.learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(2), Port: 7, ESI: es1})
	one.learn(f.now, vni100, host(3))
	f.settle()
	one.SegmentDown(f.now, es1)
	f.settle()
	if g := one.group(vni100, host(1)); g.Local || !slices.Equal(g.Members, targets(vni100, 2)) {
		t.Errorf("leaf1: %+v, want leaf 2", g)
	}
	if len(one.evictions) != 2 || one.evictions[0].Reason != evpn.EvictSegment {
		t.Errorf("evictions %v", one.evictions)
	}
	if v, _ := one.MAC(vni100, host(3)); !v.Local {
		t.Error("a MAC of another port is gone")
	}
	if g := f.leaf(3).group(vni100, host(1)); !slices.Equal(g.Members, targets(vni100, 2)) {
		t.Errorf("leaf3: %+v, want leaf 2", g)
	}
	if m, ok := f.leaf(3).macs[macKey{vni100, host(2)}]; ok {
		t.Errorf("leaf3 has %+v", m)
	}
	one.SegmentUp(f.now, es1)
	f.settle()
	if g := one.group(vni100, host(1)); !g.Local {
		t.Errorf("up again: %+v, want local", g)
	}
}

// TestDFElection: RFC 7432 section 8.5 and RFC 8584: exactly one DF for each
// VNI, none before the wait is over, another when it fails.
func TestDFElection(t *testing.T) {
	for _, alg := range []evpn.DFAlg{evpn.DFModulo, evpn.DFHRW, evpn.DFHighest, evpn.DFLowest} {
		f := multihomed(t, 4, []int{1, 2, 3}, func(i int, s *evpn.EthernetSegment) {
			s.DF = evpn.DFElection{Alg: alg, Preference: uint16(100 * i)}
		})
		for _, vni := range []table.VNI{vni100, vni200} {
			if d := f.dfs(vni); len(d) != 1 {
				t.Errorf("algorithm %d, VNI %d: DFs %v", alg, vni, d)
			}
		}
		switch df := f.dfs(vni100)[0]; {
		case alg == evpn.DFModulo && df != 2, // 100 mod 3 = 1
			alg == evpn.DFHighest && df != 3,
			alg == evpn.DFLowest && df != 1:
			t.Errorf("algorithm %d: DF leaf%d", alg, df)
		}
		was := f.dfs(vni100)[0]
		backups := 0
		for _, n := range f.nodes[:3] {
			s := n.segments[segmentKey{vni100, es1}]
			if s.BackupDF {
				backups = n.i
			}
			if len(s.Peers) != 2 || slices.Contains(s.Peers, vtep(n.i)) {
				t.Errorf("%s: peers %v", n.name, s.Peers)
			}
		}
		f.leaf(was).SegmentDown(f.now, es1)
		f.settle()
		now := f.dfs(vni100)
		if len(now) != 1 || now[0] == was {
			t.Errorf("algorithm %d: leaf%d failed, DFs %v", alg, was, now)
		}
		if alg != evpn.DFModulo && now[0] != backups {
			t.Errorf("algorithm %d: backup leaf%d, elected leaf%d", alg, backups, now[0])
		}
		if f.leaf(was).count(evpn.EventDF) < 2 {
			t.Errorf("events of leaf%d: %v", was, f.leaf(was).events)
		}
	}
}

// TestDFWait: RFC 8584 section 2.1: in DF_WAIT "assume an NDF for the local PE".
func TestDFWait(t *testing.T) {
	f := mesh(t, 1, func(_ int, c *evpn.Config) {
		c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100}}}
	})
	one := f.leaf(1)
	if _, ok := one.Next(); ok {
		t.Error("something waits before the segment is up")
	}
	one.SegmentUp(f.now, es1)
	f.settle()
	if s, ok := one.segments[segmentKey{vni100, es1}]; !ok || s.DF {
		t.Errorf("in DF_WAIT: %+v (%v)", s, ok)
	}
	if at, ok := one.Next(); !ok || at != f.now+3*sec {
		t.Errorf("Next = %d, %v; want 3 s from %d", at, ok, f.now)
	}
	f.after(2 * sec)
	if d := f.dfs(vni100); len(d) > 0 {
		t.Errorf("after 2 s: DFs %v", d)
	}
	f.after(sec)
	if d := f.dfs(vni100); len(d) != 1 {
		t.Errorf("after 3 s: DFs %v", d)
	}
	one.SegmentDown(f.now, es1)
	f.settle()
	if len(one.segments) > 0 {
		t.Errorf("down: %v", one.segments)
	}
}

// TestDFFallback: RFC 8584 section 2.2: one that differs, and all use modulo.
func TestDFFallback(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2, 3}, func(i int, s *evpn.EthernetSegment) {
		s.DF = evpn.DFElection{Alg: evpn.DFHighest, Preference: uint16(100 * i)}
		if i == 1 {
			s.DF.Alg = evpn.DFHRW
		}
	})
	if d := f.dfs(vni100); !slices.Equal(d, []int{2}) { // 100 mod 3 = 1
		t.Errorf("DFs %v, want 2", d)
	}
}

// TestACDF: RFC 8584 section 4: a node without the attachment circuit of a VNI
// is no candidate for it.
func TestACDF(t *testing.T) {
	f := multihomed(t, 2, []int{1, 2}, func(i int, s *evpn.EthernetSegment) {
		s.DF = evpn.DFElection{Alg: evpn.DFHighest, Preference: uint16(100 * i), Caps: evpn.CapACDF}
		if i == 2 {
			s.VNIs = []table.VNI{vni200}
		}
	})
	if d := f.dfs(vni200); !slices.Equal(d, []int{2}) {
		t.Errorf("VNI 200: DFs %v, want 2", d)
	}
	if d := f.dfs(vni100); !slices.Equal(d, []int{1}) {
		t.Errorf("VNI 100, which leaf 2 does not have there: DFs %v, want 1", d)
	}
}

// TestACDFRoutes: RFC 8584 section 4: both type 1 routes make a candidate, per
// segment and per EVI.
func TestACDFRoutes(t *testing.T) {
	c := leafConfig(t, 1)
	df := evpn.DFElection{Present: true, Alg: evpn.DFHighest, Caps: evpn.CapACDF}
	c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100}, DF: df}}
	n := newNode(t, 1, c)
	n.SegmentUp(0, es1)
	n.Tick(10 * sec)
	r := remoteOf(n, 2)
	es, evi, seg := r.attrs(rt(t, "65000:100")), r.attrs(rt(t, "65000:100")), r.attrs()
	es.ESILabel.Present, evi.Label1 = true, vni100
	seg.ESImport, seg.DF = es1.Import(), df
	seg.DF.Preference = 9
	keyES, keyEVI := evpn.KeyOfAD(r.rd(1), es1, evpn.MaxTag), evpn.KeyOfAD(r.rd(vni100), es1, 0)
	for _, step := range []struct {
		name string
		do   func()
		df   bool
	}{
		{"segment route alone", func() { r.announce(0, evpn.KeyOfSegment(r.rd(1), es1, vtep(2)), seg) }, true},
		{"and per segment", func() { r.announce(0, keyES, es) }, true},
		{"and per EVI", func() { r.announce(0, keyEVI, evi) }, false},
		{"not per segment", func() { r.withdraw(0, keyES) }, true},
		{"both again", func() { r.announce(0, keyES, es) }, false},
		{"not per EVI", func() { r.withdraw(0, keyEVI) }, true},
	} {
		step.do()
		n.flush(10 * sec)
		if got := n.segments[segmentKey{vni100, es1}].DF; got != step.df {
			t.Errorf("%s: DF %v, want %v", step.name, got, step.df)
		}
	}
}

// TestNonRevertive: RFC 9785 section 4.3, its example: PE3 fails and comes back;
// it announces the preference of PE2 and does not take over, until PE2 fails.
func TestNonRevertive(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2, 3}, func(i int, s *evpn.EthernetSegment) {
		s.DF = evpn.DFElection{Alg: evpn.DFHighest, Preference: uint16(100 * i), Caps: evpn.CapDontPreempt}
	})
	announced := func(i int) evpn.DFElection {
		return f.leaf(i).announced[evpn.KeyOfSegment(evpn.NewRD(vtep(i), 65535), es1, vtep(i))].DF
	}
	if d := f.dfs(vni100); !slices.Equal(d, []int{3}) {
		t.Fatalf("DFs %v, want 3", d)
	}
	f.leaf(3).SegmentDown(f.now, es1)
	f.settle()
	if d := f.dfs(vni100); !slices.Equal(d, []int{2}) {
		t.Fatalf("leaf 3 down: DFs %v, want 2", d)
	}
	f.leaf(3).SegmentUp(f.now, es1)
	f.settle()
	f.after(10 * sec)
	if d := f.dfs(vni100); !slices.Equal(d, []int{2}) {
		t.Errorf("leaf 3 back: DFs %v, want 2", d)
	}
	if df := announced(3); df.Preference != 200 || df.Caps&evpn.CapDontPreempt != 0 {
		t.Errorf("leaf 3 back announces %+v, want (200, 0)", df)
	}
	f.leaf(2).SegmentDown(f.now, es1)
	f.settle()
	if d := f.dfs(vni100); !slices.Equal(d, []int{3}) {
		t.Errorf("leaf 2 down: DFs %v, want 3", d)
	}
	if df := announced(3); df.Preference != 300 || df.Caps&evpn.CapDontPreempt == 0 {
		t.Errorf("leaf 3 then announces %+v, want (300, 1)", df)
	}
}

// TestSegmentOfOthers: a node that is not on a segment elects nobody for it.
func TestSegmentOfOthers(t *testing.T) {
	f := multihomed(t, 3, []int{1, 2}, nil)
	if s := f.leaf(3).segments; len(s) > 0 {
		t.Errorf("leaf3: %v", s)
	}
	for _, i := range []int{1, 2} {
		f.leaf(i).SegmentDown(f.now, es1)
	}
	f.leaf(3).SegmentUp(f.now, es1) // not configured: nothing
	f.settle()
	if _, ok := f.leaf(3).Next(); ok || len(f.leaf(3).segments) > 0 {
		t.Error("leaf3 elects for a segment that it does not have")
	}
	if h := f.leaf(3).Find(netip.Addr{}); len(h) > 0 {
		t.Errorf("Find(invalid) = %v", h)
	}
}

package l2_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// naive is a bridge as one would write it first: a map per bridge domain and a
// walk for every question.
type naive struct {
	ageing  uint32
	limit   map[table.VNI]l2.Limit
	portMax map[table.PortID]l2.Limit
	fdb     map[table.VNI]map[table.MAC]l2.Entry
	acs     []*l2.AC
	vteps   map[table.VNI][]table.VTEPID
}

func (m *naive) portOf(vni table.VNI, d l2.Dest) table.PortID {
	for _, ac := range m.acs {
		if d.Kind == l2.DestLocal && ac.VNI == vni && ac.ID == table.ACID(d.ID) {
			return ac.Port
		}
	}
	return 0
}

func (m *naive) learnedInVNI(vni table.VNI) (n int) {
	for _, e := range m.fdb[vni] {
		if !e.Static {
			n++
		}
	}
	return n
}

func (m *naive) learnedOnPort(p table.PortID) (n int) {
	for vni, es := range m.fdb {
		for _, e := range es {
			if !e.Static && m.portOf(vni, e.Dest) == p {
				n++
			}
		}
	}
	return n
}

// learn is the source check; it returns why the frame is dropped.
func (m *naive) learn(vni table.VNI, from l2.Dest, src table.MAC, now uint32) counter.Reason {
	e, known := m.fdb[vni][src]
	port := m.portOf(vni, from)
	switch {
	case known && e.Dest == from:
		e.Seen = now
		m.fdb[vni][src] = e
		return counter.None
	case known && e.Dest == l2.Blackhole:
		return counter.FDBDrop
	case known && e.Static:
		return counter.MACMoveRefused
	}
	over := func(l l2.Limit, n int) bool { return l.Max > 0 && n >= l.Max }
	learn := true
	for _, x := range []struct {
		asks bool
		over bool
		l    l2.Limit
	}{
		{!known, over(m.limit[vni], m.learnedInVNI(vni)), m.limit[vni]},
		{port != 0 && !(known && m.portOf(vni, e.Dest) == port), over(m.portMax[port], m.learnedOnPort(port)), m.portMax[port]},
	} {
		if x.asks && x.over {
			if x.l.Action == l2.LimitDrop {
				return counter.MACLimit
			}
			learn = false
		}
	}
	if learn {
		m.fdb[vni][src] = l2.Entry{MAC: src, Dest: from, Seen: now}
	}
	return counter.None
}

func (m *naive) decide(vni table.VNI, in *l2.AC, from l2.Dest, dst, src table.MAC, now uint32) l2.Verdict {
	if src.IsMulticast() || src == 0 {
		return dropped(counter.SourceMACInvalid)
	}
	if r := m.learn(vni, from, src, now); r != counter.None {
		return dropped(r)
	}
	e, ok := m.fdb[vni][dst]
	if ok && !dst.IsMulticast() {
		switch {
		case e.Dest == l2.Blackhole:
			return dropped(counter.FDBDrop)
		case in == nil && e.Dest.Kind == l2.DestVTEP, e.Dest == from:
			return dropped(counter.SplitHorizon)
		}
		if in != nil && e.Dest.Kind == l2.DestLocal && in.Group != 0 {
			for _, ac := range m.acs {
				if ac.VNI == vni && ac.ID == table.ACID(e.Dest.ID) && ac.Group == in.Group {
					return dropped(counter.SplitHorizon)
				}
			}
		}
		return to(e.Dest)
	}
	return flooded
}

// TestBridgeModel runs the same random life of three tenants with the same MACs
// on shared ports through the bridge and through the naive model, and compares
// every verdict and, often, every table. What one tenant does never shows in
// another.
func TestBridgeModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))

	vnis := []table.VNI{100, 200, 300}
	m := &naive{
		ageing:  60,
		limit:   map[table.VNI]l2.Limit{200: {Max: 12, Action: l2.LimitDrop}, 300: {Max: 15}},
		portMax: map[table.PortID]l2.Limit{1: {Max: 9}, 2: {Max: 14, Action: l2.LimitDrop}},
		fdb:     map[table.VNI]map[table.MAC]l2.Entry{},
		vteps:   map[table.VNI][]table.VTEPID{},
	}
	learner, ring := l2.NewLearner(), l2.NewRing(16)
	bridge := l2.NewBridge(ring)
	for p, l := range m.portMax {
		learner.SetPort(p, l)
	}
	bds := map[table.VNI]*l2.BD{}
	statics := []l2.Static{{MAC: mac(1), Dest: l2.Local(1)}, {MAC: mac(2), Dest: l2.Blackhole}}
	for i, vni := range vnis {
		m.fdb[vni] = map[table.MAC]l2.Entry{}
		c := l2.BDConfig{VNI: vni, FDB: learner.FDB(vni), Gate: learner.Gate(vni)}
		d := l2.DomainConfig{VNI: vni, Ageing: m.ageing, Limit: m.limit[vni]}
		for p := 1; p <= 4; p++ {
			ac := &l2.AC{
				ID: table.ACID(10*i + p), Port: table.PortID((p + 1) / 2), VNI: vni,
				Gate: learner.PortGate(table.PortID((p + 1) / 2)), Group: uint32(p % 3),
			}
			c.ACs = append(c.ACs, ac)
			m.acs = append(m.acs, ac)
			d.Circuits = append(d.Circuits, l2.Circuit{ID: ac.ID, Port: ac.Port})
		}
		c.VTEPs = []table.VTEPID{table.VTEPID(10*i + 1), table.VTEPID(10*i + 2)}
		d.VTEPs, m.vteps[vni] = c.VTEPs, c.VTEPs
		if vni == 100 {
			d.Statics = statics
			for _, s := range statics {
				m.fdb[vni][s.MAC] = l2.Entry{MAC: s.MAC, Dest: s.Dest, Static: true}
			}
		}
		if err := learner.SetDomain(d); err != nil {
			t.Fatal(err)
		}
		var err error
		if bds[vni], err = l2.NewBD(c); err != nil {
			t.Fatal(err)
		}
	}

	remove := func(doomed func(table.VNI, l2.Entry) bool) {
		for vni, es := range m.fdb {
			for a, e := range es {
				if !e.Static && doomed(vni, e) {
					delete(m.fdb[vni], a)
				}
			}
		}
	}
	now := int64(0)
	buf := make([]l2.Sighting, 16)
	for step := range 30_000 {
		now += second/2 + rng.Int64N(second)
		sec := l2.Seconds(now)
		switch rng.IntN(400) {
		case 0:
			p := table.PortID(1 + rng.IntN(2))
			learner.FlushPort(p)
			remove(func(vni table.VNI, e l2.Entry) bool { return m.portOf(vni, e.Dest) == p })
		case 1:
			v := table.VTEPID(10*rng.IntN(3) + 1)
			learner.FlushVTEP(v)
			remove(func(_ table.VNI, e l2.Entry) bool { return e.Dest == l2.Remote(v) })
		case 2:
			vni := vnis[rng.IntN(3)]
			learner.FlushVNI(vni)
			remove(func(v table.VNI, _ l2.Entry) bool { return v == vni })
		}
		if step%10 == 0 {
			learner.Age(sec)
			remove(func(_ table.VNI, e l2.Entry) bool { return sec-e.Seen >= m.ageing })
		}

		vni := vnis[rng.IntN(3)]
		bd := bds[vni]
		src, dst := mac(rng.IntN(40)), mac(rng.IntN(40))
		if rng.IntN(8) == 0 {
			dst = table.Broadcast
		}
		f := &pkt.Frame{}
		f.Reset(frame(dst, src, 50))
		bridge.Begin(now)
		var got, want l2.Verdict
		if i := rng.IntN(6); i < 4 {
			ac := bd.ACs[i]
			got = bridge.FromLocal(bd, ac, f)
			want = m.decide(vni, ac, l2.Local(ac.ID), dst, src, sec)
		} else {
			v := bd.VTEPs[i-4]
			f.VTEP = uint32(v)
			got = bridge.FromVTEP(bd, f)
			want = m.decide(vni, nil, l2.Remote(v), dst, src, sec)
		}
		bridge.End()
		learner.Learn(buf[:ring.Pop(buf)], sec)
		// The bridge answers before control has learned the source, the model
		// after: only a frame to its own source can tell.
		if got != want && dst != src {
			t.Fatalf("step %d, VNI %d, %v -> %v: %+v, want %+v", step, vni, src, dst, got, want)
		}
		if step%50 == 0 {
			for _, vni := range vnis {
				n := 0
				for e := range bds[vni].FDB.All() {
					if m.fdb[vni][e.MAC] != e && !e.Static {
						t.Fatalf("step %d, VNI %d: %+v, want %+v", step, vni, e, m.fdb[vni][e.MAC])
					}
					n++
				}
				if n != len(m.fdb[vni]) {
					t.Fatalf("step %d, VNI %d: %d entries, want %d", step, vni, n, len(m.fdb[vni]))
				}
			}
		}
	}
	for _, vni := range vnis {
		s, _ := learner.Stats(vni)
		t.Logf("VNI %d: %+v", vni, s)
		if s.Moves == 0 || s.Aged == 0 {
			t.Errorf("VNI %d: nothing moved or aged: the test tests little", vni)
		}
	}
	if ring.Lost() != 0 {
		t.Errorf("%d sightings lost", ring.Lost())
	}
}

// TestIsolation: tenants with the same MACs, tags and ports. For every tenant's
// frame, whatever the tables hold, all it can reach is its own.
func TestIsolation(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	const tenants, ports = 5, 3

	learner, ring := l2.NewLearner(), l2.NewRing(64)
	bridge := l2.NewBridge(ring)
	perPort := make([][]*l2.AC, ports)
	owner := map[table.ACID]table.VNI{}
	var bds []*l2.BD
	for i := range tenants {
		vni := table.VNI(1000 + i)
		c := l2.BDConfig{VNI: vni, FDB: learner.FDB(vni), VTEPs: []table.VTEPID{table.VTEPID(i + 1)}}
		d := l2.DomainConfig{VNI: vni, VTEPs: c.VTEPs}
		for p := range ports {
			ac := &l2.AC{
				ID: table.ACID(100*i + p + 1), Port: table.PortID(p), VNI: vni, Tunnel: true,
				// The VIDs are the same set on every port, each time another's.
				Match: l2.Match{Kind: l2.MatchVLAN, VLAN: uint16(10 + (i+p)%tenants)},
			}
			owner[ac.ID] = vni
			perPort[p] = append(perPort[p], ac)
			c.ACs = append(c.ACs, ac)
			d.Circuits = append(d.Circuits, l2.Circuit{ID: ac.ID, Port: ac.Port})
		}
		if err := learner.SetDomain(d); err != nil {
			t.Fatal(err)
		}
		bd, err := l2.NewBD(c)
		if err != nil {
			t.Fatal(err)
		}
		bds = append(bds, bd)
	}
	var accesses []*l2.Access
	for _, acs := range perPort {
		accesses = append(accesses, access(t, acs...))
	}
	buf := make([]l2.Sighting, 64)
	for step := range 20_000 {
		// Every tenant has the same eight MACs and tags its own frames too.
		f := &pkt.Frame{}
		src, dst := mac(rng.IntN(8)), mac(rng.IntN(8))
		p := rng.IntN(ports)
		vid := 10 + rng.IntN(tenants)
		var bd *l2.BD
		var in *l2.AC
		bridge.Begin(int64(step) * second)
		var v l2.Verdict
		if rng.IntN(3) > 0 {
			f.Reset(frame(dst, src, 50, ctag(vid), ctag(10+rng.IntN(tenants))))
			id, r := accesses[p].Classify(f)
			if r != counter.None {
				t.Fatal(r)
			}
			i := slices.IndexFunc(bds, func(b *l2.BD) bool { return b.VNI == owner[id] })
			bd = bds[i]
			in = bd.AC(id)
			if in.Match.VLAN != uint16(vid) || in.Port != table.PortID(p) {
				t.Fatalf("VLAN %d of port %d came in by %+v", vid, p, in)
			}
			v = bridge.FromLocal(bd, in, f)
		} else {
			f.Reset(frame(dst, src, 50))
			i := rng.IntN(tenants)
			bd = bds[i]
			f.VTEP = uint32(i + 1)
			v = bridge.FromVTEP(bd, f)
		}
		bridge.End()
		learner.Learn(buf[:ring.Pop(buf)], uint32(step))
		switch v.Kind {
		case l2.Flood:
			list, _ := bd.AppendFlood(nil, in, table.VTEPID(f.VTEP))
			for _, ac := range list {
				if ac.VNI != bd.VNI {
					t.Fatalf("flood of VNI %d leaves by a circuit of VNI %d", bd.VNI, ac.VNI)
				}
			}
		case l2.Unicast:
			if v.Dest.Kind == l2.DestLocal && owner[table.ACID(v.Dest.ID)] != bd.VNI ||
				v.Dest.Kind == l2.DestVTEP && !slices.Contains(bd.VTEPs, table.VTEPID(v.Dest.ID)) {
				t.Fatalf("VNI %d leaves by %v", bd.VNI, v.Dest)
			}
		}
		if step%100 == 0 { // an entry that names another tenant's circuit
			bds[0].FDB.Put(l2.Entry{MAC: mac(rng.IntN(8)), Dest: l2.Local(table.ACID(101))})
			bds[1].FDB.Put(l2.Entry{MAC: mac(rng.IntN(8)), Dest: l2.Remote(1)})
		}
	}
}

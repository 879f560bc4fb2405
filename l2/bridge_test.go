package l2_test

import (
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

const second = int64(1e9)

// rig is a bridge domain with three circuits, two of them in a group, and two
// VTEPs, its learner and a worker's bridge.
type rig struct {
	t       testing.TB
	learner *l2.Learner
	ring    *l2.Ring
	bridge  *l2.Bridge
	bd      *l2.BD
	now     int64
}

const rigVNI table.VNI = 100

func newRig(t testing.TB, change func(*l2.BDConfig), limit l2.Limit) *rig {
	t.Helper()
	r := &rig{t: t, learner: l2.NewLearner(), ring: l2.NewRing(64), now: second}
	r.bridge = l2.NewBridge(r.ring)
	acs := []*l2.AC{
		{ID: 1, Port: 1, VNI: rigVNI, Gate: r.learner.PortGate(1)},
		{ID: 2, Port: 2, VNI: rigVNI, Gate: r.learner.PortGate(2), Group: 7},
		{ID: 3, Port: 3, VNI: rigVNI, Gate: r.learner.PortGate(3), Group: 7},
	}
	c := l2.BDConfig{
		VNI: rigVNI, Name: "red", FDB: r.learner.FDB(rigVNI), Gate: r.learner.Gate(rigVNI),
		ACs: acs, VTEPs: []table.VTEPID{1, 2},
	}
	if change != nil {
		change(&c)
	}
	d := l2.DomainConfig{VNI: rigVNI, Limit: limit, VTEPs: c.VTEPs, Told: c.Told, Statics: []l2.Static{
		{MAC: mac(90), Dest: l2.Local(1)}, {MAC: mac(91), Dest: l2.Blackhole},
	}}
	for _, ac := range c.ACs {
		d.Circuits = append(d.Circuits, l2.Circuit{ID: ac.ID, Port: ac.Port})
	}
	if err := r.learner.SetDomain(d); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.bd, err = l2.NewBD(c); err != nil {
		t.Fatal(err)
	}
	return r
}

// send lets the bridge decide on one frame and the learner work on what it saw.
// from 1 to 3 is a circuit, -1 and -2 a VTEP.
func (r *rig) send(from int, dst, src table.MAC) l2.Verdict {
	r.t.Helper()
	f := &pkt.Frame{}
	f.Reset(frame(dst, src, 50))
	return r.sendFrame(from, f)
}

func (r *rig) sendFrame(from int, f *pkt.Frame) l2.Verdict {
	r.t.Helper()
	r.bridge.Begin(r.now)
	var v l2.Verdict
	if from > 0 {
		v = r.bridge.FromLocal(r.bd, r.bd.AC(table.ACID(from)), f)
	} else {
		f.VTEP = uint32(-from)
		v = r.bridge.FromVTEP(r.bd, f)
	}
	pushed := r.bridge.End()
	buf := make([]l2.Sighting, 64)
	n := r.ring.Pop(buf)
	if pushed != (n > 0) {
		r.t.Errorf("End = %v with %d sightings", pushed, n)
	}
	r.learner.Learn(buf[:n], l2.Seconds(r.now))
	r.now += second
	return v
}

func (r *rig) expect(what string, got, want l2.Verdict) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func dropped(r counter.Reason) l2.Verdict { return l2.Verdict{Kind: l2.Drop, Reason: r} }
func to(d l2.Dest) l2.Verdict             { return l2.Verdict{Kind: l2.Unicast, Dest: d} }

var flooded = l2.Verdict{Kind: l2.Flood}

// TestBridge walks through what a bridge has to decide.
func TestBridge(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	r.expect("unknown", r.send(1, mac(2), mac(1)), flooded)
	r.expect("answer", r.send(-1, mac(1), mac(2)), to(l2.Local(1)))
	r.expect("known", r.send(1, mac(2), mac(1)), to(l2.Remote(1)))
	r.expect("back where it came from", r.send(1, mac(1), mac(1)), dropped(counter.SplitHorizon))
	r.expect("from VTEP to VTEP", r.send(-2, mac(2), mac(3)), dropped(counter.SplitHorizon))
	r.expect("broadcast", r.send(2, table.Broadcast, mac(4)), flooded)
	r.expect("within the group", r.send(3, mac(4), mac(5)), dropped(counter.SplitHorizon))
	r.expect("out of the group", r.send(1, mac(4), mac(1)), to(l2.Local(2)))
	r.expect("multicast from a VTEP", r.send(-1, 0x01005e000001, mac(2)), flooded)

	r.expect("a move to a VTEP", r.send(-2, mac(5), mac(4)), to(l2.Local(3)))
	r.expect("after it", r.send(1, mac(4), mac(1)), to(l2.Remote(2)))

	r.expect("static", r.send(-1, mac(90), mac(2)), to(l2.Local(1)))
	r.expect("a static MAC elsewhere", r.send(2, mac(1), mac(90)), dropped(counter.MACMoveRefused))
	r.expect("a static MAC at home", r.send(1, mac(2), mac(90)), to(l2.Remote(1)))
	r.expect("to a blackhole", r.send(1, mac(91), mac(1)), dropped(counter.FDBDrop))
	r.expect("from a blackhole", r.send(1, mac(2), mac(91)), dropped(counter.FDBDrop))

	r.expect("group source", r.send(1, mac(2), 0x01005e000001), dropped(counter.SourceMACInvalid))
	r.expect("zero source", r.send(1, mac(2), 0), dropped(counter.SourceMACInvalid))
	r.expect("STP", r.send(1, 0x0180c2000000, mac(1)), dropped(counter.LinkLocalReserved))
	r.expect("EAPOL", r.send(1, 0x0180c2000003, mac(1)), dropped(counter.LinkLocalReserved))
	r.expect("LLDP", r.send(-1, 0x0180c200000e, mac(2)), dropped(counter.LinkLocalReserved))
	r.expect("beyond the reserved ones", r.send(1, 0x0180c2000010, mac(1)), flooded)
	r.expect("short", r.sendFrame(1, &pkt.Frame{Head: make([]byte, 13), Len: 13}), dropped(counter.FrameTooShort))

	s, _ := r.learner.Stats(rigVNI)
	if s.Moves != 1 || s.Refused != 1 || s.Entries != 7 || s.Statics != 2 {
		t.Errorf("stats %+v", s)
	}
	var kinds []l2.ChangeKind
	for _, c := range r.learner.TakeChanges() {
		kinds = append(kinds, c.Kind)
		if c.String() == "" {
			t.Error("a change without text")
		}
	}
	want := []l2.ChangeKind{
		l2.Added, l2.Added, l2.Learned, l2.Learned, l2.Learned, l2.Learned, l2.Learned,
		l2.Moved, l2.MoveRefused,
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("changes %v, want %v", kinds, want)
	}
}

func TestFloodTargets(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	for _, tt := range []struct {
		in   int
		want []table.ACID
	}{{0, []table.ACID{1, 2, 3}}, {1, []table.ACID{2, 3}}, {2, []table.ACID{1}}, {3, []table.ACID{1}}} {
		var ids []table.ACID
		list, _ := r.bd.AppendFlood(nil, r.bd.AC(table.ACID(tt.in)), 0)
		for _, ac := range list {
			ids = append(ids, ac.ID)
		}
		if !slices.Equal(ids, tt.want) {
			t.Errorf("flood from %d: %v, want %v", tt.in, ids, tt.want)
		}
	}
}

// TestNoDestination: alone in a bridge domain there is nowhere to flood to, and
// an FDB entry of what is gone leads nowhere.
func TestNoDestination(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) { c.ACs, c.VTEPs = c.ACs[:1], nil }, l2.Limit{})
	r.expect("alone", r.send(1, mac(2), mac(1)), dropped(counter.NoDestination))
	r.bd.FDB.Put(l2.Entry{MAC: mac(2), Dest: l2.Local(2)})
	r.bd.FDB.Put(l2.Entry{MAC: mac(3), Dest: l2.Remote(9)})
	r.expect("a circuit that is elsewhere", r.send(1, mac(2), mac(1)), dropped(counter.NoDestination))
	r.expect("a VTEP that is gone", r.send(1, mac(3), mac(1)), dropped(counter.NoDestination))
}

func TestMACLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		action l2.LimitAction
		want   l2.Verdict
	}{{"forward", l2.LimitForward, flooded}, {"drop", l2.LimitDrop, dropped(counter.MACLimit)}} {
		t.Run("VNI "+tt.name, func(t *testing.T) {
			r := newRig(t, nil, l2.Limit{Max: 2, Action: tt.action})
			r.expect("first", r.send(1, table.Broadcast, mac(1)), flooded)
			r.expect("second", r.send(-1, table.Broadcast, mac(2)), flooded)
			r.expect("third", r.send(1, table.Broadcast, mac(3)), tt.want)
			r.expect("third, from a VTEP", r.send(-1, table.Broadcast, mac(4)), tt.want)
			r.expect("a known one", r.send(1, table.Broadcast, mac(1)), flooded)
			r.expect("a move", r.send(2, table.Broadcast, mac(1)), flooded)
			if s, _ := r.learner.Stats(rigVNI); s.Entries != 4 || s.Moves != 1 {
				t.Errorf("stats %+v", s)
			}
			r.learner.FlushDest(rigVNI, l2.Remote(1))
			r.expect("room again", r.send(1, table.Broadcast, mac(3)), flooded)
			if _, ok := r.bd.FDB.Lookup(mac(3)); !ok {
				t.Error("not learned although there is room")
			}
		})
		t.Run("port "+tt.name, func(t *testing.T) {
			r := newRig(t, nil, l2.Limit{})
			r.learner.SetPort(1, l2.Limit{Max: 1, Action: tt.action})
			r.expect("first", r.send(1, table.Broadcast, mac(1)), flooded)
			r.expect("second", r.send(1, table.Broadcast, mac(2)), tt.want)
			r.expect("another port", r.send(2, table.Broadcast, mac(2)), flooded)
			r.expect("a move to the full port", r.send(1, table.Broadcast, mac(2)), tt.want)
			if e, _ := r.bd.FDB.Get(mac(2)); e.Dest != l2.Local(2) {
				t.Errorf("mac 2 is at %v", e.Dest)
			}
			r.learner.SetPort(1, l2.Limit{})
			r.expect("the limit is lifted", r.send(1, table.Broadcast, mac(2)), flooded)
			if e, _ := r.bd.FDB.Get(mac(2)); e.Dest != l2.Local(1) {
				t.Errorf("mac 2 is at %v", e.Dest)
			}
		})
	}
}

// TestPortLimitMoveWithin: a MAC may move between circuits of a full port.
func TestPortLimitMoveWithin(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) { c.ACs[1].Port, c.ACs[1].Gate = 1, c.ACs[0].Gate }, l2.Limit{})
	r.learner.SetPort(1, l2.Limit{Max: 1, Action: l2.LimitDrop})
	r.expect("first", r.send(1, table.Broadcast, mac(1)), flooded)
	r.expect("moved", r.send(2, table.Broadcast, mac(1)), flooded)
	if e, _ := r.bd.FDB.Get(mac(1)); e.Dest != l2.Local(2) {
		t.Errorf("mac 1 is at %v", e.Dest)
	}
}

func TestStormControl(t *testing.T) {
	limits := l2.StormLimits{Broadcast: l2.Rate{Frames: 100}, UnknownUnicast: l2.Rate{Bits: 64 * 8 * 100}}
	// A rate of 100 per second has 10 in its burst of 100 ms.
	burst := func(r *rig, from int, dst table.MAC) (passed int) {
		f := &pkt.Frame{}
		for range 50 {
			f.Reset(frame(dst, mac(1), 50))
			r.bridge.Begin(r.now)
			var v l2.Verdict
			if from > 0 {
				v = r.bridge.FromLocal(r.bd, r.bd.ACs[from-1], f)
			} else {
				f.VTEP = uint32(-from)
				v = r.bridge.FromVTEP(r.bd, f)
			}
			if v.Kind == l2.Flood {
				passed++
			} else if v.Reason != counter.StormLimited {
				r.t.Errorf("%+v", v)
			}
		}
		r.bridge.End()
		return passed
	}
	for _, where := range []string{"port", "VNI"} {
		r := newRig(t, func(c *l2.BDConfig) {
			if where == "VNI" {
				c.Storm = l2.NewStorm(limits)
			} else {
				c.ACs[0].Storm = l2.NewStorm(limits)
			}
		}, l2.Limit{})
		if n := burst(r, 1, table.Broadcast); n != 10 {
			t.Errorf("%s: %d of 50 broadcasts passed, want 10", where, n)
		}
		if n := burst(r, 1, 0x01005e000001); n != 50 {
			t.Errorf("%s: %d of 50 multicasts passed, want all", where, n)
		}
		if n := burst(r, 1, mac(9)); n != 10 {
			t.Errorf("%s: %d of 50 unknown unicasts passed, want 10", where, n)
		}
		want := 50
		if where == "VNI" {
			want = 0
		}
		if n := burst(r, -1, table.Broadcast); n != want {
			t.Errorf("%s: %d of 50 broadcasts from a VTEP passed, want %d", where, n, want)
		}
		r.now += second / 20
		if n := burst(r, 1, table.Broadcast); n != 5 {
			t.Errorf("%s: %d passed after 50 ms, want 5", where, n)
		}
		r.now += 100 * second
		if n := burst(r, 1, table.Broadcast); n != 10 {
			t.Errorf("%s: %d passed after silence, want 10", where, n)
		}
		if got := r.bd.Count.Drops.Load(); got == 0 {
			t.Errorf("%s: no drops counted", where)
		}
	}
}

func TestCounts(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	r.send(1, table.Broadcast, mac(1)) // to 2 circuits and 2 VTEPs
	r.send(-1, mac(1), mac(2))
	r.send(1, mac(2), mac(1))
	r.send(1, mac(1), mac(1)) // dropped
	// A super-frame of 3 segments: 54 of headers, 1000 + 1000 + 500.
	f := &pkt.Frame{}
	b := frame(mac(2), mac(1), 40+2500)
	b[14], b[23], b[46] = 0x45, 6, 0x50
	f.Reset(b)
	f.Offload = pkt.Offload{GSOType: pkt.GSOTCPv4, GSOSize: 1000}
	f.L3Off, f.L4Off, f.IPProto, f.Parsed = 14, 34, 6, true
	r.expect("super-frame", r.sendFrame(1, f), to(l2.Remote(1)))

	c := r.bd.Count
	for _, x := range []struct {
		name          string
		got           *l2.Traffic
		frames, bytes uint64
	}{
		{"RxLocal", &c.RxLocal, 6, 3*64 + 2554},
		{"RxTunnel", &c.RxTunnel, 1, 64},
		{"TxLocal", &c.TxLocal, 3, 3 * 64},
		{"TxTunnel", &c.TxTunnel, 6, 3*64 + 2554},
	} {
		if x.got.Frames.Load() != x.frames || x.got.Bytes.Load() != x.bytes {
			t.Errorf("%s: %d frames, %d bytes, want %d, %d", x.name, x.got.Frames.Load(), x.got.Bytes.Load(), x.frames, x.bytes)
		}
	}
	if c.Flooded[l2.Broadcast].Load() != 1 || c.Drops.Load() != 1 {
		t.Errorf("flooded %d, drops %d", c.Flooded[l2.Broadcast].Load(), c.Drops.Load())
	}
}

// TestReportsOnce: until control answers, a MAC is reported once in 100 ms.
func TestReportsOnce(t *testing.T) {
	r := newRig(t, nil, l2.Limit{})
	f := &pkt.Frame{}
	buf := make([]l2.Sighting, 64)
	report := func(at int64) int {
		r.bridge.Begin(at)
		for range 10 {
			f.Reset(frame(table.Broadcast, mac(1), 50))
			r.bridge.FromLocal(r.bd, r.bd.ACs[0], f)
		}
		r.bridge.End()
		return r.ring.Pop(buf)
	}
	if n := report(0); n != 1 {
		t.Errorf("%d sightings, want 1", n)
	}
	if n := report(99e6); n != 0 {
		t.Errorf("%d sightings after 99 ms, want 0", n)
	}
	if n := report(100e6); n != 1 {
		t.Errorf("%d sightings after 100 ms, want 1", n)
	}
}

func TestNewBDRefuses(t *testing.T) {
	fdb := l2.NewFDB()
	for name, c := range map[string]l2.BDConfig{
		"VNI 0":        {FDB: fdb},
		"VNI":          {VNI: 1 << 24, FDB: fdb},
		"no FDB":       {VNI: 1},
		"other's AC":   {VNI: 1, FDB: fdb, ACs: []*l2.AC{{ID: 1, VNI: 2}}},
		"AC twice":     {VNI: 1, FDB: fdb, ACs: []*l2.AC{{ID: 1, VNI: 1}, {ID: 1, VNI: 1}}},
		"AC without":   {VNI: 1, FDB: fdb, ACs: []*l2.AC{{VNI: 1}}},
		"VTEP twice":   {VNI: 1, FDB: fdb, VTEPs: []table.VTEPID{3, 3}},
		"VTEP without": {VNI: 1, FDB: fdb, VTEPs: []table.VTEPID{0}},
	} {
		if _, err := l2.NewBD(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestManyCircuits: more circuits than are walked.
func TestManyCircuits(t *testing.T) {
	r := newRig(t, func(c *l2.BDConfig) {
		for i := 4; i < 60; i++ {
			c.ACs = append(c.ACs, &l2.AC{ID: table.ACID(i), Port: table.PortID(i), VNI: rigVNI})
		}
	}, l2.Limit{})
	for i := 1; i < 60; i++ {
		r.expect("learn", r.send(i, table.Broadcast, mac(100+i)), flooded)
	}
	r.expect("lookup", r.send(1, mac(159), mac(101)), to(l2.Local(59)))
	if r.bd.AC(60) != nil || r.bd.AC(0) != nil {
		t.Error("a circuit that does not exist")
	}
}

func TestNoAllocs(t *testing.T) {
	storm := l2.NewStorm(l2.StormLimits{Broadcast: l2.Rate{Frames: 10, Bits: 1e6}})
	r := newRig(t, func(c *l2.BDConfig) { c.Storm = storm }, l2.Limit{})
	r.send(1, mac(2), mac(1))
	r.send(-1, mac(1), mac(2))
	acs := access(t, &l2.AC{ID: 1}, &l2.AC{ID: 2, Match: l2.Match{Kind: l2.MatchVLAN, VLAN: 5}, Tunnel: true})
	buf, flood := make([]byte, 2000), make([]*l2.AC, 0, 8)
	big := frame(mac(2), mac(1), 50, ctag(5), ctag(6))
	f := &pkt.Frame{}
	sightings := make([]l2.Sighting, 64)
	i := 1000
	if n := testing.AllocsPerRun(200, func() {
		i++
		f.Reset(append(buf[:0], big...))
		if id, r := acs.Classify(f); id != 2 || r != counter.None {
			t.Fatal(id, r)
		}
		l2.InlineTags(buf[1000:], f)
		r.bridge.Begin(int64(i) * second)
		r.bridge.FromLocal(r.bd, r.bd.ACs[0], f)
		mac(i).Put(f.Head[6:]) // unknown: reported, never learned
		table.Broadcast.Put(f.Head)
		r.bridge.FromLocal(r.bd, r.bd.ACs[0], f)
		flood, _ = r.bd.AppendFlood(flood[:0], r.bd.ACs[0], 0)
		f.VTEP = 1
		r.bridge.FromVTEP(r.bd, f)
		r.bridge.End()
		r.ring.Pop(sightings)
		r.bd.ACs[1].Egress(f)
		l2.Oversize(f, 1400)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBridge(b *testing.B) {
	r := newRig(b, nil, l2.Limit{})
	r.send(1, mac(2), mac(1))
	r.send(-1, mac(1), mac(2))
	f := &pkt.Frame{}
	run := func(name string, dst table.MAC) {
		b.Run(name, func(b *testing.B) {
			f.Reset(frame(dst, mac(1), 50))
			b.ReportAllocs()
			r.bridge.Begin(5 * second)
			for i := 0; b.Loop(); i++ {
				if i%32 == 0 {
					r.bridge.End()
					r.bridge.Begin(5 * second)
				}
				if v := r.bridge.FromLocal(r.bd, r.bd.ACs[0], f); v.Kind == l2.Drop {
					b.Fatal(v)
				}
			}
		})
	}
	run("unicast", mac(2))
	run("broadcast", table.Broadcast)
}

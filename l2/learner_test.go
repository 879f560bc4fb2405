package l2_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

func domainConfig() l2.DomainConfig {
	return l2.DomainConfig{
		VNI: 5, Ageing: 10,
		Circuits: []l2.Circuit{{ID: 1, Port: 1}, {ID: 2, Port: 1}, {ID: 3, Port: 2}},
		VTEPs:    []table.VTEPID{7, 8},
		Statics:  []l2.Static{{MAC: mac(50), Dest: l2.Local(1)}, {MAC: mac(51), Dest: l2.Remote(7)}},
	}
}

func sight(m int, from l2.Dest) l2.Sighting { return l2.Sighting{VNI: 5, MAC: mac(m), From: from} }

// contents returns l's table of VNI 5: MAC number to destination.
func contents(l *l2.Learner) map[int]l2.Dest {
	c := map[int]l2.Dest{}
	for e := range l.FDB(5).All() {
		c[int(e.MAC-mac(0))] = e.Dest
	}
	return c
}

func expectContents(t *testing.T, what string, l *l2.Learner, want map[int]l2.Dest) {
	t.Helper()
	got := contents(l)
	ok := len(got) == len(want)
	for m, d := range want {
		ok = ok && got[m] == d
	}
	if !ok {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestSetDomain: a new configuration keeps what it does not contradict.
func TestSetDomain(t *testing.T) {
	l := l2.NewLearner()
	c := domainConfig()
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	l.Learn([]l2.Sighting{
		sight(1, l2.Local(1)), sight(2, l2.Local(2)), sight(3, l2.Local(3)),
		sight(4, l2.Remote(7)), sight(5, l2.Remote(8)),
		sight(6, l2.Local(9)), sight(7, l2.Remote(9)), // not there
	}, 1)
	if s, ok := l.Stats(5); !ok || s.Stale != 2 || s.Entries != 7 {
		t.Errorf("stats %+v, %v", s, ok)
	}
	l.TakeChanges()
	if err := l.SetDomain(c); err != nil || len(l.TakeChanges()) != 0 {
		t.Errorf("the same configuration changed something: %v", err)
	}

	c.Circuits = []l2.Circuit{{ID: 1, Port: 1}, {ID: 3, Port: 3}} // 2 gone, 3 on another port
	c.VTEPs = []table.VTEPID{8, 9}
	c.Statics = []l2.Static{{MAC: mac(50), Dest: l2.Local(3)}, {MAC: mac(5), Dest: l2.Remote(8)}}
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	expectContents(t, "after the change", l, map[int]l2.Dest{
		1: l2.Local(1), 50: l2.Local(3), 5: l2.Remote(8),
	})
	if e, _ := l.FDB(5).Get(mac(5)); !e.Static {
		t.Error("a learned MAC did not become static")
	}

	l.RemoveDomain(5)
	if _, ok := l.Stats(5); ok || len(l.Domains()) != 0 {
		t.Error("the domain is still there")
	}
	l.Learn([]l2.Sighting{sight(1, l2.Local(1))}, 2) // nobody's
	expectContents(t, "after removal", l, nil)
}

func TestSetDomainRefuses(t *testing.T) {
	for name, s := range map[string][]l2.Static{
		"group":           {{MAC: 0x01005e000001, Dest: l2.Local(1)}},
		"zero":            {{Dest: l2.Local(1)}},
		"unknown circuit": {{MAC: mac(1), Dest: l2.Local(4)}},
		"unknown VTEP":    {{MAC: mac(1), Dest: l2.Remote(4)}},
		"nowhere":         {{MAC: mac(1)}},
		"two places":      {{MAC: mac(1), Dest: l2.Local(1)}, {MAC: mac(1), Dest: l2.Local(2)}},
	} {
		l := l2.NewLearner()
		c := domainConfig()
		c.Statics = s
		if err := l.SetDomain(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if l.FDB(5).Len() != 0 {
			t.Errorf("%s: the table changed", name)
		}
	}
}

func TestAgeing(t *testing.T) {
	l := l2.NewLearner()
	if err := l.SetDomain(domainConfig()); err != nil {
		t.Fatal(err)
	}
	l.Learn([]l2.Sighting{sight(1, l2.Local(1)), sight(2, l2.Remote(7))}, 100)
	l.FDB(5).Touch(mac(2), l2.Remote(7), 105) // a worker saw it
	l.Age(109)
	if l.FDB(5).Len() != 4 {
		t.Error("aged too early")
	}
	l.Age(110)
	expectContents(t, "at 110", l, map[int]l2.Dest{2: l2.Remote(7), 50: l2.Local(1), 51: l2.Remote(7)})
	l.FDB(5).Touch(mac(2), l2.Remote(7), 117)
	l.Age(116) // the worker's second is ahead of control's
	if _, ok := l.FDB(5).Lookup(mac(2)); !ok {
		t.Error("a MAC of the future aged")
	}
	l.Age(127)
	expectContents(t, "at 127", l, map[int]l2.Dest{50: l2.Local(1), 51: l2.Remote(7)})
}

func TestDefaultAgeing(t *testing.T) {
	l := l2.NewLearner()
	c := domainConfig()
	c.Ageing = 0
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	l.Learn([]l2.Sighting{sight(1, l2.Local(1))}, 0)
	l.Age(299)
	if _, ok := l.FDB(5).Lookup(mac(1)); !ok {
		t.Error("aged before 300 s")
	}
	l.Age(300)
	if _, ok := l.FDB(5).Lookup(mac(1)); ok {
		t.Error("did not age at 300 s")
	}
}

func TestFlush(t *testing.T) {
	all := []l2.Sighting{
		sight(1, l2.Local(1)), sight(2, l2.Local(2)), sight(3, l2.Local(3)), sight(4, l2.Remote(7)), sight(5, l2.Remote(8)),
	}
	for _, tt := range []struct {
		name  string
		flush func(*l2.Learner)
		gone  []int
	}{
		{"port", func(l *l2.Learner) { l.FlushPort(1) }, []int{1, 2}},
		{"circuit", func(l *l2.Learner) { l.FlushDest(5, l2.Local(2)) }, []int{2}},
		{"VTEP", func(l *l2.Learner) { l.FlushVTEP(8) }, []int{5}},
		{"VNI", func(l *l2.Learner) { l.FlushVNI(5) }, []int{1, 2, 3, 4, 5}},
		{"removed port", func(l *l2.Learner) { l.RemovePort(2) }, []int{3}},
		{"chosen", func(l *l2.Learner) {
			n := l.Flush(5, func(e l2.Entry) bool { return !e.Static && e.MAC > mac(3) && e.MAC < mac(50) })
			if n != 2 || l.Flush(6, func(l2.Entry) bool { return true }) != 0 {
				t.Errorf("Flush = %d, want 2", n)
			}
		}, []int{4, 5}},
		{"another VNI", func(l *l2.Learner) { l.FlushVNI(6); l.FlushDest(6, l2.Local(1)) }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := l2.NewLearner()
			if err := l.SetDomain(domainConfig()); err != nil {
				t.Fatal(err)
			}
			l.Learn(all, 1)
			want := contents(l)
			l.TakeChanges()
			tt.flush(l)
			for _, m := range tt.gone {
				delete(want, m)
			}
			expectContents(t, "left", l, want)
			var told []int
			for _, c := range l.TakeChanges() {
				if c.Kind != l2.Flushed {
					t.Errorf("change %v", c)
				}
				told = append(told, int(c.MAC-mac(0)))
			}
			if !slices.Equal(told, tt.gone) {
				t.Errorf("told of %v, want %v", told, tt.gone)
			}
		})
	}
}

// TestLimitChanges: gates and what is told of them.
func TestLimitChanges(t *testing.T) {
	l := l2.NewLearner()
	c := domainConfig()
	c.Limit = l2.Limit{Max: 2}
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	l.SetPort(1, l2.Limit{Max: 1, Action: l2.LimitDrop})
	gate, port := l.Gate(5), l.PortGate(1)
	expect := func(what string, g, p l2.GateState, kinds ...l2.ChangeKind) {
		t.Helper()
		if gate.State() != g || port.State() != p {
			t.Errorf("%s: gates %v and %v, want %v and %v", what, gate.State(), port.State(), g, p)
		}
		var got []l2.ChangeKind
		for _, c := range l.TakeChanges() {
			got = append(got, c.Kind)
		}
		if !slices.Equal(got, kinds) {
			t.Errorf("%s: %v, want %v", what, got, kinds)
		}
	}
	l.TakeChanges()
	l.Learn([]l2.Sighting{sight(1, l2.Local(1))}, 1)
	expect("one", l2.GateLearn, l2.GateDrop, l2.Learned, l2.LimitReached)
	l.Learn([]l2.Sighting{sight(2, l2.Local(2))}, 1)
	expect("port full", l2.GateLearn, l2.GateDrop)
	l.Learn([]l2.Sighting{sight(2, l2.Remote(7))}, 1)
	expect("two", l2.GateForward, l2.GateDrop, l2.Learned, l2.LimitReached)
	l.Learn([]l2.Sighting{sight(3, l2.Remote(7))}, 1)
	expect("VNI full", l2.GateForward, l2.GateDrop)
	c.Limit.Action = l2.LimitDrop
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	expect("another action", l2.GateDrop, l2.GateDrop)
	l.Learn([]l2.Sighting{sight(1, l2.Remote(8))}, 1)
	expect("moved off the port", l2.GateDrop, l2.GateLearn, l2.Moved, l2.LimitCleared)
	// A static entry takes a learned one's place and does not count.
	c.Statics = append(c.Statics, l2.Static{MAC: mac(1), Dest: l2.Remote(8)})
	if err := l.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	expect("static", l2.GateLearn, l2.GateLearn, l2.LimitCleared, l2.Added)
	if s, _ := l.Stats(5); s.Limited != 2 || s.Statics != 3 {
		t.Errorf("stats %+v", s)
	}
	for _, c := range []l2.Change{{Kind: l2.LimitReached, VNI: 5}, {Kind: l2.LimitCleared, Port: 2}, {Kind: 99}} {
		if c.String() == "" {
			t.Error("no text")
		}
	}
}

// TestRing compares the ring with a slice, and lets writers run against the
// reader: nothing is lost unseen, nothing comes twice, and each writer's
// sightings come in order.
func TestRing(t *testing.T) {
	r := l2.NewRing(5) // 8
	buf := make([]l2.Sighting, 3)
	rng := rand.New(rand.NewPCG(1, 2))
	var model []l2.Sighting
	next, lost := 0, uint64(0)
	for range 10_000 {
		if rng.IntN(2) == 0 {
			s := sight(next, l2.Local(1))
			next++
			if r.Push(s) {
				model = append(model, s)
			} else {
				lost++
			}
			if len(model) > 8 {
				t.Fatal("more than its capacity")
			}
			continue
		}
		n := r.Pop(buf)
		if !slices.Equal(buf[:n], model[:n]) || n < min(3, len(model)) {
			t.Fatalf("Pop = %v, want %v", buf[:n], model)
		}
		model = model[n:]
	}
	if r.Lost() != lost || lost == 0 {
		t.Errorf("Lost = %d, want %d", r.Lost(), lost)
	}

	r = l2.NewRing(64)
	const writers, each = 3, 5000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r.Push(l2.Sighting{VNI: table.VNI(w), MAC: mac(i)})
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	last := [writers]int{-1, -1, -1}
	got := 0
	for finished := false; ; {
		n := r.Pop(buf)
		for _, s := range buf[:n] {
			i := int(s.MAC - mac(0))
			if i <= last[s.VNI] {
				t.Fatalf("writer %d: %d after %d", s.VNI, i, last[s.VNI])
			}
			last[s.VNI] = i
			got++
		}
		if n > 0 {
			continue
		}
		if finished {
			break
		}
		select {
		case <-done:
			finished = true
		default:
		}
	}
	if got+int(r.Lost()) != writers*each {
		t.Errorf("%d came, %d lost, of %d", got, r.Lost(), writers*each)
	}
}

// TestBucket: over any time a bucket lets pass what its rate and burst allow,
// whatever the arrivals.
func TestBucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, rate := range []uint64{1, 7, 1000, 1_000_000, 148_809_523} {
		const burst = 64
		b := l2.NewBucket(rate, burst)
		now, passed := int64(5), uint64(0)
		const steps = 20_000
		step := 4 * int64(1e9) / int64(rate) // on average twice the rate
		for range steps {
			for range 4 {
				if b.Take(1, now) {
					passed++
				}
			}
			now += rng.Int64N(step) + 1
		}
		allowed := float64(now-5)/1e9*float64(rate) + float64(burst)
		if ratio := float64(passed) / allowed; ratio > 1.001 || ratio < 0.9 {
			t.Errorf("rate %d: %d passed, %.0f allowed", rate, passed, allowed)
		}
	}
	var none l2.Bucket
	if !none.Take(1e6, 0) || !none.Open(0) {
		t.Error("the zero Bucket limits")
	}
	if l2.NewStorm(l2.StormLimits{}) != nil || !(*l2.Storm)(nil).Take(l2.Broadcast, 1, 1, 0) {
		t.Error("no limits limit")
	}
	// A super-frame passes whole and is paid for afterwards.
	b := l2.NewBucket(10, 1)
	if !b.Take(40, 0) || b.Take(1, 3*second) || !b.Take(1, 4*second) {
		t.Error("a super-frame's excess is not paid for")
	}
	if b.Open(4 * second) {
		t.Error("Open although Take would refuse")
	}
}

package proxy_test

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2/proxy"
)

// kinds returns the kinds of changes.
func kinds(cs []proxy.Change) (out []proxy.ChangeKind) {
	for _, c := range cs {
		out = append(out, c.Kind)
	}
	return out
}

func (r *rig) wants(what string, want ...proxy.ChangeKind) {
	r.t.Helper()
	if got := r.take(); !slices.Equal(kinds(got), want) {
		r.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (r *rig) stats() proxy.Stats {
	s, _ := r.b.Stats(vni)
	return s
}

func TestLearn(t *testing.T) {
	r := newRig(t, nil)
	if !r.hear(r.garp(macA, ip4), 1) {
		t.Error("a new host is not told of")
	}
	if c := r.take(); len(c) != 1 || c[0] != (proxy.Change{Kind: proxy.Bound, VNI: vni, Addr: ip4, MAC: macA, AC: 1}) {
		t.Errorf("%+v", c)
	}
	if r.owner(ip4) != macA {
		t.Error("workers do not see it")
	}
	if r.hear(r.garp(macA, ip4), 1) {
		t.Error("what is known is told again")
	}
	// A router's flag is news.
	if r.hear(advert(t, macA, macA, "fd00:1::1", 0x60), 1); !r.hear(advert(t, macA, macA, "fd00:1::1", 0xe0), 1) {
		t.Error("another flag is not told")
	}
	if b := r.d.Lookup(ip6); b == nil || !b.Router {
		t.Errorf("%+v", b)
	}
	r.take()
	// Its MAC leaves the circuit: it is forgotten, with all its addresses.
	r.b.Lost(vni, macA)
	r.tick(0)
	r.wants("lost", proxy.Unbound, proxy.Unbound)
	if r.owner(ip4) != 0 || r.owner(ip6) != 0 {
		t.Error("workers see it still")
	}
}

// TestHint: who uses an address without an advertisement is asked, once.
func TestHint(t *testing.T) {
	r := newRig(t, nil)
	for range 3 {
		r.hear(solicit(t, macA, macA, "fd00:1::2", "fd00:1::9"), 1)
	}
	want := proxy.Probe{VNI: vni, Addr: netip.MustParseAddr("fd00:1::2"), MAC: macA}
	if len(r.asks) != 1 || r.asks[0] != want {
		t.Fatalf("asked %+v", r.asks)
	}
	r.wants("a hint alone")
	r.hear(advert(t, macA, macA, "fd00:1::2", 0x60), 1)
	r.wants("the answer", proxy.Bound)
	r.hear(solicit(t, macA, macA, "fd00:1::2", "fd00:1::9"), 1)
	if len(r.asks) != 1 {
		t.Errorf("asked again: %+v", r.asks)
	}
}

// TestMisplaced: a claim is believed only where the MAC is.
func TestMisplaced(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 2)
	r.hear(r.garp(0x02000000000f, ip4), 1)
	r.wants("from another circuit, and of an unknown MAC", proxy.Misplaced, proxy.Misplaced)
	r.b.Work(proxy.Event{Kind: proxy.Seen, VNI: vni, Addr: ip4, MAC: macA, AC: 9}, r.now)
	r.tick(0)
	r.wants("from a circuit that is gone")
	if r.owner(ip4) != 0 || r.stats().Misplaced != 2 {
		t.Errorf("owner %v, %+v", r.owner(ip4), r.stats())
	}
}

// TestDispute: a second MAC claims an address (RFC 9161 section 3.7): the owner is
// asked, and keeps the address if it answers.
func TestDispute(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.take()
	r.tick(second)
	r.hear(r.garp(macB, ip4), 2)
	if !slices.Equal(r.asks, []proxy.Probe{{VNI: vni, Addr: ip4, MAC: macA}}) {
		t.Fatalf("asked %+v", r.asks)
	}
	if r.owner(ip4) != macA {
		t.Error("the claim is taken at once")
	}
	r.now += second / 10
	r.hear(arp(t, selfMAC, macA, macA, 2, "10.1.0.1", "10.1.0.1"), 1)
	r.tick(second)
	if c := r.take(); len(c) != 1 || c[0].Kind != proxy.Disputed || c[0].MAC != macB || c[0].AC != 2 || c[0].Owner != macA {
		t.Errorf("%+v", c)
	}
	// It goes on, and nobody is asked or told for a while; it is counted.
	for range 5 {
		r.hear(r.garp(macB, ip4), 2)
		r.tick(second)
	}
	if r.wants("again"); len(r.asks) != 1 || r.stats().Disputed != 6 || r.owner(ip4) != macA {
		t.Errorf("asked %d times, %+v, owner %v", len(r.asks), r.stats(), r.owner(ip4))
	}
	r.tick(31 * second)
	r.hear(r.garp(macB, ip4), 2)
	if len(r.asks) != 2 {
		t.Error("much later the owner is not asked")
	}
}

// TestTakeover: the owner does not answer: the claim holds.
func TestTakeover(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.take()
	r.tick(second)
	r.hear(r.garp(macB, ip4), 2)
	for range 2 {
		r.tick(second)
		r.wants("while it is asked")
	}
	r.tick(second)
	if c := r.take(); len(c) != 2 || c[0].Kind != proxy.Unbound || c[0].MAC != macA || c[1].Kind != proxy.Bound || c[1].MAC != macB || c[1].AC != 2 {
		t.Errorf("%+v", c)
	}
	if len(r.asks) != 3 || r.owner(ip4) != macB {
		t.Errorf("asked %d times, owner %v", len(r.asks), r.owner(ip4))
	}
}

// TestAgeing: a silent host is asked before its MAC is forgotten, and stays if it
// answers.
func TestAgeing(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.hear(r.garp(macB, ip4b), 2)
	r.take()
	r.tick(100 * second)
	if len(r.asks) != 0 {
		t.Error("asked too early")
	}
	r.tick(100 * second)
	if len(r.asks) != 2 {
		t.Fatalf("asked %+v", r.asks)
	}
	r.hear(arp(t, selfMAC, macA, macA, 2, "10.1.0.1", "10.1.0.1"), 1)
	for range 4 {
		r.tick(second)
	}
	r.wants("one that does not answer", proxy.Unbound)
	if r.owner(ip4) != macA || r.owner(ip4b) != 0 || len(r.asks) != 4 || r.stats().Lost != 1 {
		t.Errorf("owners %v and %v, asked %d times, %+v", r.owner(ip4), r.owner(ip4b), len(r.asks), r.stats())
	}
	_, next := r.b.Tick(r.now)
	if left := next - r.now; left < 150*second || left > 200*second {
		t.Errorf("next in %d s", left/second)
	}
}

func TestRemote(t *testing.T) {
	r := newRig(t, nil)
	say := func(rem proxy.Remote) {
		rem.VNI, rem.Addr = vni, ip4
		r.b.Remote(rem)
		r.tick(0)
	}
	say(proxy.Remote{MAC: macC})
	if r.owner(ip4) != macC {
		t.Error("not taken")
	}
	// The host comes here: what is heard is newer.
	r.fdb[macC] = 1
	r.hear(r.garp(macC, ip4), 1)
	r.wants("moved here", proxy.Bound)
	if b := r.d.Lookup(ip4); b.AC != 1 {
		t.Errorf("%+v", b)
	}
	say(proxy.Remote{Remove: true})
	if r.owner(ip4) != macC {
		t.Error("the withdrawal took the local one")
	}
	// And goes again, with its MAC.
	say(proxy.Remote{MAC: macC})
	r.wants("moved away", proxy.Unbound)
	if len(r.asks) != 0 {
		t.Errorf("asked %+v", r.asks)
	}
	say(proxy.Remote{Remove: true})
	if r.owner(ip4) != 0 {
		t.Error("not withdrawn")
	}
	// Another MAC elsewhere claims what a local host has: the local one is asked, and
	// has it again when it answers.
	r.hear(r.garp(macA, ip4), 1)
	say(proxy.Remote{MAC: macC})
	r.wants("claimed elsewhere", proxy.Bound, proxy.Unbound)
	if !slices.Equal(r.asks, []proxy.Probe{{VNI: vni, Addr: ip4, MAC: macA}}) || r.owner(ip4) != macC {
		t.Errorf("asked %+v, owner %v", r.asks, r.owner(ip4))
	}
	r.hear(arp(t, selfMAC, macA, macA, 2, "10.1.0.1", "10.1.0.1"), 1)
	r.wants("it answers", proxy.Bound)
	if r.owner(ip4) != macA {
		t.Error("it has the address not")
	}
	// What may not move does not.
	say(proxy.Remote{MAC: macC, Immutable: true})
	r.hear(r.garp(macA, ip4), 1)
	r.wants("fixed elsewhere", proxy.Unbound, proxy.Fixed)
}

func TestStatic(t *testing.T) {
	r := newRig(t, func(c *proxy.Config) { c.Statics = map[netip.Addr]table.MAC{ip4: macC} })
	r.hear(r.garp(macA, ip4), 1)
	r.hear(r.garp(macC, ip4), 3)
	r.wants("against the configuration", proxy.Fixed)
	if r.owner(ip4) != macC {
		t.Error("not what is configured")
	}
	r.cfg.Statics = nil
	r.configure()
	if r.owner(ip4) != 0 {
		t.Error("still there")
	}
	r.hear(r.garp(macA, ip4), 1)
	r.cfg.Statics = map[netip.Addr]table.MAC{ip4: macC}
	r.configure()
	r.wants("configured now", proxy.Bound, proxy.Unbound)
}

func TestHold(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.b.Hold(vni, ip4, true)
	r.tick(0)
	if r.owner(ip4) != 0 {
		t.Error("workers are told of a duplicate")
	}
	for l := range r.b.All(vni) {
		if l.State != proxy.Duplicate || l.MAC != macA {
			t.Errorf("%+v", l)
		}
	}
	r.b.Hold(vni, ip4, false)
	r.tick(0)
	if r.owner(ip4) != macA {
		t.Error("not told of what is none any more")
	}
}

func TestLimits(t *testing.T) {
	host := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 1, 1, byte(i)}) }
	r := newRig(t, func(c *proxy.Config) { c.Limit, c.PortLimit = 5, 3 })
	for i := range 5 {
		r.hear(r.garp(macA, host(i)), 1)
	}
	r.wants("at one port", proxy.Bound, proxy.Bound, proxy.Bound, proxy.Full, proxy.Full)
	for i := range 5 {
		r.hear(r.garp(macB, host(10+i)), 2)
	}
	r.wants("in the bridge domain", proxy.Bound, proxy.Bound, proxy.Full, proxy.Full, proxy.Full)
	if local, known := r.b.Local(vni); local != 5 || known != 5 || r.stats().Full != 5 {
		t.Errorf("%d local, %d known, %+v", local, known, r.stats())
	}
	r.b.Lost(vni, macA)
	r.take()
	r.hear(r.garp(macC, host(20)), 3) // of port 2, which has 2
	r.hear(r.garp(macC, host(21)), 3)
	r.wants("two circuits of a port", proxy.Unbound, proxy.Unbound, proxy.Unbound, proxy.Bound, proxy.Full)
}

// TestTellRate: hosts can't make control work without end.
func TestTellRate(t *testing.T) {
	r := newRig(t, nil)
	told := 0
	for i := range 5000 {
		a := netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})
		w, _ := proxy.Read(r.garp(macA, a))
		if _, ok := r.d.Snoop(&w, 1, r.now); ok {
			told++
		}
	}
	if told < 100 || told > 300 || r.d.Count.Limited.Load() != uint64(5000-told) {
		t.Errorf("%d told, %d limited", told, r.d.Count.Limited.Load())
	}
}

func TestCircuits(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.fdb[macA] = 3
	r.b.Moved(vni, macA, 3)
	r.tick(0)
	if b := r.d.Lookup(ip4); b == nil || b.AC != 3 || b.MAC != macA {
		t.Fatalf("%+v", b)
	}
	r.take()
	delete(r.cfg.Circuits, 3)
	r.configure()
	r.wants("its circuit is gone", proxy.Unbound)
	r.hear(r.garp(macB, ip4b), 2)
	r.take()
	r.b.RemoveDomain(vni)
	if c := r.b.TakeChanges(); !slices.Equal(kinds(c), []proxy.ChangeKind{proxy.Unbound}) || len(r.b.Domains()) != 0 {
		t.Errorf("%+v", c)
	}
}

// TestModel: whatever happens, in whatever order, limits hold, and workers see what
// is listed.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, func(c *proxy.Config) { c.Limit, c.PortLimit = 6, 4 })
	macs := []table.MAC{macA, macB, macC}
	local := map[netip.Addr]table.MAC{} // by the changes
	held := map[netip.Addr]bool{}
	for step := range 20000 {
		a := netip.AddrFrom4([4]byte{10, 1, 0, byte(1 + rng.IntN(8))})
		m := macs[rng.IntN(len(macs))]
		switch rng.IntN(8) {
		case 0, 1, 2:
			r.hear(r.garp(m, a), r.fdb[m])
		case 3:
			r.b.Remote(proxy.Remote{VNI: vni, Addr: a, MAC: macs[rng.IntN(3)], Remove: rng.IntN(2) == 0})
		case 4:
			r.b.Lost(vni, m)
		case 5:
			r.fdb[m] = table.ACID(1 + rng.IntN(3))
			r.b.Moved(vni, m, r.fdb[m])
		case 6:
			held[a] = !held[a]
			r.b.Hold(vni, a, held[a])
		default:
			r.now += rng.Int64N(200 * second)
		}
		r.tick(0)
		for _, c := range r.take() {
			switch c.Kind {
			case proxy.Bound:
				local[c.Addr] = c.MAC
			case proxy.Unbound:
				delete(local, c.Addr)
			}
		}
		ports, listed := map[table.PortID]int{}, map[netip.Addr]table.MAC{}
		for l := range r.b.All(vni) {
			if l.AC != 0 {
				listed[l.Addr] = l.MAC
				ports[r.cfg.Circuits[l.AC]]++
			}
			if want := l.MAC; l.State != proxy.Duplicate && r.owner(l.Addr) != want || l.State == proxy.Duplicate && r.owner(l.Addr) != 0 {
				t.Fatalf("seed %d, step %d: workers see %v of %+v", seed, step, r.owner(l.Addr), l)
			}
		}
		if !maps.Equal(listed, local) {
			t.Fatalf("seed %d, step %d: %v are listed, %v were told", seed, step, listed, local)
		}
		// A move between ports takes what the MAC has along, over the limit of the port.
		if len(listed) > 6 {
			t.Fatalf("seed %d, step %d: %v, ports %v", seed, step, listed, ports)
		}
	}
}

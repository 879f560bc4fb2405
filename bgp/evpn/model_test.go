package evpn_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// TestModel wires three speakers to each other and lets hosts move, age and
// speak while routes are under way, sessions break and end of RIB comes, in
// random order. Whatever the order: when all is delivered and each host has
// spoken once more, all speakers agree on where it is, and that is where it is.
func TestModel(t *testing.T) {
	for range 40 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) { model(t, seed) })
	}
}

const modelHosts = 6

func model(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	f := mesh(t, 3, func(i int, c *evpn.Config) {
		c.Duplicates.Moves = 1 << 30
		c.DFWait = sec
		if i < 3 {
			c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100}}}
		}
	})
	for _, i := range []int{1, 2} {
		f.leaf(i).SegmentUp(0, es1)
	}
	where := map[int]int{} // host: leaf; 0 is off
	ip := func(h int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(h + 1)}) }
	speak := func(h int) {
		if where[h] == 0 {
			return
		}
		f.leaf(where[h]).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(h), IP: ip(h), Port: uint32(where[h])})
	}
	up := map[[2]int]bool{}
	for _, a := range f.nodes {
		for _, b := range f.nodes {
			up[[2]int{a.i, b.i}] = a != b
		}
	}
	resync := func(from, to int) { // the session is back: all that is announced, anew
		n := f.leaf(from)
		f.flush(n)
		k := [2]int{from, to}
		f.queue[k] = nil
		f.leaf(to).PeerUp(peerOf(from))
		n.Announced(func(r evpn.Route) bool {
			f.queue[k] = append(f.queue[k], evpn.Update{Peer: evpn.PeerID(from), Route: r})
			return true
		})
		up[k] = true
	}
	for range 400 {
		f.now += ms
		h, n := rng.IntN(modelHosts), f.nodes[rng.IntN(3)]
		a, b := 1+rng.IntN(3), 1+rng.IntN(3)
		k := [2]int{a, b}
		switch rng.IntN(12) {
		case 0: // moves and speaks
			where[h] = n.i
			speak(h)
		case 1: // speaks where it is
			speak(h)
		case 2: // ages out where the data plane has it, whether or not it moved on
			n.forget(f.now, vni100, host(h))
		case 3: // goes off
			where[h] = 0
		case 4, 5:
			f.flush(n)
		case 6: // the session breaks; now and then gracefully
			if up[k] {
				up[k] = false
				f.queue[k] = nil
				f.leaf(b).PeerDown(f.now, evpn.PeerID(a), rng.IntN(2) == 0)
			}
		case 7:
			if a != b && !up[k] {
				resync(a, b)
			}
		case 8:
			n.Tick(f.now)
		default:
			if up[k] {
				f.deliver(a, b, 1+rng.IntN(5))
			}
			if !up[k] {
				f.queue[k] = nil // nobody listens
			}
		}
	}
	for k, ok := range up {
		if k[0] == k[1] {
			continue
		}
		if !ok {
			resync(k[0], k[1])
		}
	}
	f.settle()
	for _, a := range f.nodes {
		for _, b := range f.nodes {
			if a != b {
				b.EndOfRIB(f.now, evpn.PeerID(a.i))
			}
		}
	}
	f.settle()
	for h := range modelHosts { // each speaks; where it is not, it ages out
		speak(h)
		f.settle()
		for _, n := range f.nodes {
			if n.i != where[h] && n.local[macKey{vni100, host(h)}] {
				n.forget(f.now, vni100, host(h))
			}
		}
		f.settle()
		f.at(vni100, host(h), where[h])
		for _, n := range f.nodes {
			nb, remote := n.neighbours[ipKey{vni100, ip(h)}]
			_, routed := n.prefixes[prefixKey{red, netip.PrefixFrom(ip(h), 32)}]
			if want := where[h] != 0 && where[h] != n.i; remote != want || routed != want || remote && nb.MAC != host(h) {
				t.Errorf("%s: host %d at %d: neighbour %v, host route %v", n.name, h, where[h], remote, routed)
			}
		}
	}
	f.after(5 * sec)
	if d := f.dfs(vni100); len(d) != 1 {
		t.Errorf("DFs %v", d)
	}
	for _, n := range f.nodes {
		if got := n.floods[vni100]; len(got) != 2 {
			t.Errorf("%s: flood list %v", n.name, got)
		}
		for _, m := range f.nodes {
			if m != n {
				m.holdsAllOf(n)
			}
		}
	}
}

// holdsAllOf checks that n has exactly the routes that o announces.
func (n *node) holdsAllOf(o *node) {
	n.t.Helper()
	have := map[evpn.Key]bool{}
	n.Known(evpn.PeerID(o.i), func(k evpn.Known) bool {
		have[k.Route.Key] = true
		a := o.announced[k.Route.Key]
		if k.Stale || k.Route.Attrs.Mobility != a.Mobility || k.Route.Attrs.ESI != a.ESI || k.Route.Attrs.NextHop != a.NextHop {
			n.t.Errorf("%s: %s of %s: %+v, announced %+v", n.name, k.Route.Key, o.name, k, a)
		}
		return true
	})
	if len(have) != len(o.announced) {
		n.t.Errorf("%s: %d routes of %s, which announces %d", n.name, len(have), o.name, len(o.announced))
	}
}

// TestModelDuplicates: the same with few moves to a duplicate: hosts that share
// a MAC, at random leaves, do not keep the fabric busy: in the window each leaf
// announces the MAC a bounded number of times, and afterwards all others agree.
func TestModelDuplicates(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		f := mesh(t, 3, nil)
		announced := 0
		for range 300 {
			f.now += 100 * ms
			f.nodes[rng.IntN(3)].learn(f.now, vni100, host(1))
			for _, n := range f.nodes {
				f.flush(n)
				for _, r := range n.last.Routes {
					if !r.Withdraw && r.Route.Key.MAC == host(1) {
						announced++
					}
				}
			}
			for k := range maps.Keys(f.queue) {
				f.deliver(k[0], k[1], rng.IntN(3))
			}
		}
		f.settle()
		// N moves at most at each leaf, and one announcement for each.
		if announced > 3*evpn.DefaultMoves {
			t.Errorf("seed %d: announced %d times in 30 s", seed, announced)
		}
		places := map[netip.Addr]bool{}
		for _, n := range f.nodes {
			v, _ := n.MAC(vni100, host(1))
			switch m, remote := n.macs[macKey{vni100, host(1)}]; {
			case v.Local && remote:
				t.Errorf("seed %d: %s: local and at %v", seed, n.name, m.Target)
			case remote:
				places[m.Target.VTEP] = true
			}
		}
		if len(places) > 2 {
			t.Errorf("seed %d: seen at %v", seed, places)
		}
	}
}

// FuzzSpeaker feeds two speakers the same inputs, made of bytes, and wants the
// same outputs, no panic, tables that Changes keeps its promises about (flush
// checks), and nothing left when all peers and hosts are gone.
func FuzzSpeaker(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23})
	rng := rand.New(rand.NewPCG(7, 7))
	for range 8 {
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := busyConfig(t)
		c.Duplicates = evpn.Duplicates{Moves: 3, Window: 50, Release: 30, Hold: 40}
		c.DFWait = 10
		c.Grants = map[netip.Addr]evpn.Grant{
			vtep(2): granted(vni100, vni200, l3vni),
			vtep(3): {VNIs: map[table.VNI]bool{vni100: true, l3vni: true},
				MACs: map[table.VNI]map[table.MAC]bool{vni100: {host(1): true, host(2): true}}},
		}
		a, b := newNode(t, 1, c), newNode(t, 1, c)
		for len(data) >= 6 {
			op := data[:6]
			data = data[6:]
			step(a, op, c)
			step(b, op, c)
			if op[0]%4 != 0 {
				continue
			}
			x, y := a.flush(a.time), b.flush(b.time)
			if !reflect.DeepEqual(x, y) {
				t.Fatalf("the same inputs gave\n%+v\nand\n%+v", x, y)
			}
		}
		drain(a, c)
	})
}

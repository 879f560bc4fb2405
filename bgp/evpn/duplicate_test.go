package evpn_test

import (
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
)

// duel lets two hosts with one MAC send in turns, at leaves a (which has it
// first) and b, until a leaf refuses; it returns the moves made.
func (f *fabric) duel(a, b int, gap int64) (moves int, loser int) {
	f.leaf(a).learn(f.now, vni100, host(1))
	f.settle()
	for moves = 1; moves < 100; moves++ {
		f.after(gap)
		at := b
		if moves%2 == 0 {
			at = a
		}
		if v := f.leaf(at).learn(f.now, vni100, host(1)); v != evpn.Accepted {
			f.settle()
			return moves, at
		}
		f.settle()
	}
	return moves, 0
}

// TestDuplicate: RFC 7432 section 15.1: N = 5 moves within M = 180 s are a
// duplicate; the newcomer is kept out, the operator is told, and the rest of the
// fabric stays with the one that has it.
func TestDuplicate(t *testing.T) {
	f := mesh(t, 3, nil)
	moves, loser := f.duel(1, 2, sec)
	if moves != 5 || loser != 2 {
		t.Fatalf("%d moves, refused at leaf%d; want 5, leaf2", moves, loser)
	}
	f.at(vni100, host(1), 1)
	two := f.leaf(2)
	if two.count(evpn.EventDuplicate) != 1 || f.leaf(1).count(evpn.EventDuplicate) != 0 {
		t.Errorf("events %v", two.events)
	}
	d := two.Duplicates()
	if len(d) != 1 || d[0].Keeper != vtep(1) || d[0].Newcomer.IsValid() || d[0].Until != 0 {
		t.Errorf("duplicates %+v", d)
	}
	if m := two.macs[macKey{vni100, host(1)}]; !m.Frozen {
		t.Errorf("entry %+v, want frozen", m)
	}
	// Frames go on; nothing is announced any more.
	for range 10 {
		f.after(sec)
		if v := two.learn(f.now, vni100, host(1)); v != evpn.Quarantined {
			t.Fatalf("Learn in quarantine = %v", v)
		}
		if c := two.flush(f.now); len(c.Routes) > 0 {
			t.Fatalf("announces %v", c.Routes)
		}
	}
	f.at(vni100, host(1), 1)
	// Nor is the claim of a third processed where the MAC is in quarantine, whatever
	// its number (RFC 7432: "stop sending and processing").
	r := remoteOf(two, 9)
	r.announceMAC(f.now, vni100, host(1), "", seq(1000))
	if c := two.flush(f.now); len(c.MACs) > 0 {
		t.Errorf("a third took it: %+v", c.MACs)
	}
}

// TestDuplicateWindow: moves that are further apart than M are no duplicate.
func TestDuplicateWindow(t *testing.T) {
	f := mesh(t, 2, nil)
	if moves, loser := f.duel(1, 2, 50*sec); loser != 0 {
		t.Errorf("refused at leaf%d after %d moves in %d s", loser, moves, 50*moves)
	}
}

// TestDuplicateParameters: "The values of M and N MUST be configurable".
func TestDuplicateParameters(t *testing.T) {
	f := mesh(t, 2, func(_ int, c *evpn.Config) {
		c.Duplicates = evpn.Duplicates{Moves: 8, Window: 1000 * sec}
	})
	if moves, loser := f.duel(1, 2, 50*sec); moves != 8 || loser != 1 {
		t.Errorf("%d moves, refused at leaf%d; want 8, leaf1", moves, loser)
	}
	f.at(vni100, host(1), 2)
}

// TestDuplicateReleaseByCommand: "until a corrective action is taken by the
// operator".
func TestDuplicateReleaseByCommand(t *testing.T) {
	f := mesh(t, 2, nil)
	f.duel(1, 2, sec)
	two := f.leaf(2)
	if two.Release(f.now, vni100, host(9)) || two.Release(f.now, 999, host(1)) {
		t.Error("released what was in no quarantine")
	}
	if !two.Release(f.now, vni100, host(1)) || two.Release(f.now, vni100, host(1)) {
		t.Error("Release: want true once")
	}
	f.settle()
	if len(two.Duplicates()) != 0 || two.count(evpn.EventReleased) != 1 {
		t.Errorf("duplicates %v, events %v", two.Duplicates(), two.events)
	}
	if m := two.macs[macKey{vni100, host(1)}]; m.Frozen || m.Target.VTEP != vtep(1) {
		t.Errorf("entry %+v", m)
	}
	// The host of leaf 1 is gone; the one of leaf 2 may have its MAC, once leaf 1
	// has forgotten the moves that it counted itself.
	f.after(evpn.DefaultWindow + sec)
	if v := two.learn(f.now, vni100, host(1)); v != evpn.Accepted {
		t.Fatalf("Learn after release = %v", v)
	}
	f.settle()
	f.at(vni100, host(1), 2)
}

// TestDuplicateReleaseByTime: the timer does the same.
func TestDuplicateReleaseByTime(t *testing.T) {
	f := mesh(t, 2, func(_ int, c *evpn.Config) { c.Duplicates.Release = 300 * sec })
	f.duel(1, 2, sec)
	two := f.leaf(2)
	d := two.Duplicates()
	if len(d) != 1 || d[0].Until != d[0].Since+300*sec {
		t.Fatalf("duplicates %+v", d)
	}
	if at, ok := two.Next(); !ok || at > d[0].Until {
		t.Errorf("Next = %d, %v; want %d at the latest", at, ok, d[0].Until)
	}
	f.after(299 * sec)
	if len(two.Duplicates()) != 1 {
		t.Error("released too early")
	}
	f.after(2 * sec)
	if len(two.Duplicates()) != 0 {
		t.Error("not released")
	}
	if v := two.learn(f.now, vni100, host(1)); v != evpn.Accepted {
		t.Errorf("Learn after release = %v", v)
	}
	f.settle()
	f.at(vni100, host(1), 2)
}

// TestDuplicateRemoteNewcomer: the move that is one too many may be a claim of
// another node, one that counts otherwise. Then this node keeps the MAC and does
// not process the other's routes.
func TestDuplicateRemoteNewcomer(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remoteOf(n, 2)
	n.learn(0, vni100, host(1))
	var next uint32
	for move := 1; move < 5; move++ {
		if move%2 == 1 {
			next++
			r.announceMAC(sec, vni100, host(1), "", seq(next))
		} else {
			n.learn(sec, vni100, host(1))
			next++
		}
		n.flush(sec)
	}
	r.announceMAC(sec, vni100, host(1), "", seq(next+1))
	n.flush(sec)
	v, _ := n.MAC(vni100, host(1))
	if !v.Local || v.Duplicate == nil || v.Duplicate.Keeper.IsValid() || v.Duplicate.Newcomer != vtep(2) {
		t.Fatalf("view %+v", v)
	}
	r.announceMAC(2*sec, vni100, host(1), "", seq(next+100))
	if c := n.flush(2 * sec); len(c.MACs)+len(c.Routes)+len(c.Evictions) > 0 {
		t.Errorf("changes in quarantine: %+v", c)
	}
	// Released, the claims are weighed again: the other's number is higher.
	n.Release(3*sec, vni100, host(1))
	n.flush(3 * sec)
	if m := n.macs[macKey{vni100, host(1)}]; m.Target.VTEP != vtep(2) {
		t.Errorf("after release: %+v", m)
	}
}

// TestDuplicateKeeperLeaves: the keeper's own withdrawal is processed: nothing is
// sent to a node that has the MAC no more.
func TestDuplicateKeeperLeaves(t *testing.T) {
	f := mesh(t, 2, nil)
	f.duel(1, 2, sec)
	f.leaf(1).forget(f.now, vni100, host(1))
	f.settle()
	if m, ok := f.leaf(2).macs[macKey{vni100, host(1)}]; ok {
		t.Errorf("still at %v", m.Target)
	}
	if v := f.leaf(2).learn(f.now, vni100, host(1)); v != evpn.Quarantined {
		t.Errorf("Learn = %v; the quarantine ends by command or time", v)
	}
}

// TestDuplicateAddress: RFC 9161 section 3.7: an address that changes its MAC
// N = 5 times in M = 180 s is told to nobody, until the operator or a timer of
// 540 s ends that, or a binding that is immutable.
func TestDuplicateAddress(t *testing.T) {
	ip := addr("192.0.2.9")
	key := ipKey{vni100, ip}
	for _, tt := range []struct {
		name string
		gap  int64
		end  func(n *node, r remote) (now int64)
		back bool // it is told again
	}{
		{"slow changes are none", 50 * sec, nil, true},
		{"quarantine", sec, func(*node, remote) int64 { return 100 * sec }, false},
		{"by command", sec, func(n *node, _ remote) int64 {
			if !n.ReleaseAddress(100*sec, vni100, ip) || n.ReleaseAddress(100*sec, vni100, ip) {
				t.Error("ReleaseAddress: want true once")
			}
			return 100 * sec
		}, true},
		{"by time", sec, func(n *node, _ remote) int64 {
			at, ok := n.Next()
			if !ok || at > 600*sec {
				t.Errorf("Next = %d, %v", at, ok)
			}
			n.Tick(at - 1)
			if c := n.flush(at - 1); len(c.Neighbours) > 0 {
				t.Errorf("too early: %+v", c.Neighbours)
			}
			n.Tick(at)
			return at
		}, true},
		{"by an immutable binding", sec, func(n *node, r remote) int64 {
			k, a := r.mac(vni100, host(9), ip.String(), evpn.Mobility{})
			a.Neighbour = evpn.Neighbour{Present: true, Bits: evpn.NeighbourImmutable}
			r.announce(100*sec, k, a)
			return 100 * sec
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			two, three := remoteOf(n, 2), remoteOf(n, 3)
			var now int64
			for i := range 6 { // five changes
				r, mac := two, host(1)
				if i%2 == 1 {
					r, mac = three, host(2)
				}
				now += tt.gap
				k, a := r.mac(vni100, mac, ip.String(), evpn.Mobility{})
				a.Preference.MED = uint32(i) // new, so that it is the latest
				r.announce(now, k, a)
				n.flush(now)
			}
			if tt.end != nil {
				if d := n.DuplicateAddresses(); len(d) != 1 || d[0].IP != ip || n.count(evpn.EventDuplicateIP) != 1 {
					t.Fatalf("duplicates %v, events %v", d, n.events)
				}
				if nb, ok := n.neighbours[key]; ok {
					t.Fatalf("still told: %+v", nb)
				}
				now = tt.end(n, two)
				n.flush(now)
			}
			if nb, ok := n.neighbours[key]; ok != tt.back {
				t.Errorf("told %v (%+v), want %v", ok, nb, tt.back)
			}
			if left := len(n.DuplicateAddresses()) > 0; left == tt.back {
				t.Errorf("in quarantine: %v", left)
			}
		})
	}
	if n := newNode(t, 1, leafConfig(t, 1)); n.ReleaseAddress(0, vni100, ip) || n.ReleaseAddress(0, 999, ip) {
		t.Error("released what was in no quarantine")
	}
}

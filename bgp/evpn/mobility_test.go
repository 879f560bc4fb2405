package evpn_test

import (
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
)

func seq(n uint32) evpn.Mobility { return evpn.Mobility{Present: true, Seq: n} }

var sticky = evpn.Mobility{Present: true, Sticky: true}

// TestMobilitySequence: RFC 7432 section 15, the numbers that a node gives. "for
// the first time advertises it with no MAC Mobility extended community"; then
// "one greater than the sequence number in the received route", which counts as
// 0 without one.
func TestMobilitySequence(t *testing.T) {
	esi := evpn.ESIFromMAC(host(900), 1)
	for _, tt := range []struct {
		name     string
		received []evpn.Mobility // of leaves 2, 3 ... ; nil: nobody has it
		sameESI  bool            // received and learnt behind one segment
		want     evpn.Mobility
	}{
		{"first time: no community", nil, false, evpn.Mobility{}},
		{"received without community: 1", []evpn.Mobility{{}}, false, seq(1)},
		{"received with a number: one more", []evpn.Mobility{seq(41)}, false, seq(42)},
		{"received of several: one more than the highest", []evpn.Mobility{seq(3), seq(8), {}}, false, seq(9)},
		{"wraps", []evpn.Mobility{seq(1<<32 - 1)}, false, seq(0)},
		{"same segment, none received: none", []evpn.Mobility{{}}, true, evpn.Mobility{}},
		{"same segment: the highest received", []evpn.Mobility{seq(4), seq(6)}, true, seq(6)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			for i, m := range tt.received {
				r := remoteOf(n, i+2)
				k, a := r.mac(vni100, host(1), "", m)
				if tt.sameESI {
					a.ESI = esi
				}
				r.announce(0, k, a)
			}
			m := evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7}
			if tt.sameESI {
				m.ESI = esi
			}
			if v := n.learnMAC(1, m); v != evpn.Accepted {
				t.Fatalf("Learn = %v", v)
			}
			n.flush(1)
			if got, ok := n.mobilityOf(vni100, host(1)); !ok || got != tt.want {
				t.Errorf("announced %+v (%v), want %+v", got, ok, tt.want)
			}
		})
	}
}

// TestMobilityReceived: RFC 7432 section 15, what a node does when another
// claims a MAC that it has.
func TestMobilityReceived(t *testing.T) {
	for _, tt := range []struct {
		name  string
		own   uint32 // this node's number, got by moves
		from  int    // leaf that claims it; this node is leaf 2
		claim evpn.Mobility
		keeps bool
	}{
		{"a higher number takes it", 0, 3, seq(1), false},
		{"a higher number takes it from a mover", 5, 3, seq(6), false},
		{"a lower number does not", 5, 3, seq(4), true},
		{"no number is 0", 1, 3, evpn.Mobility{}, true},
		{"the same number, and the other's address is lower", 0, 1, evpn.Mobility{}, false},
		{"the same number, and the own address is lower", 0, 3, evpn.Mobility{}, true},
		{"a number past the wrap is higher", 1<<32 - 1, 3, seq(0), false},
		{"a number before the wrap is lower", 0, 3, seq(1<<32 - 1), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 2, leafConfig(t, 2))
			if tt.own > 0 {
				r := remoteOf(n, 9)
				k, a := r.mac(vni100, host(1), "", seq(tt.own-1))
				r.announce(0, k, a)
				n.learn(0, vni100, host(1))
				r.withdraw(0, k)
			} else {
				n.learn(0, vni100, host(1))
			}
			n.flush(0)
			if m, _ := n.mobilityOf(vni100, host(1)); m.Seq != tt.own {
				t.Fatalf("own number %d, want %d", m.Seq, tt.own)
			}
			remoteOf(n, tt.from).announceMAC(1, vni100, host(1), "", tt.claim)
			n.flush(1)
			_, announced := n.mobilityOf(vni100, host(1))
			_, taken := n.macs[macKey{vni100, host(1)}]
			if announced != tt.keeps || taken == tt.keeps {
				t.Errorf("announced %v, remote %v, want to keep it: %v", announced, taken, tt.keeps)
			}
			if evicted := len(n.evictions) > 0; evicted == tt.keeps {
				t.Errorf("evictions %v, want to keep it: %v", n.evictions, tt.keeps)
			}
		})
	}
}

// TestMobilityChoice: RFC 7432 section 15, "a PE that receives these routes
// selects the route advertised by the PE with the lowest IP address", after the
// number and stickiness.
func TestMobilityChoice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		claims map[int]evpn.Mobility
		want   int
	}{
		{"the highest number", map[int]evpn.Mobility{2: seq(1), 3: seq(3), 4: seq(2)}, 3},
		{"the lowest address among equals", map[int]evpn.Mobility{2: seq(1), 3: seq(3), 4: seq(3)}, 3},
		{"no community is number 0", map[int]evpn.Mobility{2: {}, 3: seq(1)}, 3},
		{"sticky beats any number (15.2)", map[int]evpn.Mobility{2: seq(9), 3: sticky}, 3},
		{"two sticky: the lowest address", map[int]evpn.Mobility{4: sticky, 3: sticky}, 3},
		{"over the wrap", map[int]evpn.Mobility{2: seq(1<<32 - 2), 3: seq(1)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			for _, i := range []int{4, 2, 3} {
				if m, ok := tt.claims[i]; ok {
					remoteOf(n, i).announceMAC(0, vni100, host(1), "", m)
				}
			}
			n.flush(0)
			if got := n.macs[macKey{vni100, host(1)}].Target.VTEP; got != vtep(tt.want) {
				t.Errorf("at %v, want %v", got, vtep(tt.want))
			}
		})
	}
}

// TestMobilityBothDirections moves a host round three leaves, by frames only.
func TestMobilityBothDirections(t *testing.T) {
	f := mesh(t, 3, nil)
	for step, where := range []int{1, 2, 1, 3} {
		if v := f.leaf(where).learn(f.now, vni100, host(1)); v != evpn.Accepted {
			t.Fatalf("step %d: %v", step, v)
		}
		f.settle()
		f.at(vni100, host(1), where)
		if m, _ := f.leaf(where).mobilityOf(vni100, host(1)); m.Seq != uint32(step) || m.Present != (step > 0) {
			t.Errorf("step %d: announced with %+v", step, m)
		}
	}
	f.leaf(3).forget(f.now, vni100, host(1))
	f.settle()
	f.at(vni100, host(1), 0)
}

// TestMobilityTie: two leaves learn one MAC before they hear of each other. "If
// its own route is not the best one, it will withdraw the route."
func TestMobilityTie(t *testing.T) {
	f := mesh(t, 3, nil)
	f.leaf(3).learn(f.now, vni100, host(1))
	f.leaf(2).learn(f.now, vni100, host(1))
	f.settle()
	f.at(vni100, host(1), 2)
	if len(f.leaf(3).evictions) != 1 {
		t.Errorf("leaf3 evicted %v", f.leaf(3).evictions)
	}
}

// TestMobilitySameSegment: routes of the own segment are no rivals, and their
// higher number is taken over, so that all nodes of it announce one number.
func TestMobilitySameSegment(t *testing.T) {
	esi := evpn.ESIFromMAC(host(900), 1)
	n := newNode(t, 2, leafConfig(t, 2))
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: esi})
	r := remoteOf(n, 1)
	k, a := r.mac(vni100, host(1), "", seq(5))
	a.ESI = esi
	r.announce(1, k, a)
	n.flush(1)
	if m, ok := n.mobilityOf(vni100, host(1)); !ok || m != seq(5) {
		t.Errorf("announced %+v (%v), want number 5", m, ok)
	}
	if len(n.evictions) > 0 || n.count(evpn.EventMoved) > 0 {
		t.Errorf("evictions %v, events %v", n.evictions, n.events)
	}
}

// TestMobilityBetweenLocalSegments: a move between segments of this node gets a
// greater number, or other nodes of the old segment would go on claiming it.
func TestMobilityBetweenLocalSegments(t *testing.T) {
	one, two := evpn.ESIFromMAC(host(900), 1), evpn.ESIFromMAC(host(900), 2)
	n := newNode(t, 1, leafConfig(t, 1))
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, ESI: one})
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 8, ESI: two})
	n.flush(0)
	if m, _ := n.mobilityOf(vni100, host(1)); m != seq(1) {
		t.Errorf("announced %+v, want number 1", m)
	}
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 9, ESI: two})
	if c := n.flush(0); len(c.Routes) > 0 {
		t.Errorf("a move between ports of one segment announces %v", c.Routes)
	}
}

// TestSticky: RFC 7432 section 15.2.
func TestSticky(t *testing.T) {
	t.Run("announced with the flag and number 0", func(t *testing.T) {
		n := newNode(t, 1, leafConfig(t, 1))
		n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, Sticky: true})
		n.flush(0)
		if m, _ := n.mobilityOf(vni100, host(1)); m != sticky {
			t.Errorf("announced %+v", m)
		}
	})
	t.Run("learnt here although sticky elsewhere: alert, not taken", func(t *testing.T) {
		n := newNode(t, 1, leafConfig(t, 1))
		remoteOf(n, 2).announceMAC(0, vni100, host(1), "", sticky)
		if v := n.learn(1, vni100, host(1)); v != evpn.Fixed {
			t.Errorf("Learn = %v, want fixed", v)
		}
		n.flush(1)
		if _, ok := n.mobilityOf(vni100, host(1)); ok || n.count(evpn.EventStickyConflict) != 1 {
			t.Errorf("announced %v, events %v", ok, n.events)
		}
		if m := n.macs[macKey{vni100, host(1)}]; !m.Sticky || m.Target.VTEP != vtep(2) {
			t.Errorf("entry %+v", m)
		}
	})
	t.Run("sticky here and claimed elsewhere with any number: kept, alert", func(t *testing.T) {
		n := newNode(t, 2, leafConfig(t, 2))
		n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, Sticky: true})
		remoteOf(n, 1).announceMAC(1, vni100, host(1), "", seq(77))
		n.flush(1)
		if _, ok := n.mobilityOf(vni100, host(1)); !ok || n.count(evpn.EventStickyConflict) != 1 || len(n.evictions) > 0 {
			t.Errorf("announced %v, events %v, evictions %v", ok, n.events, n.evictions)
		}
	})
	t.Run("learnt here first, then sticky elsewhere: given up, alert", func(t *testing.T) {
		n := newNode(t, 1, leafConfig(t, 1))
		n.learn(0, vni100, host(1))
		remoteOf(n, 2).announceMAC(1, vni100, host(1), "", sticky)
		n.flush(1)
		if len(n.evictions) != 1 || n.evictions[0].Reason != evpn.EvictFixed || n.count(evpn.EventStickyConflict) != 1 {
			t.Errorf("evictions %v, events %v", n.evictions, n.events)
		}
	})
	t.Run("seen at another port of this node: alert, stays", func(t *testing.T) {
		n := newNode(t, 1, leafConfig(t, 1))
		n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 7, Sticky: true})
		if v := n.learnMAC(1, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 8}); v != evpn.Fixed {
			t.Errorf("Learn = %v, want fixed", v)
		}
		if v, _ := n.MAC(vni100, host(1)); v.Port != 7 {
			t.Errorf("port %d, want 7", v.Port)
		}
	})
}

// TestGatewayMAC: RFC 7432 section 10.1 and RFC 9135 section 4.1. An anycast
// gateway has one MAC at all leaves, which is no move; a host that uses it is
// refused.
func TestGatewayMAC(t *testing.T) {
	f := mesh(t, 2, nil)
	gw := evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr("192.0.2.1"), Gateway: true, Port: 1}
	for _, n := range f.nodes {
		n.learnMAC(f.now, gw)
	}
	f.settle()
	for _, n := range f.nodes {
		if v, _ := n.MAC(vni100, host(1)); !v.Local || len(n.macs) > 0 || len(n.evictions) > 0 {
			t.Errorf("%s: local %v, macs %v, evictions %v", n.name, v.Local, n.macs, n.evictions)
		}
	}
	if v := f.leaf(1).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(1), Port: 9}); v != evpn.Fixed {
		t.Errorf("a host with the gateway's MAC: %v, want fixed", v)
	}
	// Another gateway MAC of another leaf is an alias: frames to it are routed.
	f.leaf(2).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(2), Gateway: true, Port: 1})
	f.settle()
	if m := f.leaf(1).macs[macKey{vni100, host(2)}]; !m.Gateway {
		t.Errorf("alias %+v, want a gateway", m)
	}
	if v := f.leaf(1).learnMAC(f.now, evpn.LocalMAC{VNI: vni100, MAC: host(2), Port: 9}); v != evpn.Fixed {
		t.Errorf("a host with the alias: %v, want fixed", v)
	}
}

func TestLearnInvalid(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	for _, tt := range []struct {
		name string
		m    evpn.LocalMAC
	}{
		{"no such VNI", evpn.LocalMAC{VNI: 999, MAC: host(1)}},
		{"MAC zero", evpn.LocalMAC{VNI: vni100}},
		{"MAC multicast", evpn.LocalMAC{VNI: vni100, MAC: 0x01_00_5e_000001}},
		{"IP unspecified", evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr("0.0.0.0")}},
		{"IP multicast", evpn.LocalMAC{VNI: vni100, MAC: host(1), IP: addr("ff02::1")}},
	} {
		if v := n.Learn(0, tt.m); v != evpn.Invalid {
			t.Errorf("%s: %v, want invalid", tt.name, v)
		}
	}
	n.flush(0)
	if len(n.announced) != 2 { // the multicast routes
		t.Errorf("announced %v", n.announced)
	}
}

package evpn_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
)

// TestGracefulRestart: RFC 4724 section 4.2: routes of a peer that restarts stay
// in use; what it does not announce again by its end of RIB goes.
func TestGracefulRestart(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remoteOf(n, 2)
	for i := range 10 {
		r.announceMAC(0, vni100, host(i), "", evpn.Mobility{})
	}
	n.flush(0)
	n.PeerDown(sec, 2, true)
	if c := n.flush(sec); !c.Empty() {
		t.Fatalf("changes while it restarts: %+v", c)
	}
	stale := 0
	n.Known(2, func(k evpn.Known) bool {
		if k.Stale {
			stale++
		}
		return true
	})
	if stale != 10 {
		t.Errorf("%d stale, want 10", stale)
	}
	remoteOf(n, 2)
	for i := range 6 { // four are not announced again, one comes with another number
		m := evpn.Mobility{}
		if i == 0 {
			m = seq(3)
		}
		r.announceMAC(2*sec, vni100, host(i), "", m)
	}
	if c := n.flush(2 * sec); len(c.MACs) != 1 {
		t.Errorf("changes as it announces again: %+v", c.MACs)
	}
	n.EndOfRIB(3*sec, 2)
	if c := n.flush(3 * sec); len(c.MACs) != 4 || len(n.macs) != 6 {
		t.Errorf("at end of RIB: %+v", c.MACs)
	}
	n.EndOfRIB(4*sec, 2)
	n.EndOfRIB(4*sec, 99)
	n.PeerDown(4*sec, 99, false)
	if c := n.flush(4 * sec); !c.Empty() {
		t.Errorf("changes %+v", c)
	}
}

// TestLongLived: RFC 9494 section 4.3: what the peer did not announce again in time
// is the last choice, and goes if it is not to be kept so.
func TestLongLived(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r, other := remoteOf(n, 2), remoteOf(n, 3)
	k, a := r.mac(vni100, host(0), "", evpn.Mobility{})
	r.announce(0, k, a)
	b := a
	b.NextHop, b.Preference.LocalPref = vtep(4), 50 // worse, but for what follows
	other.announce(0, k, b)
	r.announceMAC(0, vni100, host(1), "", evpn.Mobility{})
	k, a = r.mac(vni100, host(2), "", evpn.Mobility{})
	a.NoStale = true
	r.announce(0, k, a)
	a.Stale = true // told so by another, which kept it
	k.MAC = host(3)
	r.announce(0, k, a)
	at := func(i int) netip.Addr { return n.macs[macKey{vni100, host(i)}].Target.VTEP }
	want := func(what string, vteps ...netip.Addr) {
		t.Helper()
		for i, v := range vteps {
			if at(i) != v {
				t.Errorf("%s: host %d is at %v, want %v", what, i, at(i), v)
			}
		}
	}
	n.flush(0)
	want("before", vtep(2), vtep(2), vtep(2), vtep(2))
	n.PeerDown(1, 2, true)
	n.flush(1)
	want("while it restarts", vtep(2), vtep(2), vtep(2), vtep(2))
	for range 2 { // the second time says nothing new
		n.LongLived(2, 2)
		n.flush(2)
		want("when its time is over", vtep(4), vtep(2), netip.Addr{}, netip.Addr{})
	}
	remoteOf(n, 2)
	r.announceMAC(3, vni100, host(0), "", evpn.Mobility{})
	n.flush(3)
	want("when it is back", vtep(2), vtep(2), netip.Addr{})
	n.EndOfRIB(4, 2)
	n.flush(4)
	want("at its end of RIB", vtep(2), netip.Addr{}, netip.Addr{})
	n.LongLived(5, 2)
	n.LongLived(5, 99)
	if c := n.flush(5); !c.Empty() {
		t.Errorf("changes of a session that is up: %+v", c)
	}
	n.PeerDown(6, 2, false)
	n.PeerDown(6, 3, false)
	n.flush(6)
	if keys, paths := n.Routes(); keys != 0 || paths != 0 {
		t.Errorf("%d keys, %d paths, want none", keys, paths)
	}
}

// TestConsecutiveRestarts: RFC 4724 section 4.2: "a route previously marked as
// stale MUST be deleted" when the session goes down again.
func TestConsecutiveRestarts(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remoteOf(n, 2)
	for i := range 4 {
		r.announceMAC(0, vni100, host(i), "", evpn.Mobility{})
	}
	n.PeerDown(1, 2, true)
	remoteOf(n, 2)
	r.announceMAC(2, vni100, host(0), "", evpn.Mobility{})
	n.flush(2)
	if len(n.macs) != 4 {
		t.Fatalf("macs %v", n.macs)
	}
	n.PeerDown(3, 2, true)
	n.flush(3)
	if _, ok := n.macs[macKey{vni100, host(0)}]; !ok || len(n.macs) != 1 {
		t.Errorf("macs %v, want the one that was announced between the restarts", n.macs)
	}
}

// TestPeerDown: without graceful restart all goes, but for what another session
// gave too.
func TestPeerDown(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r, other := remoteOf(n, 2), remoteOf(n, 3)
	for i := range 10 {
		k, a := r.mac(vni100, host(i), fmt.Sprintf("192.0.2.%d", i+1), evpn.Mobility{})
		r.announce(0, k, a)
		if i < 4 {
			other.announce(0, k, a) // a second reflector
		}
	}
	n.flush(0)
	if keys, paths := n.Routes(); keys != 10 || paths != 14 {
		t.Errorf("%d keys, %d paths; want 10, 14", keys, paths)
	}
	n.PeerDown(1, 2, false)
	n.flush(1)
	if len(n.macs) != 4 || len(n.neighbours) != 4 || len(n.prefixes) != 4 {
		t.Errorf("%d MACs, %d neighbours, %d prefixes; want 4", len(n.macs), len(n.neighbours), len(n.prefixes))
	}
	n.PeerDown(1, 3, false)
	n.flush(1)
	if keys, paths := n.Routes(); keys != 0 || paths != 0 || len(n.macs)+len(n.neighbours)+len(n.prefixes) > 0 {
		t.Errorf("%d keys, %d paths; macs %v, neighbours %v, prefixes %v", keys, paths, n.macs, n.neighbours, n.prefixes)
	}
	// Known no more: its routes are refused.
	r.announceMAC(2, vni100, host(1), "", evpn.Mobility{})
	if n.flush(2); n.count(evpn.EventRefused) != 1 {
		t.Errorf("events %v", n.events)
	}
}

// TestHold: RFC 4724 section 4.1: a node that restarts itself announces, and
// leaves tables alone until its peers have said all.
func TestHold(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	n.Hold(true)
	r := remoteOf(n, 2)
	for i := range 10 {
		r.announceMAC(0, vni100, host(i), "", evpn.Mobility{})
	}
	k, a := imet(t, r, vni100)
	r.announce(0, k, a)
	n.learn(0, vni100, host(99))
	c := n.flush(0)
	if len(c.MACs)+len(c.Floods) > 0 || len(c.Routes) != 3 {
		t.Errorf("held: %+v", c)
	}
	for i := range 5 {
		k, _ := r.mac(vni100, host(i), "", evpn.Mobility{})
		r.withdraw(1, k)
	}
	n.Hold(false)
	if c := n.flush(1); len(c.MACs) != 5 || len(c.Floods) != 1 {
		t.Errorf("released: %d MACs, %d lists; want 5, 1", len(c.MACs), len(c.Floods))
	}
}

// TestPeerChanges: a session that comes back with another address counts by it.
func TestPeerChanges(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	n.PeerUp(peerOf(2))
	p := peerOf(2)
	p.Addr = vtep(77)
	n.PeerUp(p)
	r := remote{n, 2, 2}
	r.announceMAC(0, vni100, host(1), "", evpn.Mobility{})
	if n.flush(0); len(n.macs) != 1 {
		t.Errorf("macs %v", n.macs)
	}
}

package evpn_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
)

// TestPrefixesView: a VRF's prefixes are those that were published, and end when
// the caller has enough.
func TestPrefixesView(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remoteOf(n, 2)
	for _, p := range []string{"198.51.100.0/24", "2001:db8:1::/48"} {
		a := r.attrs(rt(t, "65000:5000"))
		a.Label1, a.RouterMAC = l3vni, routerMAC(2)
		r.announce(0, evpn.KeyOfPrefix(r.rd(l3vni), 0, prefix(p)), a)
	}
	list := func(id evpn.VRFID) map[netip.Prefix][]evpn.NextHop {
		got := map[netip.Prefix][]evpn.NextHop{}
		n.Prefixes(id, func(p netip.Prefix, hops []evpn.NextHop) bool {
			got[p] = hops
			return true
		})
		return got
	}
	if got := list(red); len(got) != 0 {
		t.Errorf("before they were published: %v", got)
	}
	n.flush(0)
	got := list(red)
	if len(got) != 2 || len(got) != len(n.prefixes) {
		t.Errorf("%v, want %v", got, n.prefixes)
	}
	for p, hops := range got {
		if !sameHops(hops, n.prefixes[prefixKey{red, p}]) {
			t.Errorf("%v: %v, published was %v", p, hops, n.prefixes[prefixKey{red, p}])
		}
	}
	if got := list(red + 1); len(got) != 0 {
		t.Errorf("of no VRF: %v", got)
	}
	calls := 0
	n.Prefixes(red, func(netip.Prefix, []evpn.NextHop) bool {
		calls++
		return false
	})
	if calls != 1 {
		t.Errorf("%d calls after the first said enough", calls)
	}
	n.PeerDown(0, 2, false)
	n.flush(0)
	if got := list(red); len(got) != 0 {
		t.Errorf("after the peer went: %v", got)
	}
}

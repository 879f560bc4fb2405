package config_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/config"
)

// TestReachAgreesWithPeers: the index finds the peers that Peer.Reaches names.
func TestReachAgreesWithPeers(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	addr := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(2)), byte(r.IntN(8))})
		}
		return netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(8))})
	}
	for range 50 {
		var n config.Node
		for range r.IntN(20) {
			p := config.Peer{Carrier: config.CarrierWireGuard}
			for range r.IntN(4) {
				a := addr()
				p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(a, a.BitLen()-r.IntN(6)).Masked())
			}
			if r.IntN(4) == 0 {
				p = config.Peer{Carrier: config.CarrierPlain, Endpoint: netip.AddrPortFrom(addr(), 0)}
			}
			n.Peers = append(n.Peers, p)
		}
		reach := n.Reach()
		for range 50 {
			a := addr()
			got := map[*config.Peer]bool{}
			for p := range reach.Peers(a) {
				got[p] = true
			}
			for i := range n.Peers {
				if p := &n.Peers[i]; p.Reaches(a) != got[p] {
					t.Fatalf("seed %d: %v to %v: the index says %v", seed, p, a, got[p])
				}
			}
			if reach.Any(a) != (len(got) > 0) {
				t.Fatalf("seed %d: Any(%v) = %v, found %d", seed, a, reach.Any(a), len(got))
			}
		}
		if reach.Any(netip.Addr{}) {
			t.Fatal("a peer leads to no address")
		}
	}
}

//go:build netns

package netns_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestEVPNRouted: tenants of several subnets on three leaves, none of which is told
// a route: subnets, hosts, and what is behind a host are found by EVPN, follow what
// happens, and stay in their tenant.
func TestEVPNRouted(t *testing.T) {
	b := up(t, "../../lab/evpn-routed.yaml", "e2e-evirb")
	ip := netip.MustParseAddr
	by := func(leaf, vrf, prefix string, via ...string) check.LeafRoute {
		return check.LeafRoute{Leaf: leaf, VRF: vrf, Prefix: netip.MustParsePrefix(prefix), Via: via}
	}
	step(t, "NoStaticRoutes", b.NoStaticVRFRoutes)
	for _, vrf := range []string{"red", "blue"} {
		step(t, "Reach/"+vrf, func(ctx context.Context) (check.Matrix, error) { return b.Routed(ctx, vrf, 3) })
	}
	step(t, "Routes", func(ctx context.Context) ([]check.LeafRoute, error) {
		return b.RoutedByEVPN(ctx,
			// A subnet that only leaf2 has, and its host.
			by("leaf1", "red", "10.1.2.0/24", "leaf2"), by("leaf1", "red", "fd00:2::/64", "leaf2"),
			by("leaf1", "red", "10.1.2.12/32", "leaf2"), by("leaf1", "red", "fd00:2::12/128", "leaf2"),
			// One that leaf1 and leaf3 have: both lead there, but each host is at one.
			by("leaf2", "red", "10.1.1.0/24", "leaf1", "leaf3"), by("leaf2", "red", "fd00:1::/64", "leaf1", "leaf3"),
			by("leaf2", "red", "10.1.1.11/32", "leaf1"), by("leaf2", "red", "10.1.1.13/32", "leaf3"),
			by("leaf1", "red", "10.1.1.13/32", "leaf3"), by("leaf1", "red", "fd00:1::13/128", "leaf3"),
			// Its own subnet a leaf routes itself, though another announces it.
			by("leaf1", "red", "10.1.1.0/24"), by("leaf1", "red", "10.1.1.11/32"),
			// What is behind a host, known by type 5 only.
			by("leaf1", "red", "10.9.0.0/24", "leaf2"), by("leaf3", "red", "fd00:9::/64", "leaf2"),
			// Blue has the same addresses at other leaves, and nothing of red's.
			by("leaf1", "blue", "10.1.2.0/24", "leaf2"), by("leaf2", "blue", "10.1.1.0/24", "leaf1"),
			by("leaf1", "blue", "10.9.0.0/24"), by("leaf1", "blue", "10.1.1.13/32"), by("leaf2", "blue", "10.1.1.13/32"),
		)
	})
	for _, to := range []string{"10.9.0.1", "fd00:9::1"} {
		for _, from := range []string{"ra1", "ra3"} {
			step(t, "BehindAHost/"+from+"/"+to, func(ctx context.Context) (check.Ping, error) { return b.Reached(ctx, from, ip(to)) })
		}
	}
	for _, to := range []string{"10.9.0.1", "fd00:1::13"} {
		step(t, "Apart/"+to, func(ctx context.Context) (check.Ping, error) { return b.Unreached(ctx, "ba1", ip(to)) })
	}
	step(t, "Trace", func(ctx context.Context) (check.Hops, error) {
		hops, err := b.Trace(ctx, "ra1", ip("10.1.2.12"))
		if want := (check.Hops{ip("10.1.1.1"), ip("10.1.2.1"), ip("10.1.2.12")}); err == nil && !slices.Equal(hops, want) {
			err = fmt.Errorf("hops %v, want %v", hops, want)
		}
		return hops, err
	})
	step(t, "Confined", func(ctx context.Context) (check.Confined, error) { return b.Confined(ctx, "red") })
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.LosslessBetween(ctx, "ra1", "rb2", 2) })
	step(t, "HostMove", func(ctx context.Context) (check.HostMove, error) { return b.RoutedMove(ctx, "ra3", "rb2", "leaf1") })
	step(t, "Stranger", func(ctx context.Context) (check.RoutedStranger, error) {
		return b.RoutedStranger(ctx, "leaf1", "leaf2", "red")
	})
	step(t, "RouterMAC", func(ctx context.Context) (string, error) {
		mac, err := b.RouterMAC(ctx, "leaf2", "ra1", "rb2")
		return mac.String(), err
	})
	step(t, "LeafStop", func(ctx context.Context) (check.RoutedLeafStop, error) { return b.RoutedLeafStop(ctx, "leaf2", "red") })
	step(t, "Proven", b.Proven)
	step(t, "KeyShared", func(ctx context.Context) (string, error) { return b.KeyShared(ctx, "leaf1", "red-l3", "blue-l3") })
	step(t, "ReachAgain", func(ctx context.Context) (check.Matrix, error) { return b.Routed(ctx, "blue", 3) })
}

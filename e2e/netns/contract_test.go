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

// TestContract: between VRFs that have addresses in common passes what a contract
// of one leaf permits, in both directions, over IPv4 and IPv6, between hosts of that
// leaf and of others; all else is dropped and counted, and all is when the contract
// is gone.
func TestContract(t *testing.T) {
	b := up(t, "testdata/contract.yaml", "e2e-contract")
	ip := netip.MustParseAddr
	for _, vrf := range []string{"red", "shared"} {
		step(t, "Reach/"+vrf, func(ctx context.Context) (check.Matrix, error) { return b.Routed(ctx, vrf, 1) })
	}
	for _, tt := range []struct{ from, to string }{
		{"rr1", "10.9.0.11"}, {"ss1", "172.16.1.11"}, // both at leaf1
		{"rr1", "10.9.0.12"}, {"ss2", "172.16.1.11"}, {"rr2", "10.9.0.11"}, // one behind leaf2
		{"rr2", "10.9.0.12"}, // both: by leaf1
		{"rr1", "fd00:9::11"}, {"rr1", "fd00:9::12"}, {"ss2", "fd00:16::11"}, {"rr2", "fd00:9::12"},
		{"rr1", "10.9.0.1"}, // the gateway of the other VRF
	} {
		step(t, "Permitted/"+tt.from+"/"+tt.to, func(ctx context.Context) (check.Ping, error) { return b.Reached(ctx, tt.from, ip(tt.to)) })
	}
	for _, hosts := range [][2]string{{"rr1", "ss1"}, {"ss1", "rr1"}, {"rr1", "ss2"}} {
		step(t, "TCP/"+hosts[0]+"/"+hosts[1], func(ctx context.Context) (check.TCP, error) { return b.TCP(ctx, hosts[0], hosts[1], 1) })
	}
	for _, tt := range []struct {
		name, from, to string
		hops           []string
	}{
		{"the same leaf", "rr1", "10.9.0.11", []string{"172.16.1.1", "10.9.0.11"}},
		{"the other leaf", "rr1", "10.9.0.12", []string{"172.16.1.1", "10.9.0.1", "10.9.0.12"}},
		{"the other leaf, IPv6", "rr1", "fd00:9::12", []string{"fd00:16::1", "fd00:9::1", "fd00:9::12"}},
	} {
		step(t, "Trace/"+tt.name, func(ctx context.Context) (check.Hops, error) {
			hops, err := b.Trace(ctx, tt.from, ip(tt.to))
			var want check.Hops
			for _, h := range tt.hops {
				want = append(want, ip(h))
			}
			if err == nil && !slices.Equal(hops, want) {
				err = fmt.Errorf("hops %v, want %v", hops, want)
			}
			return hops, err
		})
	}
	for _, tt := range []struct{ name, from, to, reason string }{
		{"a source that the contract does not name", "ro1", "10.9.0.11", "route-no-contract"},
		{"the other direction, likewise", "so1", "172.16.1.11", "route-no-contract"},
		{"and for a host that nobody knows", "ro1", "10.9.0.77", "route-no-contract"},
		{"and for the gateway", "ro1", "10.9.0.1", "route-no-contract"},
		{"another prefix", "rr1", "10.9.1.11", "route-none"},
		{"a third VRF", "bb1", "10.9.0.11", "route-none"},
		{"a third VRF, IPv6", "bb1", "fd00:9::11", "route-none"},
	} {
		step(t, "Forbidden/"+tt.name, func(ctx context.Context) (uint64, error) { return b.Forbidden(ctx, tt.from, ip(tt.to), tt.reason) })
	}
	for _, src := range []string{"10.1.1.99/32", "172.16.2.1/32", "10.9.0.99/32"} {
		step(t, "Spoofed/"+src, func(ctx context.Context) (uint64, error) {
			return b.Spoofed(ctx, "rr1", netip.MustParsePrefix(src), ip("10.9.0.11"))
		})
	}
	step(t, "Tables", func(ctx context.Context) ([]string, error) {
		return b.ContractTables(ctx, "leaf1", "red", "shared", "red-shared", "10.9.0.0/24", "10.9.0.11/32", "10.9.0.12/32", "fd00:9::/64")
	})
	step(t, "Explained", func(ctx context.Context) (string, error) {
		return b.ExplainRouted(ctx, "leaf1", "red", ip("10.9.0.12"), "red-shared", ip("10.255.0.2"))
	})
	step(t, "Proven", b.Proven)
	step(t, "Reload", func(ctx context.Context) (check.ContractReload, error) {
		return b.ContractReload(ctx, "leaf1", "rr1", "ss2", "rr2")
	})
	step(t, "Everywhere", func(ctx context.Context) (int, error) {
		return b.ContractEverywhere(ctx, []string{"leaf1", "leaf2"},
			[]string{"rr1", "ss2", "rr2", "ss1", "rr2", "rr1", "ss2"},
			[]netip.Addr{ip("10.9.0.12"), ip("172.16.1.11"), ip("10.9.0.11"), ip("172.16.1.12"), ip("10.9.0.12"), ip("fd00:9::12"), ip("fd00:16::11")})
	})
	step(t, "PermittedAgain", func(ctx context.Context) (check.Ping, error) { return b.Reached(ctx, "rr2", ip("10.9.0.12")) })
}

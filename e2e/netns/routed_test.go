//go:build netns

package netns_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/l3"
)

// TestRouted: tenants of two subnets, routed on a leaf and across leaves by
// symmetric IRB, with MACsec and WireGuard.
func TestRouted(t *testing.T) {
	b := up(t, "testdata/routed.yaml", "e2e-irb")
	ip := netip.MustParseAddr
	for _, vrf := range []string{"red", "blue"} {
		step(t, "Reach/"+vrf, func(ctx context.Context) (check.Matrix, error) { return b.Routed(ctx, vrf, 3) })
	}
	for _, tt := range []struct {
		name, to string
		hops     []string
	}{
		{"the gateway", "10.1.1.1", []string{"10.1.1.1"}},
		{"the other subnet's gateway", "10.1.2.1", []string{"10.1.2.1"}},
		{"the same leaf", "10.1.2.11", []string{"10.1.1.1", "10.1.2.11"}},
		{"the other leaf", "10.1.2.12", []string{"10.1.1.1", "10.1.2.1", "10.1.2.12"}},
		{"the gateway, IPv6", "fd00:1::1", []string{"fd00:1::1"}},
		{"the other leaf, IPv6", "fd00:2::12", []string{"fd00:1::1", "fd00:2::1", "fd00:2::12"}},
	} {
		step(t, "Trace/"+tt.name, func(ctx context.Context) (check.Hops, error) {
			hops, err := b.Trace(ctx, "ra1", ip(tt.to))
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
	refused := func(name, from, to, who, what string, options ...string) {
		step(t, "Refused/"+name, func(ctx context.Context) (check.Refusal, error) {
			return b.Refused(ctx, from, ip(to), ip(who), what, options...)
		})
	}
	refused("no route", "ra1", "198.51.100.1", "10.1.1.1", "Destination Net Unreachable")
	refused("no route, IPv6", "ra1", "2001:db8::1", "fd00:1::1", "Destination unreachable: No route")
	refused("no host", "ra1", "10.1.2.77", "10.1.1.1", "Destination Host Unreachable")
	refused("no host, IPv6", "ra1", "fd00:2::77", "fd00:1::1", "Destination unreachable: Address unreachable")
	refused("TTL 1", "ra1", "10.1.2.12", "10.1.1.1", "Time to live exceeded", "-t", "1")
	refused("too big", "ba1", "10.1.2.12", "10.1.1.1", "Frag needed and DF set (mtu = 1400)", "-M", "do", "-s", "1400")
	refused("too big, IPv6", "ba1", "fd00:2::12", "fd00:1::1", "Packet too big: mtu=1400", "-M", "do", "-s", "1400")

	step(t, "Spoofed", func(ctx context.Context) (uint64, error) {
		return b.Spoofed(ctx, "ra1", netip.MustParsePrefix("10.1.2.99/32"), ip("10.1.2.12"))
	})
	// Blue has no 10.1.2.11, red does.
	step(t, "Apart", func(ctx context.Context) (check.Ping, error) { return b.Unreached(ctx, "ba1", ip("10.1.2.11")) })

	step(t, "Confined", func(ctx context.Context) (check.Confined, error) { return b.Confined(ctx, "red") })
	for name, hosts := range map[string][2]string{"leaf": {"ra1", "rb1"}, "leaves": {"ra1", "rb2"}, "leaves, smaller MTU": {"ba1", "bb2"}} {
		step(t, "Lossless/"+name, func(ctx context.Context) (check.Lossless, error) {
			return b.LosslessBetween(ctx, hosts[0], hosts[1], 2)
		})
	}
	// red-a advertises its gateway; ra1 believes it, but for addresses, which
	// nobody would have a route to.
	step(t, "RouterAdvertisements", func(ctx context.Context) (string, error) {
		return b.AwaitDefaultRoute(ctx, "ra1", l3.DefaultMAC(10101))
	})
	step(t, "Tables", func(ctx context.Context) ([]string, error) { return tables(ctx, b.Lab.Socket("leaf1")) })
	step(t, "Underlay", b.Underlay)
	step(t, "ReachAgain", func(ctx context.Context) (check.Matrix, error) { return b.Routed(ctx, "red", 3) })
}

// tables asks an engine what it knows of VRF red: both gateways, its own hosts as
// neighbours, and the others behind leaf2.
func tables(ctx context.Context, socket string) (seen []string, err error) {
	c, err := client.Dial(socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	vrfs, err := c.VRFs(ctx)
	if err != nil {
		return nil, err
	}
	if len(vrfs) != 2 || vrfs[1].Name != "red" || len(vrfs[1].Gateways) != 2 || vrfs[1].L3VNI != 50100 {
		return nil, fmt.Errorf("VRFs %+v", vrfs)
	}
	for n, err := range c.Neighbours(ctx, status.NeighbourFilter{VRF: "red"}) {
		if err != nil {
			return seen, err
		}
		seen = append(seen, fmt.Sprintf("%v %v %s", n.Address, n.MAC, n.State))
	}
	for _, want := range []string{
		"10.1.1.11 02:00:00:00:01:01 reachable", "fd00:1::11 02:00:00:00:01:01 reachable",
		"10.1.2.11 02:00:00:00:02:01 reachable", "fd00:2::11 02:00:00:00:02:01 reachable",
	} {
		if !slices.Contains(seen, want) {
			return seen, fmt.Errorf("no neighbour %s", want)
		}
	}
	for r, err := range c.Routes(ctx, status.RouteFilter{VRF: "red", Address: netip.MustParseAddr("10.1.2.12")}) {
		if err != nil {
			return seen, err
		}
		if r.Prefix.IsSingleIP() && (len(r.Paths) != 1 || r.Paths[0].VTEP != netip.MustParseAddr("10.255.0.2")) {
			return seen, fmt.Errorf("route %+v, want one to leaf2", r)
		}
		seen = append(seen, fmt.Sprintf("%v %s %s", r.Prefix, r.Origin, r.Kind))
	}
	return seen, nil
}

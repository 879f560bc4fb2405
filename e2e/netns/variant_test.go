//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestVariants: every suite and mode of MACsec, and WireGuard alone, as tenants
// of one fabric; the spine's address is the kernel's.
func TestVariants(t *testing.T) {
	b := up(t, "testdata/variants.yaml", "e2e-var")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "SpineView", b.SpineView)
	step(t, "Integrity", integrity(b))
	for _, tenant := range b.Topo.Tenants {
		step(t, "TCP/"+tenant.Name, tcp(b, tenant.Name, 1))
	}
	step(t, "Isolation", b.Isolation)
	step(t, "FabricPing", func(ctx context.Context) (check.Fabric, error) { return b.FabricPing(ctx, "spine1") })
}

// TestIPv6: VTEPs and endpoints are IPv6.
func TestIPv6(t *testing.T) {
	b := up(t, "testdata/six.yaml", "e2e-six")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Underlay", b.Underlay)
	step(t, "SpineView", b.SpineView)
}

// TestPlainMACsec: MACsec in VXLAN, without WireGuard.
func TestPlainMACsec(t *testing.T) {
	b := up(t, "testdata/plain-macsec.yaml", "e2e-macsec")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	v := step(t, "PlainView", b.PlainView)
	if v.MACsec != v.VXLAN || v.Marks != 0 {
		t.Errorf("%d of %d VXLAN packets hold MACsec, %d are readable; want all, and none", v.MACsec, v.VXLAN, v.Marks)
	}
}

// TestPlainClear: VXLAN alone, as any VXLAN device speaks it.
func TestPlainClear(t *testing.T) {
	b := up(t, "testdata/plain-clear.yaml", "e2e-clear")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	v := step(t, "PlainView", b.PlainView)
	if v.MACsec != 0 || v.Marks == 0 {
		t.Errorf("%d of %d VXLAN packets hold MACsec, %d are readable; want none, and some", v.MACsec, v.VXLAN, v.Marks)
	}
}

// TestFallback: the slow paths, as on a kernel or a network that can do less:
// no UDP_SEGMENT and UDP_GRO, hosts without offloads; and two workers on every
// underlay socket, which share sessions and windows.
func TestFallback(t *testing.T) {
	b := up(t, "testdata/fallback.yaml", "e2e-slow")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "TCPWithOffloads", tcp(b, "blue", 2))
	step(t, "Isolation", b.Isolation)
}

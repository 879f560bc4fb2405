//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestEVPN: a fabric that finds itself carries what the static one carries, hosts
// move in it, and it keeps what it knows when sessions die.
func TestEVPN(t *testing.T) {
	b := up(t, "../../lab/evpn.yaml", "e2e-evpn")
	reach(t, b)
	step(t, "Versions", b.Versions)
	step(t, "EVPN", b.EVPN)
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Integrity", integrity(b))
	step(t, "Isolation", b.Isolation)
	step(t, "SpineView", b.SpineView)
	step(t, "AttackSpine", b.AttackSpine)
	step(t, "Interest", b.Interest)
	step(t, "HostMove", b.HostMove)
	step(t, "Mobility", b.Mobility)
	step(t, "Duplicate", b.Duplicate)
	step(t, "Stranger", b.Stranger)
	step(t, "Ungranted", b.Ungranted)
	step(t, "Unannounced", b.Unannounced)
	step(t, "LeafStop", b.LeafStop)
	step(t, "KillSpine", b.KillSpine)
	step(t, "SpineGrace", b.SpineGrace)
	step(t, "Extend", func(ctx context.Context) (check.Extend, error) { return b.Extend(ctx, "../../lab/evpn-more.yaml") })
	step(t, "ExtendedFound", b.Found)
	step(t, "ExtendedIsolation", b.Isolation)
	step(t, "Reach", func(ctx context.Context) (check.Matrix, error) { return b.Matrix(ctx, 3) })
}

// TestEVPNOverTUN: BGP by the kernel's IP stack and the device ztos0, one spine,
// and a tenant without MACsec, whose VTEPs are granted by name.
func TestEVPNOverTUN(t *testing.T) {
	b := up(t, "testdata/evpn-tun.yaml", "e2e-evtun")
	reach(t, b)
	step(t, "EVPN", b.EVPN)
	step(t, "Integrity", integrity(b))
	step(t, "SpineGrace", b.SpineGrace)
}

// TestEVPNOverIPv6: the same where the fabric knows no IPv4: sessions of BGP and BFD,
// next hops, VTEPs and endpoints.
func TestEVPNOverIPv6(t *testing.T) {
	b := up(t, "testdata/evpn-ipv6.yaml", "e2e-evip6")
	reach(t, b)
	step(t, "EVPN", b.EVPN)
	step(t, "Integrity", integrity(b))
	step(t, "Isolation", b.Isolation)
	step(t, "SpineView", b.SpineView)
	step(t, "KillSpine", b.KillSpine)
	step(t, "SpineGrace", b.SpineGrace)
}

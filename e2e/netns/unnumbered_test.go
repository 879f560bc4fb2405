//go:build netns

package netns_test

import "testing"

// TestUnnumbered: a fabric whose BGP sessions all run between link-local addresses
// that follow from the WireGuard keys finds itself, and keeps what it knows when a
// spine dies and comes back.
func TestUnnumbered(t *testing.T) {
	b := up(t, "testdata/unnumbered.yaml", "e2e-unn")
	reach(t, b)
	step(t, "Unnumbered", b.Unnumbered)
	step(t, "EVPN", b.EVPN)
	step(t, "Integrity", integrity(b))
	step(t, "SpineView", b.SpineView)
	step(t, "KillSpine", b.KillSpine)
	step(t, "SpineGrace", b.SpineGrace)
	step(t, "AttackLinkLocal", b.AttackLinkLocal)
}

// TestUnnumberedOverTUN: the same by the kernel's IP stack and the device ztos0.
func TestUnnumberedOverTUN(t *testing.T) {
	b := up(t, "testdata/unnumbered-tun.yaml", "e2e-untun")
	reach(t, b)
	step(t, "Unnumbered", b.Unnumbered)
	step(t, "EVPN", b.EVPN)
	step(t, "Integrity", integrity(b))
	step(t, "SpineGrace", b.SpineGrace)
}

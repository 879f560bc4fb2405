//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestStandard runs all that the demonstration shows and more on the standard
// lab, in one bring-up. The order matters: first what needs an untouched fabric.
func TestStandard(t *testing.T) {
	b := up(t, "../../lab/standard.yaml", "e2e-std")
	reach(t, b)
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 10) })
	step(t, "TCPSecondTenant", tcp(b, b.Topo.Tenants[1].Name, 2))
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "Isolation", b.Isolation)
	step(t, "Underlay", b.Underlay)
	step(t, "SpineView", b.SpineView)
	step(t, "TracePath", b.TracePath)
	step(t, "Rollover", b.Rollover)
	step(t, "Reload", b.Reload)
	step(t, "AttackUnderlay", b.AttackUnderlay)
	step(t, "AttackSpine", b.AttackSpine)
	step(t, "AttackLeaf", b.AttackLeaf)
	step(t, "KillSpine", b.KillSpine)
	step(t, "PortEvents", b.PortEvents)
	step(t, "RestartLeaf", b.RestartLeaf)
	step(t, "Garbage", b.Garbage)
	step(t, "Reach", func(ctx context.Context) (check.Matrix, error) { return b.Matrix(ctx, 3) })
}

// TestStandard1500: an underlay of 1500 bytes leaves the tenants 1358, and a
// host that believes in 1500 is told so.
func TestStandard1500(t *testing.T) {
	b := up(t, "../../lab/standard-1500.yaml", "e2e-1500")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Integrity", integrity(b))
	step(t, "Oversize", func(ctx context.Context) (check.Oversize, error) { return b.Oversize(ctx, 1500) })
}

// TestTwoLeaves: two leaves side by side, without a spine.
func TestTwoLeaves(t *testing.T) {
	b := up(t, "../../lab/two-leaf.yaml", "e2e-two")
	reach(t, b)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Integrity", integrity(b))
	step(t, "Underlay", b.Underlay)
	step(t, "AttackUnderlay", b.AttackUnderlay)
	step(t, "Tagging", b.Tagging)
	step(t, "TAP", b.TAP)
	step(t, "Storm", b.Storm)
	step(t, "MACLimit", b.MACLimit)
}

//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestBFD: sessions come up by both stacks, spines that die are left within the
// detection time, and what is forged or has a wrong key changes nothing.
func TestBFD(t *testing.T) {
	b := up(t, "testdata/bfd.yaml", "e2e-bfd")
	reach(t, b)
	step(t, "Up", b.BFDUp)
	step(t, "Spoof", b.BFDSpoof)
	step(t, "Kill", func(ctx context.Context) (check.BFDKill, error) { return b.BFDKill(ctx, 5) })
	step(t, "Keys", b.BFDKeys)
	step(t, "Reach", func(ctx context.Context) (check.Matrix, error) { return b.Matrix(ctx, 3) })
}

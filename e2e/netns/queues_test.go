//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestQueues: several queues at every port and underlay. Flows stay whole and in
// order, and all workers have a share of them.
func TestQueues(t *testing.T) {
	b := up(t, "testdata/queues.yaml", "e2e-que")
	reach(t, b)
	step(t, "Order", func(ctx context.Context) (check.Queues, error) { return b.Queues(ctx, 48, 0, 2) })
	step(t, "Mixed", func(ctx context.Context) (check.Queues, error) { return b.Queues(ctx, 32, 4, 3) })
	step(t, "Integrity", integrity(b))
	// red's ports are untagged, blue's are trunks.
	for _, tenant := range b.Topo.Tenants {
		step(t, "SuperFrames/"+tenant.Name, func(ctx context.Context) ([]check.SuperFrames, error) { return b.SuperFrames(ctx, tenant.Name, 1) })
	}
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Isolation", b.Isolation)
}

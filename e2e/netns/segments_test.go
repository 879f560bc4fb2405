//go:build netns

package netns_test

import (
	"context"
	"testing"

	"github.com/ztos/ztos/e2e/check"
)

// TestSegments: hosts with links to two leaves, one that uses both and one that uses
// the designated forwarder's.
func TestSegments(t *testing.T) {
	b := up(t, "testdata/segments.yaml", "e2e-segments")
	step(t, "AllActive", func(ctx context.Context) (check.AllActive, error) { return b.AllActive(ctx, "red") })
	step(t, "OneActive", func(ctx context.Context) (check.OneActive, error) { return b.OneActive(ctx, "blue") })
}

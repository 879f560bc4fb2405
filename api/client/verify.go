package client

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// Isolation has the node look at all of its tables, whether a path leads from one
// tenant to another.
func (c *Client) Isolation(ctx context.Context) (status.Isolation, error) {
	m, err := pb.NewVerifyClient(c.conn).VerifyIsolation(ctx, &pb.VerifyIsolationRequest{})
	if err != nil {
		return status.Isolation{}, c.fail(err)
	}
	return convert.FromIsolation(m)
}

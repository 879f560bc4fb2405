package client

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// BFD returns the node's BFD sessions.
func (c *Client) BFD(ctx context.Context) (status.BFD, error) {
	m, err := c.bfd.GetBFD(ctx, &pb.GetBFDRequest{})
	if err != nil {
		return status.BFD{}, c.fail(err)
	}
	return convert.FromBFD(m)
}

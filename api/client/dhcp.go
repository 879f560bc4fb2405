package client

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// DHCP returns what the node's DHCP relays did.
func (c *Client) DHCP(ctx context.Context) (status.DHCP, error) {
	m, err := pb.NewDHCPClient(c.conn).GetDHCP(ctx, &pb.GetDHCPRequest{})
	if err != nil {
		return status.DHCP{}, c.fail(err)
	}
	return convert.FromDHCP(m)
}

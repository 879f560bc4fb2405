package client

import (
	"context"
	"net/netip"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// BGP returns the node's BGP sessions.
func (c *Client) BGP(ctx context.Context) (status.BGP, error) {
	m, err := c.evpn.GetBGP(ctx, &pb.GetBGPRequest{})
	if err != nil {
		return status.BGP{}, c.fail(err)
	}
	return convert.FromBGP(m)
}

// EVPN returns what EVPN has made of what peers announce.
func (c *Client) EVPN(ctx context.Context) (status.EVPN, error) {
	m, err := c.evpn.GetEVPN(ctx, &pb.GetEVPNRequest{})
	if err != nil {
		return status.EVPN{}, c.fail(err)
	}
	return convert.FromEVPN(m)
}

// Moves returns the last moves, duplicates and releases, the oldest first.
func (c *Client) Moves(ctx context.Context) ([]status.Move, error) {
	m, err := c.evpn.ListMoves(ctx, &pb.ListMovesRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetMoves(), convert.FromMove)
}

// Duplicates returns the MACs in quarantine, the oldest first, then the addresses.
func (c *Client) Duplicates(ctx context.Context) ([]status.Duplicate, error) {
	m, err := c.evpn.ListDuplicates(ctx, &pb.ListDuplicatesRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetDuplicates(), convert.FromDuplicate)
}

// Explain says where a MAC or an address is.
func (c *Client) Explain(ctx context.Context, q status.ExplainQuery) (status.Explanation, error) {
	m, err := c.evpn.Explain(ctx, convert.ExplainQuery(q))
	if err != nil {
		return status.Explanation{}, c.fail(err)
	}
	return convert.FromExplanation(m)
}

// ReleaseAddress ends the quarantine of an address.
func (c *Client) ReleaseAddress(ctx context.Context, vni table.VNI, ip netip.Addr) error {
	_, err := c.evpn.ReleaseDuplicate(ctx, &pb.ReleaseDuplicateRequest{Vni: uint32(vni), Address: ip.String()})
	return c.fail(err)
}

// ReleaseDuplicate ends the quarantine of a MAC.
func (c *Client) ReleaseDuplicate(ctx context.Context, vni table.VNI, mac table.MAC) error {
	_, err := c.evpn.ReleaseDuplicate(ctx, &pb.ReleaseDuplicateRequest{Vni: uint32(vni), Mac: mac.String()})
	return c.fail(err)
}

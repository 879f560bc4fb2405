package server

import (
	"context"
	"fmt"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// evpnService implements the service EVPN of ztos.v1 over a Backend.
type evpnService struct {
	pb.UnsafeEVPNServer
	b Backend
}

// GetBGP implements ztos.v1.
func (s *evpnService) GetBGP(context.Context, *pb.GetBGPRequest) (*pb.GetBGPResponse, error) {
	b := s.b.BGP()
	return convert.BGP(&b), nil
}

// GetEVPN implements ztos.v1.
func (s *evpnService) GetEVPN(context.Context, *pb.GetEVPNRequest) (*pb.GetEVPNResponse, error) {
	e := s.b.EVPN()
	return convert.EVPN(&e), nil
}

// ListMoves implements ztos.v1.
func (s *evpnService) ListMoves(context.Context, *pb.ListMovesRequest) (*pb.ListMovesResponse, error) {
	m := &pb.ListMovesResponse{}
	for _, v := range s.b.Moves() {
		m.Moves = append(m.Moves, convert.Move(v))
	}
	return m, nil
}

// ListDuplicates implements ztos.v1.
func (s *evpnService) ListDuplicates(context.Context, *pb.ListDuplicatesRequest) (*pb.ListDuplicatesResponse, error) {
	m := &pb.ListDuplicatesResponse{}
	for _, d := range s.b.Duplicates() {
		m.Duplicates = append(m.Duplicates, convert.Duplicate(d))
	}
	return m, nil
}

// Explain implements ztos.v1.
func (s *evpnService) Explain(_ context.Context, q *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	query, err := convert.FromExplainQuery(q)
	if err != nil {
		return nil, err
	}
	return convert.Explanation(s.b.Explain(query)), nil
}

// ReleaseDuplicate implements ztos.v1.
func (s *evpnService) ReleaseDuplicate(_ context.Context, q *pb.ReleaseDuplicateRequest) (*pb.ReleaseDuplicateResponse, error) {
	vni, mac, ip, err := convert.FromRelease(q)
	if err != nil {
		return nil, err
	}
	if ip.IsValid() {
		if !s.b.ReleaseAddress(vni, ip) {
			return nil, fmt.Errorf("VNI %d, address %s in quarantine: %w", vni, ip, status.ErrNotFound)
		}
		return &pb.ReleaseDuplicateResponse{}, nil
	}
	if !s.b.ReleaseDuplicate(vni, mac) {
		return nil, fmt.Errorf("VNI %d, MAC %s in quarantine: %w", vni, mac, status.ErrNotFound)
	}
	return &pb.ReleaseDuplicateResponse{}, nil
}

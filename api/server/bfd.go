package server

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
)

// bfdService implements the service BFD of ztos.v1 over a Backend.
type bfdService struct {
	pb.UnsafeBFDServer
	b Backend
}

// GetBFD implements ztos.v1.
func (s *bfdService) GetBFD(context.Context, *pb.GetBFDRequest) (*pb.GetBFDResponse, error) {
	b := s.b.BFD()
	return convert.BFD(&b), nil
}

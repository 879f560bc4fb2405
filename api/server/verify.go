package server

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
)

// verifyService implements the service Verify of ztos.v1 over a Backend.
type verifyService struct {
	pb.UnsafeVerifyServer
	b Backend
}

// VerifyIsolation implements ztos.v1.
func (s *verifyService) VerifyIsolation(context.Context, *pb.VerifyIsolationRequest) (*pb.VerifyIsolationResponse, error) {
	r := s.b.Isolation()
	return convert.Isolation(&r), nil
}

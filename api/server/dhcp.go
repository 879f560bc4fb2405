package server

import (
	"context"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
)

// dhcpService implements the service DHCP of ztos.v1 over a Backend.
type dhcpService struct {
	pb.UnsafeDHCPServer
	b Backend
}

// GetDHCP implements ztos.v1.
func (s *dhcpService) GetDHCP(context.Context, *pb.GetDHCPRequest) (*pb.GetDHCPResponse, error) {
	d := s.b.DHCP()
	return convert.DHCP(&d), nil
}

package convert

import (
	"net/netip"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// DHCP returns s as a message.
func DHCP(s *status.DHCP) *pb.GetDHCPResponse {
	return &pb.GetDHCPResponse{Vrfs: each(s.VRFs, func(v status.DHCPVRF) *pb.DHCPVRF {
		return &pb.DHCPVRF{
			Name: v.Name, Loopbacks: each(v.Loopbacks, addrText), Faults: each(v.Faults, namedCount),
			Relays: each(v.Relays, dhcpRelay),
		}
	})}
}

func dhcpRelay(d status.DHCPRelay) *pb.DHCPRelay {
	return &pb.DHCPRelay{
		Vni: uint32(d.VNI), Name: d.Name, Servers: each(d.Servers, addrText),
		Requests4: d.Requests4, Replies4: d.Replies4, Requests6: d.Requests6, Replies6: d.Replies6,
		Faults: each(d.Faults, namedCount),
		Recent: each(d.Recent, func(q status.DHCPRequest) *pb.DHCPRequest {
			return &pb.DHCPRequest{
				AgeNs: int64(q.Age), Mac: macText(q.MAC), Type: q.Type, V6: q.V6, Circuit: q.Circuit, Fault: q.Fault,
			}
		}),
	}
}

// FromDHCP is the reverse of DHCP.
func FromDHCP(m *pb.GetDHCPResponse) (status.DHCP, error) {
	var r reader
	s := status.DHCP{VRFs: each(m.GetVrfs(), func(v *pb.DHCPVRF) status.DHCPVRF {
		return status.DHCPVRF{
			Name:      v.GetName(),
			Loopbacks: each(v.GetLoopbacks(), func(a string) netip.Addr { return r.addr("vrfs.loopbacks", a) }),
			Faults:    each(v.GetFaults(), fromNamedCount),
			Relays:    each(v.GetRelays(), r.dhcpRelay),
		}
	})}
	return s, r.err()
}

func (r *reader) dhcpRelay(d *pb.DHCPRelay) status.DHCPRelay {
	return status.DHCPRelay{
		VNI: r.vni("vrfs.relays.vni", d.GetVni(), true), Name: d.GetName(),
		Servers:   each(d.GetServers(), func(a string) netip.Addr { return r.addr("vrfs.relays.servers", a) }),
		Requests4: d.GetRequests4(), Replies4: d.GetReplies4(), Requests6: d.GetRequests6(), Replies6: d.GetReplies6(),
		Faults: each(d.GetFaults(), fromNamedCount),
		Recent: each(d.GetRecent(), func(q *pb.DHCPRequest) status.DHCPRequest {
			return status.DHCPRequest{
				Age: config.Duration(q.GetAgeNs()), MAC: r.mac("vrfs.relays.recent.mac", q.GetMac()), Type: q.GetType(), V6: q.GetV6(),
				Circuit: q.GetCircuit(), Fault: q.GetFault(),
			}
		}),
	}
}

func namedCount(c status.NamedCount) *pb.NamedCount {
	return &pb.NamedCount{Name: c.Name, Count: c.Count}
}

func fromNamedCount(c *pb.NamedCount) status.NamedCount {
	return status.NamedCount{Name: c.GetName(), Count: c.GetCount()}
}

package convert

import (
	"fmt"
	"net/netip"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// VRF returns v as a message.
func VRF(v status.VRF) *pb.VRF {
	return &pb.VRF{
		Name: v.Name, L3Vni: uint32(v.L3VNI), RouterMac: macText(v.RouterMAC), Urpf: v.URPF.String(),
		Gateways: each(v.Gateways, func(g status.Gateway) *pb.Gateway {
			return &pb.Gateway{
				Vni: uint32(g.VNI), Name: g.Name, Mac: macText(g.MAC),
				Addresses: each(g.Addresses, netip.Prefix.String), LinkLocal: addrText(g.LinkLocal),
			}
		}),
		Routes: int64(v.Routes), Neighbours: int64(v.Neighbours),
	}
}

// FromVRF is the reverse of VRF.
func FromVRF(m *pb.VRF) (status.VRF, error) {
	var r reader
	v := status.VRF{
		Name: m.GetName(), L3VNI: r.vni("l3_vni", m.GetL3Vni(), false), RouterMAC: r.mac("router_mac", m.GetRouterMac()),
		Gateways: each(m.GetGateways(), func(g *pb.Gateway) status.Gateway {
			return status.Gateway{
				VNI: r.vni("gateways.vni", g.GetVni(), false), Name: g.GetName(), MAC: r.mac("gateways.mac", g.GetMac()),
				Addresses: r.prefixes("gateways.addresses", g.GetAddresses()), LinkLocal: r.addr("gateways.link_local", g.GetLinkLocal()),
			}
		}),
		Routes: int(m.GetRoutes()), Neighbours: int(m.GetNeighbours()),
	}
	r.text("urpf", m.GetUrpf(), &v.URPF)
	return v, r.err()
}

// Route returns t as a message.
func Route(t status.Route) *pb.Route {
	m := &pb.Route{
		Vrf: t.VRF, Origin: t.Origin, Kind: t.Kind, Best: t.Best, Vni: uint32(t.VNI),
		Contract: t.Contract, From: t.From,
		Paths: each(t.Paths, path),
	}
	if t.Prefix.IsValid() {
		m.Prefix = t.Prefix.String()
	}
	return m
}

func path(p status.Path) *pb.Path {
	return &pb.Path{Host: addrText(p.Host), Vtep: addrText(p.VTEP), Vni: uint32(p.VNI), Mac: macText(p.MAC)}
}

// FromRoute is the reverse of Route.
func FromRoute(m *pb.Route) (status.Route, error) {
	var r reader
	t := r.route("", m)
	return t, r.err()
}

func (r *reader) route(at string, m *pb.Route) status.Route {
	t := status.Route{
		VRF: m.GetVrf(), Origin: m.GetOrigin(), Kind: m.GetKind(), Best: m.GetBest(), VNI: r.vni(at+"vni", m.GetVni(), false),
		Contract: m.GetContract(), From: m.GetFrom(),
	}
	if s := m.GetPrefix(); s != "" {
		for _, p := range r.prefixes(at+"prefix", []string{s}) {
			t.Prefix = p
		}
	}
	for i, p := range m.GetPaths() {
		t.Paths = append(t.Paths, r.path(fmt.Sprintf("%spaths[%d].", at, i), p))
	}
	return t
}

func (r *reader) path(at string, m *pb.Path) status.Path {
	return status.Path{
		Host: r.addr(at+"host", m.GetHost()), VTEP: r.addr(at+"vtep", m.GetVtep()),
		VNI: r.vni(at+"vni", m.GetVni(), false), MAC: r.mac(at+"mac", m.GetMac()),
	}
}

// Neighbour returns n as a message.
func Neighbour(n status.Neighbour) *pb.Neighbour {
	return &pb.Neighbour{
		Vrf: n.VRF, Vni: uint32(n.VNI), Address: addrText(n.Address), Mac: macText(n.MAC), State: n.State, AgeNs: int64(n.Age),
		Source: n.Source, Vtep: addrText(n.VTEP), Port: n.Port,
	}
}

// FromNeighbour is the reverse of Neighbour.
func FromNeighbour(m *pb.Neighbour) (status.Neighbour, error) {
	var r reader
	n := status.Neighbour{
		VRF: m.GetVrf(), VNI: r.vni("vni", m.GetVni(), false), Address: r.addr("address", m.GetAddress()),
		MAC: r.mac("mac", m.GetMac()), State: m.GetState(), Age: config.Duration(m.GetAgeNs()),
		Source: m.GetSource(), VTEP: r.addr("vtep", m.GetVtep()), Port: m.GetPort(),
	}
	return n, r.err()
}

// RouteFilter returns f as a message.
func RouteFilter(f status.RouteFilter) *pb.ListRoutesRequest {
	return &pb.ListRoutesRequest{Vrf: f.VRF, Address: addrText(f.Address)}
}

// FromRouteFilter is the reverse of RouteFilter.
func FromRouteFilter(m *pb.ListRoutesRequest) (status.RouteFilter, error) {
	var r reader
	f := status.RouteFilter{VRF: m.GetVrf(), Address: r.addr("address", m.GetAddress()).Unmap()}
	return f, r.err()
}

// NeighbourFilter returns f as a message.
func NeighbourFilter(f status.NeighbourFilter) *pb.ListNeighboursRequest {
	return &pb.ListNeighboursRequest{Vrf: f.VRF, Vni: uint32(f.VNI), Family: i32(f.Family)}
}

// FromNeighbourFilter is the reverse of NeighbourFilter.
func FromNeighbourFilter(m *pb.ListNeighboursRequest) (status.NeighbourFilter, error) {
	var r reader
	f := status.NeighbourFilter{VRF: m.GetVrf(), VNI: r.vni("vni", m.GetVni(), false), Family: int(m.GetFamily())}
	if f.Family != 0 && f.Family != 4 && f.Family != 6 {
		r.fault("family", "%d is not 4, 6, or 0 for both", f.Family)
	}
	return f, r.err()
}

package convert

import (
	"fmt"
	"net/netip"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// BGP returns b as a message.
func BGP(b *status.BGP) *pb.GetBGPResponse {
	return &pb.GetBGPResponse{
		Enabled: b.Enabled, As: b.AS, RouterId: addrText(b.RouterID),
		Peers: each(b.Peers, func(p status.BGPPeer) *pb.BGPPeer {
			return &pb.BGPPeer{
				Name: p.Name, Address: addrText(p.Address), As: p.AS, Client: p.Client, State: p.State, AgeNs: int64(p.Age),
				Received: p.Received, Advertised: p.Advertised, RxMessages: p.RxMessages, TxMessages: p.TxMessages,
				Ignored: p.Ignored, Restarting: p.Restarting, Error: p.Error, Vrf: p.VRF,
			}
		}),
		External: each(b.External, func(x status.ExternalVRF) *pb.ExternalVRF {
			return &pb.ExternalVRF{Vrf: x.VRF, As: x.AS, Routes: int64(x.Routes), Faults: each(x.Faults, namedCount)}
		}),
	}
}

// FromBGP is the reverse of BGP.
func FromBGP(m *pb.GetBGPResponse) (status.BGP, error) {
	var r reader
	b := status.BGP{
		Enabled: m.GetEnabled(), AS: m.GetAs(), RouterID: r.addr("router_id", m.GetRouterId()),
		Peers: each(m.GetPeers(), func(p *pb.BGPPeer) status.BGPPeer {
			return status.BGPPeer{
				Name: p.GetName(), Address: r.addr("peers.address", p.GetAddress()), AS: p.GetAs(), Client: p.GetClient(),
				State: p.GetState(), Age: config.Duration(p.GetAgeNs()),
				Received: p.GetReceived(), Advertised: p.GetAdvertised(),
				RxMessages: p.GetRxMessages(), TxMessages: p.GetTxMessages(),
				Ignored: p.GetIgnored(), Restarting: p.GetRestarting(), Error: p.GetError(), VRF: p.GetVrf(),
			}
		}),
		External: each(m.GetExternal(), func(x *pb.ExternalVRF) status.ExternalVRF {
			return status.ExternalVRF{VRF: x.GetVrf(), AS: x.GetAs(), Routes: int(x.GetRoutes()), Faults: each(x.GetFaults(), fromNamedCount)}
		}),
	}
	return b, r.err()
}

// EVPN returns e as a message.
func EVPN(e *status.EVPN) *pb.GetEVPNResponse {
	return &pb.GetEVPNResponse{
		Enabled: e.Enabled, Vtep: addrText(e.VTEP), Routes: int64(e.Routes), Paths: int64(e.Paths),
		Domains: each(e.Domains, func(d status.EVPNDomain) *pb.EVPNDomain {
			return &pb.EVPNDomain{
				Vni: uint32(d.VNI), Name: d.Name, Rd: d.RD, Import: d.Import, Export: d.Export,
				Vteps: each(d.VTEPs, addrText), Local: int64(d.Local), Remote: int64(d.Remote),
				Suppression: suppression(d.Suppression),
			}
		}),
		Refusals: each(e.Refusals, func(x status.EVPNRefusal) *pb.EVPNRefusal {
			return &pb.EVPNRefusal{
				Vtep: addrText(x.VTEP), Vni: uint32(x.VNI), Reason: x.Reason, Count: x.Count, Route: x.Route, AgeNs: int64(x.Age),
			}
		}),
		Segments: each(e.Segments, segment), Groups: each(e.Groups, group),
	}
}

// FromEVPN is the reverse of EVPN.
func FromEVPN(m *pb.GetEVPNResponse) (status.EVPN, error) {
	var r reader
	e := status.EVPN{
		Enabled: m.GetEnabled(), VTEP: r.addr("vtep", m.GetVtep()), Routes: int(m.GetRoutes()), Paths: int(m.GetPaths()),
		Domains: each(m.GetDomains(), func(d *pb.EVPNDomain) status.EVPNDomain {
			return status.EVPNDomain{
				VNI: r.vni("domains.vni", d.GetVni(), true), Name: d.GetName(), RD: d.GetRd(),
				Import: d.GetImport(), Export: d.GetExport(),
				VTEPs: each(d.GetVteps(), func(s string) netip.Addr { return r.addr("domains.vteps", s) }),
				Local: int(d.GetLocal()), Remote: int(d.GetRemote()),
				Suppression: fromSuppression(d.GetSuppression()),
			}
		}),
		Refusals: each(m.GetRefusals(), func(x *pb.EVPNRefusal) status.EVPNRefusal {
			return status.EVPNRefusal{
				VTEP: r.addr("refusals.vtep", x.GetVtep()), VNI: r.vni("refusals.vni", x.GetVni(), false),
				Reason: x.GetReason(), Count: x.GetCount(), Route: x.GetRoute(), Age: config.Duration(x.GetAgeNs()),
			}
		}),
		Segments: each(m.GetSegments(), r.segment), Groups: each(m.GetGroups(), r.group),
	}
	return e, r.err()
}

// Move returns v as a message.
func Move(v status.Move) *pb.Move {
	return &pb.Move{
		Kind: v.Kind, AgeNs: int64(v.Age), Vni: uint32(v.VNI), Mac: macText(v.MAC),
		From: addrText(v.From), To: addrText(v.To), Port: v.Port, Seq: v.Seq,
		Address: addrText(v.Address),
	}
}

// FromMove is the reverse of Move.
func FromMove(m *pb.Move) (status.Move, error) {
	var r reader
	v := status.Move{
		Kind: m.GetKind(), Age: config.Duration(m.GetAgeNs()), VNI: r.vni("vni", m.GetVni(), true), MAC: r.mac("mac", m.GetMac()),
		From: r.addr("from", m.GetFrom()), To: r.addr("to", m.GetTo()), Port: m.GetPort(), Seq: m.GetSeq(),
		Address: r.addr("address", m.GetAddress()),
	}
	return v, r.err()
}

// Duplicate returns d as a message.
func Duplicate(d status.Duplicate) *pb.Duplicate {
	return &pb.Duplicate{
		Vni: uint32(d.VNI), Mac: macText(d.MAC), Keeper: addrText(d.Keeper), Newcomer: addrText(d.Newcomer),
		AgeNs: int64(d.Age), LeftNs: int64(d.Left), Address: addrText(d.Address),
	}
}

// FromDuplicate is the reverse of Duplicate.
func FromDuplicate(m *pb.Duplicate) (status.Duplicate, error) {
	var r reader
	d := status.Duplicate{
		VNI: r.vni("vni", m.GetVni(), true), MAC: r.mac("mac", m.GetMac()),
		Keeper: r.addr("keeper", m.GetKeeper()), Newcomer: r.addr("newcomer", m.GetNewcomer()),
		Age: config.Duration(m.GetAgeNs()), Left: config.Duration(m.GetLeftNs()),
		Address: r.addr("address", m.GetAddress()),
	}
	return d, r.err()
}

func suppression(s *status.Suppression) *pb.Suppression {
	if s == nil {
		return nil
	}
	return &pb.Suppression{
		Drop: s.Drop, Local: int64(s.Local), Known: int64(s.Known),
		Counts: each(s.Counts, namedCount),
	}
}

func fromSuppression(m *pb.Suppression) *status.Suppression {
	if m == nil {
		return nil
	}
	return &status.Suppression{
		Drop: m.GetDrop(), Local: int(m.GetLocal()), Known: int(m.GetKnown()),
		Counts: each(m.GetCounts(), fromNamedCount),
	}
}

// FromRelease reads a request to release a MAC, or the address that is valid.
func FromRelease(m *pb.ReleaseDuplicateRequest) (vni table.VNI, mac table.MAC, ip netip.Addr, err error) {
	var r reader
	vni, mac, ip = r.vni("vni", m.GetVni(), true), r.mac("mac", m.GetMac()), r.addr("address", m.GetAddress())
	switch {
	case ip.IsValid() && mac != 0:
		r.faults = append(r.faults, config.Fault{Path: "address", Problem: "an address and a MAC", Fix: "give one of them"})
		return vni, mac, ip, r.err()
	case ip.IsValid():
		return vni, mac, ip, r.err()
	}
	if mac == 0 && m.GetMac() == "" {
		r.faults = append(r.faults, config.Fault{Path: "mac", Problem: "no MAC address"})
	} else if mac.IsMulticast() {
		r.faults = append(r.faults, config.Fault{Path: "mac", Problem: fmt.Sprintf("%s is a group address", mac)})
	}
	return vni, mac, ip, r.err()
}

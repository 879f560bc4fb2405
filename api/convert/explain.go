package convert

import (
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// ExplainQuery returns q as a message.
func ExplainQuery(q status.ExplainQuery) *pb.ExplainRequest {
	return &pb.ExplainRequest{Mac: macText(q.MAC), Address: addrText(q.Address), Vni: uint32(q.VNI)}
}

// FromExplainQuery is the reverse of ExplainQuery.
func FromExplainQuery(m *pb.ExplainRequest) (status.ExplainQuery, error) {
	var r reader
	q := status.ExplainQuery{
		MAC: r.mac("mac", m.GetMac()), Address: r.addr("address", m.GetAddress()).Unmap(), VNI: r.vni("vni", m.GetVni(), false),
	}
	switch {
	case (q.MAC != 0) == q.Address.IsValid():
		r.faults = append(r.faults, config.Fault{Path: "mac", Problem: "one of mac and address is wanted"})
	case q.MAC.IsMulticast():
		r.fault("mac", "%s is a group address: it is nowhere", q.MAC)
	}
	return q, r.err()
}

// Explanation returns e as a message.
func Explanation(e status.Explanation) *pb.ExplainResponse {
	return &pb.ExplainResponse{Why: e.Why, Places: each(e.Places, func(p status.Place) *pb.Place {
		return &pb.Place{
			Vni: uint32(p.VNI), Name: p.Name, Mac: macText(p.MAC), Address: addrText(p.Address), Kind: p.Kind, Port: p.Port,
			Vlan: uint32(p.VLAN), Vtep: addrText(p.VTEP), Segment: p.Segment, Source: p.Source, Why: p.Why,
			Routes: each(p.Routes, func(x status.ExplainedRoute) *pb.ExplainedRoute {
				return &pb.ExplainedRoute{
					Rd: x.RD, Mac: macText(x.MAC), Address: addrText(x.Address), NextHop: addrText(x.NextHop), Label: uint32(x.Label),
					Seq: x.Seq, Sticky: x.Sticky, Rts: x.RTs, Own: x.Own, From: addrText(x.From), Best: x.Best, Used: x.Used,
				}
			}),
			Keys: explainedKeys(p.Keys),
		}
	}), Routed: each(e.Routed, func(x status.Routed) *pb.Routed {
		return &pb.Routed{Route: Route(x.Route), Why: x.Why, Ways: each(x.Ways, func(w status.Way) *pb.Way {
			return &pb.Way{Path: path(w.Path), Keys: explainedKeys(w.Keys), Why: w.Why}
		})}
	})}
}

func explainedKeys(k *status.ExplainedKeys) *pb.ExplainedKeys {
	if k == nil {
		return nil
	}
	return &pb.ExplainedKeys{
		Cipher: k.Cipher.String(), TxSci: sciText(k.TxSCI), TxAn: k.TxSA, RxScs: k.RxSCs,
		Peers: each(k.Peers, func(p status.KeyPeer) *pb.KeyPeer {
			m := &pb.KeyPeer{Name: p.Name, Carrier: p.Carrier.String(), Endpoint: apText(p.Endpoint), Usable: p.Usable}
			if !p.PublicKey.IsZero() {
				m.PublicKey = p.PublicKey.String()
			}
			return m
		}),
	}
}

// FromExplanation is the reverse of Explanation.
func FromExplanation(m *pb.ExplainResponse) (status.Explanation, error) {
	var r reader
	e := status.Explanation{Why: m.GetWhy(), Places: each(m.GetPlaces(), func(p *pb.Place) status.Place {
		return status.Place{
			VNI: r.vni("places.vni", p.GetVni(), true), Name: p.GetName(), MAC: r.mac("places.mac", p.GetMac()),
			Address: r.addr("places.address", p.GetAddress()), Kind: p.GetKind(), Port: p.GetPort(),
			VLAN: uint16(r.small("places.vlan", p.GetVlan(), 4094)), VTEP: r.addr("places.vtep", p.GetVtep()), Segment: p.GetSegment(),
			Source: p.GetSource(), Why: p.GetWhy(),
			Routes: each(p.GetRoutes(), func(x *pb.ExplainedRoute) status.ExplainedRoute {
				return status.ExplainedRoute{
					RD: x.GetRd(), MAC: r.mac("places.routes.mac", x.GetMac()), Address: r.addr("places.routes.address", x.GetAddress()),
					NextHop: r.addr("places.routes.next_hop", x.GetNextHop()), Label: table.VNI(x.GetLabel()), Seq: x.GetSeq(),
					Sticky: x.GetSticky(), RTs: x.GetRts(), Own: x.GetOwn(), From: r.addr("places.routes.from", x.GetFrom()),
					Best: x.GetBest(), Used: x.GetUsed(),
				}
			}),
			Keys: fromExplainedKeys(&r, p.GetKeys()),
		}
	}), Routed: each(m.GetRouted(), func(x *pb.Routed) status.Routed {
		return status.Routed{Route: r.route("routed.route.", x.GetRoute()), Why: x.GetWhy(), Ways: each(x.GetWays(), func(w *pb.Way) status.Way {
			return status.Way{Path: r.path("routed.ways.path.", w.GetPath()), Keys: fromExplainedKeys(&r, w.GetKeys()), Why: w.GetWhy()}
		})}
	})}
	return e, r.err()
}

func fromExplainedKeys(r *reader, m *pb.ExplainedKeys) *status.ExplainedKeys {
	if m == nil {
		return nil
	}
	k := &status.ExplainedKeys{TxSA: m.GetTxAn(), RxSCs: m.GetRxScs()}
	r.text("places.keys.cipher", m.GetCipher(), &k.Cipher)
	r.text("places.keys.tx_sci", m.GetTxSci(), &k.TxSCI)
	k.Peers = each(m.GetPeers(), func(p *pb.KeyPeer) status.KeyPeer {
		x := status.KeyPeer{Name: p.GetName(), Endpoint: r.addrPort("places.keys.peers.endpoint", p.GetEndpoint()), Usable: p.GetUsable()}
		r.text("places.keys.peers.carrier", p.GetCarrier(), &x.Carrier)
		r.text("places.keys.peers.public_key", p.GetPublicKey(), &x.PublicKey)
		return x
	})
	return k
}

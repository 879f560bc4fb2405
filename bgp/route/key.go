package route

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// ErrNLRI is wrapped by errors about an NLRI that has no form in the other
// package's types.
var ErrNLRI = errors.New("bgp/route: no such NLRI")

// Key returns what tells the route of n from others.
func Key(n bgp.NLRI) (evpn.Key, error) {
	e, ok := n.(*bgp.EVPNNLRI)
	if !ok {
		return evpn.Key{}, fmt.Errorf("%w: %T is not of EVPN", ErrNLRI, n)
	}
	switch d := e.RouteTypeData.(type) {
	case *bgp.EVPNEthernetAutoDiscoveryRoute:
		rd, err := rdFrom(d.RD)
		return evpn.KeyOfAD(rd, esiFrom(d.ESI), d.ETag), err
	case *bgp.EVPNMacIPAdvertisementRoute:
		if len(d.MacAddress) != 6 {
			return evpn.Key{}, fmt.Errorf("%w: MAC of %d octets", ErrNLRI, len(d.MacAddress))
		}
		rd, err := rdFrom(d.RD)
		return evpn.KeyOfMAC(rd, d.ETag, table.MACFrom(d.MacAddress), d.IPAddress), err
	case *bgp.EVPNMulticastEthernetTagRoute:
		rd, err := rdFrom(d.RD)
		return evpn.KeyOfMulticast(rd, d.ETag, d.IPAddress), err
	case *bgp.EVPNEthernetSegmentRoute:
		rd, err := rdFrom(d.RD)
		return evpn.KeyOfSegment(rd, esiFrom(d.ESI), d.IPAddress), err
	case *bgp.EVPNIPPrefixRoute:
		rd, err := rdFrom(d.RD)
		if err != nil {
			return evpn.Key{}, err
		}
		p := netip.PrefixFrom(d.IPPrefix, int(d.IPPrefixLength))
		if !p.IsValid() {
			return evpn.Key{}, fmt.Errorf("%w: prefix %v/%d", ErrNLRI, d.IPPrefix, d.IPPrefixLength)
		}
		return evpn.KeyOfPrefix(rd, d.ETag, p), nil
	}
	return evpn.Key{}, fmt.Errorf("%w: EVPN route type %d", ErrNLRI, e.RouteType)
}

// NLRI returns the NLRI of a withdrawal: k, and labels of 0.
func NLRI(k evpn.Key) (bgp.NLRI, error) { return nlri(k, &evpn.Attrs{}) }

// nlri returns k with those attributes that travel in the NLRI.
func nlri(k evpn.Key, a *evpn.Attrs) (bgp.NLRI, error) {
	rd, err := rdTo(k.RD)
	if err != nil {
		return nil, err
	}
	switch k.Kind {
	case evpn.AutoDiscovery:
		return bgp.NewEVPNEthernetAutoDiscoveryRoute(rd, esiTo(k.ESI), k.Tag, uint32(a.Label1)), nil
	case evpn.MACIP:
		mac := make([]byte, 6)
		k.MAC.Put(mac)
		labels := []uint32{uint32(a.Label1)}
		if a.Label2 != 0 {
			labels = append(labels, uint32(a.Label2))
		}
		return bgp.NewEVPNNLRI(bgp.EVPN_ROUTE_TYPE_MAC_IP_ADVERTISEMENT, &bgp.EVPNMacIPAdvertisementRoute{
			RD: rd, ESI: esiTo(a.ESI), ETag: k.Tag,
			MacAddressLength: 48, MacAddress: mac,
			IPAddressLength: uint8(k.IP.BitLen()), IPAddress: k.IP,
			Labels: labels,
		}), nil
	case evpn.Multicast:
		if !k.IP.IsValid() {
			return nil, fmt.Errorf("%w: %v without originator", ErrNLRI, k)
		}
		return bgp.NewEVPNMulticastEthernetTagRoute(rd, k.Tag, k.IP)
	case evpn.Segment:
		if !k.IP.IsValid() {
			return nil, fmt.Errorf("%w: %v without originator", ErrNLRI, k)
		}
		return bgp.NewEVPNEthernetSegmentRoute(rd, esiTo(k.ESI), k.IP)
	case evpn.Prefix:
		return prefixTo(rd, k, a)
	}
	return nil, fmt.Errorf("%w: kind %v", ErrNLRI, k.Kind)
}

func prefixTo(rd bgp.RouteDistinguisherInterface, k evpn.Key, a *evpn.Attrs) (bgp.NLRI, error) {
	p := k.Prefix()
	if !p.IsValid() {
		return nil, fmt.Errorf("%w: %v", ErrNLRI, k)
	}
	gw := a.Gateway
	if !gw.IsValid() {
		gw = netip.IPv6Unspecified()
		if p.Addr().Is4() {
			gw = netip.IPv4Unspecified()
		}
	}
	if gw.Is4() != p.Addr().Is4() {
		return nil, fmt.Errorf("%w: %v with gateway %v of the other family", ErrNLRI, k, gw)
	}
	return bgp.NewEVPNIPPrefixRoute(rd, esiTo(a.ESI), k.Tag, k.Bits, p.Addr(), gw, uint32(a.Label1))
}

// inNLRI puts into a what travels in the NLRI beside the key.
func inNLRI(n *bgp.EVPNNLRI, a *evpn.Attrs) {
	switch d := n.RouteTypeData.(type) {
	case *bgp.EVPNEthernetAutoDiscoveryRoute:
		a.Label1 = table.VNI(d.Label)
	case *bgp.EVPNMacIPAdvertisementRoute:
		a.ESI = esiFrom(d.ESI)
		if len(d.Labels) > 0 {
			a.Label1 = table.VNI(d.Labels[0])
		}
		if len(d.Labels) > 1 {
			a.Label2 = table.VNI(d.Labels[1])
		}
	case *bgp.EVPNIPPrefixRoute:
		a.ESI = esiFrom(d.ESI)
		a.Label1 = table.VNI(d.Label)
		if d.GWIPAddress.IsValid() && !d.GWIPAddress.IsUnspecified() {
			a.Gateway = d.GWIPAddress
		}
	}
}

func rdFrom(rd bgp.RouteDistinguisherInterface) (evpn.RD, error) {
	if rd == nil {
		return evpn.RD{}, nil
	}
	b, err := rd.Serialize()
	if err != nil || len(b) != 8 {
		return evpn.RD{}, fmt.Errorf("%w: route distinguisher %v", ErrNLRI, rd)
	}
	return evpn.RD(b), nil
}

func rdTo(rd evpn.RD) (bgp.RouteDistinguisherInterface, error) {
	if rd[0] != 0 || rd[1] > 2 {
		return nil, fmt.Errorf("%w: route distinguisher %v of a type above 2", ErrNLRI, rd)
	}
	return bgp.GetRouteDistinguisher(rd[:]), nil
}

func esiFrom(e bgp.EthernetSegmentIdentifier) (out evpn.ESI) {
	out[0] = uint8(e.Type)
	copy(out[1:], e.Value)
	return out
}

func esiTo(e evpn.ESI) bgp.EthernetSegmentIdentifier {
	return bgp.EthernetSegmentIdentifier{Type: bgp.ESIType(e[0]), Value: append([]byte(nil), e[1:]...)}
}

package route

import (
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// Unicast is an IPv4 or IPv6 route, as routers outside the fabric speak it.
type Unicast struct {
	Prefix  netip.Prefix
	NextHop netip.Addr
	// ASPath is a sequence; sets in it (deprecated) are as their members.
	ASPath      []uint32
	Origin      uint8 // 0 IGP, 1 EGP, 2 incomplete
	MED         uint32
	LocalPref   uint32 // 0: none
	Communities []uint32
}

// EncodeUnicast returns GoBGP's form of u.
func EncodeUnicast(u Unicast) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
	n, family, err := prefixNLRI(u.Prefix)
	if err != nil {
		return nil, nil, err
	}
	if !usable(u.NextHop) {
		return nil, nil, fmt.Errorf("bgp/route: %v: next hop %v", u.Prefix, u.NextHop)
	}
	if len(u.ASPath) > 255 {
		return nil, nil, fmt.Errorf("bgp/route: %v: AS path of %d", u.Prefix, len(u.ASPath))
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(family, []bgp.PathNLRI{{NLRI: n}}, u.NextHop)
	if err != nil {
		return nil, nil, fmt.Errorf("bgp/route: %v: %w", u.Prefix, err)
	}
	attrs := append(common(u.ASPath, u.Origin, u.MED, u.LocalPref), reach)
	if len(u.Communities) > 0 {
		attrs = append(attrs, bgp.NewPathAttributeCommunities(u.Communities))
	}
	return n, attrs, nil
}

// UnicastNLRI returns the NLRI of a withdrawal of p.
func UnicastNLRI(p netip.Prefix) (bgp.NLRI, error) {
	n, _, err := prefixNLRI(p)
	return n, err
}

// UnicastFamily returns the address family of p.
func UnicastFamily(p netip.Prefix) bgp.Family {
	if p.Addr().Is4() {
		return bgp.RF_IPv4_UC
	}
	return bgp.RF_IPv6_UC
}

func prefixNLRI(p netip.Prefix) (bgp.NLRI, bgp.Family, error) {
	n, err := bgp.NewIPAddrPrefix(p)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: prefix %v: %w", ErrNLRI, p, err)
	}
	return n, UnicastFamily(p), nil
}

// DecodeUnicast returns the route of an NLRI and its path attributes, of which
// a withdrawal has none.
func DecodeUnicast(n bgp.NLRI, attrs []bgp.PathAttributeInterface) (Unicast, error) {
	p, ok := n.(*bgp.IPAddrPrefix)
	if !ok {
		return Unicast{}, fmt.Errorf("%w: %T is no IP prefix", ErrNLRI, n)
	}
	u := Unicast{Prefix: p.Prefix.Masked()}
	for _, x := range attrs {
		switch x := x.(type) {
		case *bgp.PathAttributeNextHop:
			u.NextHop = x.Value.Unmap()
		case *bgp.PathAttributeMpReachNLRI:
			u.NextHop = x.Nexthop.Unmap()
		case *bgp.PathAttributeAsPath:
			for _, seg := range x.Value {
				u.ASPath = append(u.ASPath, seg.GetAS()...)
			}
		case *bgp.PathAttributeOrigin:
			u.Origin = x.Value
		case *bgp.PathAttributeMultiExitDisc:
			u.MED = x.Value
		case *bgp.PathAttributeLocalPref:
			u.LocalPref = x.Value
		case *bgp.PathAttributeCommunities:
			u.Communities = x.Value
		}
	}
	return u, nil
}

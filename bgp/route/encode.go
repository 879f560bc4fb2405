package route

import (
	"fmt"
	"net/netip"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
)

// Encode returns the NLRI and the path attributes of a route that this node
// announces, the next hop in MP_REACH_NLRI. Of Preference it takes Origin,
// LocalPref and MED where they are not 0; the AS path is empty.
func Encode(r evpn.Route) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
	if !usable(r.Attrs.NextHop) {
		return nil, nil, fmt.Errorf("bgp/route: %v: next hop %v", r.Key, r.Attrs.NextHop)
	}
	n, err := nlri(r.Key, &r.Attrs)
	if err != nil {
		return nil, nil, err
	}
	reach, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_EVPN, []bgp.PathNLRI{{NLRI: n}}, r.Attrs.NextHop)
	if err != nil {
		return nil, nil, fmt.Errorf("bgp/route: %v: %w", r.Key, err)
	}
	attrs := common(nil, r.Attrs.Preference.Origin, r.Attrs.Preference.MED, r.Attrs.Preference.LocalPref)
	attrs = append(attrs, reach)
	ext, err := communities(&r.Attrs)
	if err != nil {
		return nil, nil, fmt.Errorf("%v: %w", r.Key, err)
	}
	if len(ext) > 0 {
		attrs = append(attrs, bgp.NewPathAttributeExtendedCommunities(ext))
	}
	if r.Attrs.PMSI.Present {
		p, err := pmsiTo(r.Attrs.PMSI)
		if err != nil {
			return nil, nil, fmt.Errorf("%v: %w", r.Key, err)
		}
		attrs = append(attrs, p)
	}
	return n, attrs, nil
}

// common returns the attributes that every path has, and those that are not 0.
func common(path []uint32, origin uint8, med, localPref uint32) []bgp.PathAttributeInterface {
	var segs []bgp.AsPathParamInterface
	if len(path) > 0 {
		segs = append(segs, bgp.NewAs4PathParam(bgp.BGP_ASPATH_ATTR_TYPE_SEQ, path))
	}
	attrs := []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(origin), bgp.NewPathAttributeAsPath(segs)}
	if med != 0 {
		attrs = append(attrs, bgp.NewPathAttributeMultiExitDisc(med))
	}
	if localPref != 0 {
		attrs = append(attrs, bgp.NewPathAttributeLocalPref(localPref))
	}
	return attrs
}

// Member returns the NLRI and attributes of route target memberships (RFC 4684
// section 4): a path for each route target, or with all the default one.
func Member(asn uint32, rt evpn.RT, all bool, nextHop netip.Addr) (bgp.NLRI, []bgp.PathAttributeInterface, error) {
	var target bgp.ExtendedCommunityInterface
	if all {
		asn = 0
	} else {
		var err error
		if target, err = bgp.ParseExtended(rt[:]); err != nil {
			return nil, nil, fmt.Errorf("bgp/route: route target %v: %w", rt, err)
		}
	}
	n := bgp.NewRouteTargetMembershipNLRI(asn, target)
	reach, err := bgp.NewPathAttributeMpReachNLRI(bgp.RF_RTC_UC, []bgp.PathNLRI{{NLRI: n}}, nextHop)
	if err != nil {
		return nil, nil, fmt.Errorf("bgp/route: membership of %v: %w", rt, err)
	}
	return n, append(common(nil, 0, 0, 0), reach), nil
}

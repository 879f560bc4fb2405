package unicast

import (
	"net/netip"
	"slices"
)

// Fault is why a route is not taken.
type Fault uint8

// The values of Fault.
const (
	None       Fault = iota
	NotAllowed       // the neighbour may not announce the prefix
	OwnSubnet        // the prefix is a subnet or an address of the VRF, or lies in one
	OwnAS            // the AS path has the fabric's own AS: it comes back
	FirstAS          // the AS path does not begin with the neighbour's AS (RFC 4271 section 6.3)
	LongPath         // the AS path is longer than MaxPath
	NextHop          // the next hop is no neighbour
	Family           // the prefix is of another family than the session's addresses, or IPv4 mapped into IPv6
	Stranger         // nobody configured announces it
	numFaults
)

// NumFaults is how many values Fault has.
const NumFaults = int(numFaults)

var faultNames = [...]string{
	None: "none", NotAllowed: "not-allowed", OwnSubnet: "own-subnet", OwnAS: "own-as", FirstAS: "first-as", LongPath: "long-path", NextHop: "next-hop", Family: "family",
	Stranger: "stranger",
}

// String returns the fault's name.
func (f Fault) String() string { return faultNames[f] }

// check returns why n's route u is not taken.
func (r *RIB) check(n *Neighbor, u *Route) Fault {
	switch {
	case u.Prefix.Addr().Is4() != n.Addr.Is4(), u.Prefix.Addr().Is4In6():
		return Family
	case !within(n.Accept, u.Prefix):
		return NotAllowed
	case within(r.own, u.Prefix):
		return OwnSubnet
	case len(u.ASPath) > MaxPath:
		return LongPath
	case len(u.ASPath) == 0 || u.ASPath[0] != n.AS:
		return FirstAS
	case slices.Contains(u.ASPath, r.as):
		return OwnAS
	}
	if _, ok := r.neighbors[u.NextHop]; !ok {
		return NextHop
	}
	return None
}

// within reports whether p is one of ps, or lies in one.
func within(ps []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(ps, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}

package evpn

import "net/netip"

// Prefixes calls f for each prefix of a VRF with its next hops as published, in no
// order, until it returns false. f does not change the speaker or hops.
func (s *Speaker) Prefixes(id VRFID, f func(p netip.Prefix, hops []NextHop) bool) {
	v := s.vrfs[id]
	if v == nil {
		return
	}
	for _, p := range v.prefixes {
		if len(p.out) > 0 && !f(p.p, p.out) {
			return
		}
	}
}

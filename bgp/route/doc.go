// Package route converts routes between package evpn's types and GoBGP's.
//
//	evpn.Route --Encode-->  bgp.NLRI + path attributes  --Decoder--> evpn.Route
//
// It knows wire formats, not what they mean: RFC 7432 section 7 (types 1 to 4 and
// their communities), RFC 9136 section 3.1 (type 5), RFC 8365 section 5.1.3 (labels
// are VNIs, all 24 bits), RFC 8584 section 2.2 (DF election), RFC 9047 section 2
// (ARP/ND), RFC 9135 section 8.1 (router's MAC). Extended communities of EVPN are
// under the types of package scrub, as everywhere in GoBGP.
//
// No socket, no goroutine, no clock, no log.
package route

// Package evpn is what EVPN means: it turns routes of peers and what happens at
// this node into tables, and into the routes that this node announces.
//
//	peers' routes (Update) ---+
//	local MACs, prefixes -----+--> Speaker --> Changes
//	peers up, down, tick -----+               routes to announce, MACs, flood
//	                                          lists, neighbours, prefixes, events
//
// It follows RFC 7432 (types 1 to 4), RFC 8365 (VXLAN), RFC 8584 (election of
// the DF), RFC 9135 (IRB) and RFC 9136 (type 5); docs/evpn.md says which section
// is done where. It holds no codec: whoever speaks BGP converts to and from the
// types here.
//
// Layer 2. Pure: no socket, no goroutine, no clock and no log; time is passed in
// as nanoseconds since any fixed moment. The same inputs in the same order give
// the same outputs.
package evpn

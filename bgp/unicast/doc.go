// Package unicast chooses among the IPv4 and IPv6 routes that routers outside the
// fabric announce to the gateways of one VRF: what it takes of them, and which of them
// lead (RFC 4271 section 9.1, for eBGP alone, several next hops for one prefix).
//
//	Update, Down, Configure --> RIB --> Change{Prefix, Paths}
//
// Nobody outside is believed more than the configuration says: a prefix has to be
// one that the neighbour may announce, by a next hop that is a neighbour itself. Each
// route that is not taken is counted under one Fault.
//
// Pure: no socket, no goroutine, no clock, no log. One goroutine at a time.
package unicast

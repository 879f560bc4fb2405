// Package proxy answers ARP requests and neighbour solicitations of local hosts on
// behalf of those that other nodes announce, so that address resolution is not
// flooded through the fabric (proxy ARP and ND, RFC 9161).
//
//	worker                                         control, one goroutine
//	ARP, ND of a local host
//	  -> Read -> Domain.Snoop -- Event ----------> Bindings.Work    at which circuit
//	          -> Domain.Answer: a reply, or none     | who has which address
//	               ^                                 | Tick: probes, ageing, disputes
//	               +------- FIB of the domain <------+ Remote: what EVPN says
//
// A worker decodes the frame, looks the address up in an immutable table, and
// writes the reply: no copy, no lock, no allocation. Only what the table does not
// say yet is told to control, bounded by a rate for each bridge domain. Frames that
// are neither ARP nor ND cost one comparison.
//
// Layer 2, a part of the bridge. Pure: time is passed in, there is no goroutine and
// no log.
package proxy

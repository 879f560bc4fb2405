// Package l3 is routing inside tenants: VRFs with their FIBs, the anycast gateway
// of a bridge domain, and what is known of its neighbours (integrated routing and
// bridging, RFC 9135).
//
//	worker                                     slow path and control
//	frame to the gateway's MAC
//	  -> Router.Route -> Decision               Neighbours (ARP, ND)
//	       | Host: rewrite, bridge domain       ^ what was seen, what is wanted
//	       | Leaf: rewrite, L3VNI, VTEP         | probes, and routes to hosts
//	       | Punt ----------------------------> Answer, ICMP
//	ARP, ND -> Interface.Inspect -------------> Sender, Answer
//
// Every gateway of a bridge domain has the same MAC and the same addresses on
// every leaf; a leaf's router MAC, by which other leaves send into its L3VNI, is
// its own. A lookup takes place in one VRF's FIB and names bridge domains and
// VTEPs by their handles; whoever acts on the decision finds them in the snapshot
// and makes sure that they belong to the same VRF. So tenants may use the same
// addresses, and nothing crosses.
//
// What workers see (VRF, Interface, Route) is immutable but for cells: FIBs and
// Neighbours' MACs, which outlive the snapshots that point at them.
//
// Layer 2. Pure: time is passed in, there is no goroutine and no log.
package l3

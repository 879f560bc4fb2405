// Package routes measures how fast a leaf takes EVPN routes: a BGP speaker of its
// own sends MACs (type 2) and IP prefixes (type 5) to a real ztos-engine, and the
// same bytes to FRR with the kernel's VXLAN, bridge and FIB.
//
//	host h1 -- t1 [ ztos-engine ] e0 ---- p0 [ speaker ]      192.0.2.1, 192.0.2.2
//	host h2 -- t2 [   VRF red   ]
//
//	    [ FRR: bgpd, zebra; bridge, vxlan ] e0 ---- p0 [ speaker ]
//
// The time is from the first UPDATE until every route is where packets find it:
// the FDB and the FIB of the engine, the kernel's VXLAN FDB and FIB for FRR. While
// the engine loads, numbered datagrams are routed by its VRF from h1 to h2.
//
// Layer 5. It needs root: network namespaces. FRR's programs are Debian's.
package routes

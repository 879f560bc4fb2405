// Package bgp speaks BGP for a node: sessions and their routes, by GoBGP v4 as a
// library, which nothing outside this folder knows.
//
//	Config --Apply--> Speaker --Next--> events: routes of peers, sessions up and
//	                                    down, End-of-RIB
//	routes --Announce, Withdraw-->      to all peers
//
// What an EVPN route means is package evpn's matter. What this package adds to
// GoBGP: connections that run wherever the node wants them (package relay),
// tolerance of routes that GoBGP would end the session for (package scrub), and
// types of this project in place of GoBGP's (package route).
//
// One Speaker has one table of routes: the fabric's EVPN is one, and each VRF that
// has routers outside the fabric needs one of its own, since prefixes of VRFs
// overlap.
//
// Goroutines are the Speaker's and end with Close. Layer 3.
package bgp

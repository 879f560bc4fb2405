// Package moves measures how long a fabric takes to follow a host that moves from one
// leaf to another. Real engines run the EVPN lab; a stream of numbered datagrams goes
// from a host at leaf3 to a MAC that lives at leaf1 or leaf2:
//
//	red3 -- leaf3 ==== spine1, spine2 ==== leaf1 -- red1    the MAC is here,
//	  10,000 datagrams a second  \\======= leaf2 -- red2    and then here
//
// A move is a gratuitous ARP of the MAC at its new place. From that frame on, each
// datagram that does not come out there is one that a host which has moved loses.
//
// Layer 5. It needs root: network namespaces.
package moves

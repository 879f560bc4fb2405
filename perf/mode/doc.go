// Package mode has the ways from one host of the test bed to the other that
// measurements compare: ZTOS with each of its layers, its peers, and nothing.
//
//	engine      ZTOS: MACsec leaf to leaf, VXLAN, WireGuard hop by hop, each on or off
//	wireguard   wireguard-go, routed, hop by hop or end to end
//	vxlan       bridges and the kernel's VXLAN, on the underlay or over wireguard-go
//	nebula      nebula, routed, end to end
//	bare        the kernels route, without any tunnel
//
// Hop by hop is tunnels leaf1-spine1 and spine1-leaf2, the same work as ZTOS
// does; end to end is one tunnel leaf1-leaf2, which saves the spine's ciphers
// and is what one does without a spine to trust: spine1's kernel forwards.
//
// All modes of a run are up from start to end on one bed, each with links of its
// own to the hosts and numbers of its own in addresses, ports and names of
// devices. Those that are not measured carry no traffic, and may
// be paused.
package mode

// Package quick is the short comparison that `make perf-quick` runs: one TCP
// stream through ZTOS with all three layers on, and through its peers, in
// interleaved rounds on one test bed.
//
// Machines swing by a factor of two within minutes, so only figures of one run
// are compared: every round measures every mode once, a mode's figure is its
// median over the rounds, and a calibration of the cipher stands beside each
// measurement.
//
// Every mode carries tenant packets of at most 1500 bytes between hosts h1 and
// h2, with the hosts' offloads on, over an underlay of 9000 bytes:
//
//	ztos                            MACsec leaf to leaf, VXLAN, WireGuard hop by hop
//	wireguard-go                    routed, tunnels leaf1-spine1 and spine1-leaf2
//	wireguard-go end to end         routed, one tunnel leaf1-leaf2
//	vxlan over wireguard-go         bridge and kernel VXLAN, the tunnels of wireguard-go
//	vxlan over wireguard-go e. t. e. the same over one tunnel leaf1-leaf2
//
// Hop by hop is the same work as ZTOS does; end to end saves the peers the spine's
// two ciphers, and is what they would do without a spine to trust.
//
// All modes are up from start to end and have links of their own to the hosts;
// those that are not measured carry no traffic.
package quick

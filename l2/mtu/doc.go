// Package mtu computes what a tenant may send, from what the underlay carries
// and which protection layers are configured. It is the one place where the
// overheads of all layers are added up; each constant shows its arithmetic.
//
//	underlay packet, at most Stack.UnderlayMTU bytes
//	+---------+-----+------------+--------+-----+-------+----+--------+---------+-----+---------+
//	| IP      | UDP | WG header  | IP     | UDP | VXLAN | MAC| SecTAG | tenant  | ICV | Poly1305|
//	| 20 | 40 | 8   | 16         | 20 | 40| 8   | 8     | 14 | 16     | payload | 16  | 16      |
//	+---------+-----+------------+--------+-----+-------+----+--------+---------+-----+---------+
//	 \___ with WireGuard _______/ \__ VTEP to VTEP __________/ \_____ MACsec _________/
//
// WireGuard pads what it carries to a multiple of 16 bytes but never beyond the
// path's MTU, so padding costs no tenant byte.
//
// Layer 2, pure functions.
package mtu

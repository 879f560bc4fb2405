// Package vxlan puts tenant frames into VXLAN packets and takes them out again
// (RFC 7348), with the UDP checksum rules of RFC 6935 and RFC 6936.
//
//	+------------+--------+----------+---------------------------+
//	| IP 20 | 40 | UDP 8  | VXLAN 8  | Ethernet frame, or MACsec |
//	+------------+--------+----------+---------------------------+
//	 \___ Template.Encap, 36 | 56 __/
//
// A Template is one adjacency's headers, made once by control; per packet only
// the lengths, the IPv4 identification and checksum, the UDP source port and,
// where asked for, the UDP checksum are written. A Receiver holds the rules for
// packets that arrive. Where the kernel's UDP socket writes and checks the outer
// headers (no WireGuard), Header.Put, SourcePort and DecapPayload are enough.
//
// Layer 2. It knows nothing of MACsec or WireGuard: what it carries is bytes.
// No goroutine, no clock, no log.
package vxlan

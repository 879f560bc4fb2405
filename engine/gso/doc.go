// Package gso cuts super-frames into the frames that go over a wire, joins runs
// of frames into super-frames, and completes checksums that a kernel left
// partial.
//
// Split late, merge early: a frame of 64 KB passes bridge, policy and QoS once.
//
//	port rx --super-frame--> bridge --super-frame--> Splitter --segments--> MACsec
//	MACsec --segments--> Merger --super-frame--> bridge --super-frame--> port tx
//
// The Splitter does not copy payload. It writes each segment's headers over the
// tail of the payload before it, which the caller has consumed by then:
//
//	Head  | hdr | payload 1       | payload 2       | payload 3 |
//	Next  | hdr   payload 1       |
//	Next             | hdr        | payload 2       |
//	Next                                | hdr       | payload 3 |
//
// The Merger does not copy payload either: Head is the whole first segment, and
// the payloads of the others become Frags.
//
// TCP over IPv4 and IPv6, and UDP datagrams of equal size (UDP_L4), as Linux
// segments and aggregates them. Layer 1: no goroutine, no clock, no lock.
package gso

// Package vnet reads and writes the virtio-net header (virtio 1.2 section
// 5.1.6) that Linux puts in front of a frame on a packet socket with
// PACKET_VNET_HDR and on a TAP device with IFF_VNET_HDR, and lays a frame out as
// iovecs behind it.
//
//	 0       1         2        4         6           8            10
//	+-------+---------+--------+---------+-----------+------------+
//	| flags |gso_type |hdr_len |gso_size |csum_start |csum_offset | frame ...
//	+-------+---------+--------+---------+-----------+------------+
//
// All fields are in host order: both users are "legacy" interfaces in virtio's
// terms. Offsets count from the frame's first byte, tags in the bytes included.
//
// Layer 1. No goroutine, no clock, no system call.
package vnet

// Package xdp is the underlay by AF_XDP: datagrams between nodes leave and arrive
// as Ethernet frames through rings in our memory, past the kernel's IP stack.
//
//	            +-- UDP datagram to an address and port of ours --> Rx (a ring)
//	device --XDP
//	            +-- everything else --> kernel ... --> UDP sockets (Mux)
//
//	Tx --+-- next hop known: Ethernet, IP, UDP put in front ------> device (a ring)
//	     +-- not known, or the device is not open --> UDP sockets (Mux)
//
// The UDP sockets of an underlay.Mux stay open under it. They hold the ports, take
// what the program leaves to the kernel (fragments, other devices, link-local
// addresses), and carry everything as long as AF_XDP does not go with a device:
// then Status says why, in one sentence. Both ways use the same source ports, so a
// peer cannot tell them apart.
//
// The rings, the program and the life of a device are those of a tenant port
// (engine/port/afxdp), which is told to take some frames only.
//
// What the kernel would do is done here: IPv4 and IPv6 headers, with DF and without
// fragments, as the Mux's sockets send them; full UDP checksums (RFC 768, RFC 8200
// section 8.1); a frame longer than the device's MTU fails as Oversized. What the
// kernel knows is asked of it by control: the machine's addresses, routes, and the
// MAC addresses of next hops (Update). There is no UDP_SEGMENT and no UDP_GRO here:
// each datagram is a frame. Those of one sender that arrive together are put back
// to back again, so that the ciphers get batches.
//
// A datagram's own checksum is not verified: a veth's other end leaves it undone,
// and what it guards is authenticated by WireGuard. So this is for the WireGuard
// sockets only. The host's packet filter does not see what goes this way.
//
// Linux only. Layer 1. No goroutine, no clock.
package xdp

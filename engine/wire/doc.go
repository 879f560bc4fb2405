// Package wire reads and writes headers in place: Ethernet, 802.1Q tags, ARP,
// IPv4, IPv6, TCP, UDP and the two ICMP messages that report a packet too big.
// It holds the internet checksum, the parser that fills a frame's metadata and
// the flow hash.
//
// A header view is a slice type over the frame's own bytes:
//
//	f.Head                     f.L3Off              f.L4Off
//	|                          |                    |
//	v                          v                    v
//	+--------------------------+--------------------+-------------------+
//	| Ethernet  [tags in bytes]| IPv4 | IPv6 (+ext) | TCP | UDP | ...   |
//	+--------------------------+--------------------+-------------------+
//	  Ethernet(f.Head)           IPv4(f.Head[L3Off:]) TCP(f.Head[L4Off:])
//
// Getters and setters of a view do not check: they panic when the slice is
// shorter than the header. Whoever makes a view of bytes that Parse has not
// passed calls Valid first. Integers go in and out in host order, the bytes are
// in network order.
//
// The package follows RFC 791, RFC 8200, RFC 9293, RFC 768, RFC 792, RFC 4443,
// RFC 826 and RFC 1071. Layer 0: it imports packages pkt and counter only, has no
// goroutine, no clock, no lock and no state but the CPU features it found.
package wire

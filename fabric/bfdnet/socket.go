package bfdnet

import "net/netip"

// Socket is a UDP socket whose packets leave with TTL, or hop limit, 255. Ready is
// for one goroutine, Recv and Send for one at a time, Close for any.
type Socket interface {
	// Ready waits until a packet may be there. Its error says that the socket is
	// closed.
	Ready() error
	// Recv takes a packet without waiting, as much of it as b holds, and returns
	// its length, its sender and its TTL; false when there is none.
	Recv(b []byte) (n int, from netip.AddrPort, ttl uint8, ok bool)
	// Send sends a packet without waiting.
	Send(to netip.AddrPort, b []byte) error
	Close() error
}

// Transport opens sockets at an address of the node; at the unspecified one for
// all of its family.
type Transport func(at netip.AddrPort) (Socket, error)

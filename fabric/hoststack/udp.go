package hoststack

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// UDP is a UDP socket of the node whose packets leave with TTL, or hop limit, 255.
// Ready and Recv are for one goroutine at a time, Send for one.
type UDP struct {
	ep    tcpip.Endpoint
	wq    waiter.Queue
	entry waiter.Entry
	ready chan struct{}
	ended chan struct{}
	done  bool
}

// OpenUDP binds a socket to an address of the node in the fabric VRF.
func (n *Netstack) OpenUDP(at netip.AddrPort) (*UDP, error) {
	u := &UDP{ended: make(chan struct{})}
	ep, err := n.stack.NewEndpoint(udp.ProtocolNumber, protocolOf(at.Addr()), &u.wq)
	if err != nil {
		return nil, fmt.Errorf("hoststack: UDP: %v", err)
	}
	u.ep = ep
	u.entry, u.ready = waiter.NewChannelEntry(waiter.ReadableEvents)
	u.wq.EventRegister(&u.entry)
	ttl := tcpip.IPv4TTLOption
	if at.Addr().Is4() {
		ep.SocketOptions().SetReceiveTTL(true)
	} else {
		ttl = tcpip.IPv6HopLimitOption
		ep.SocketOptions().SetReceiveHopLimit(true)
	}
	if err := ep.SetSockOptInt(ttl, 255); err != nil {
		u.Close()
		return nil, fmt.Errorf("hoststack: UDP: TTL 255: %v", err)
	}
	if err := ep.Bind(fullAddress(at)); err != nil {
		u.Close()
		return nil, fmt.Errorf("hoststack: UDP at %v: %v", at, err)
	}
	return u, nil
}

// Ready waits until a packet may be there; it may say so once for one that is gone
// already. Its error is net.ErrClosed.
func (u *UDP) Ready() error {
	if u.ep.Readiness(waiter.ReadableEvents)&waiter.ReadableEvents != 0 {
		select {
		case <-u.ended:
			return net.ErrClosed
		default:
			return nil
		}
	}
	select {
	case <-u.ready:
		return nil
	case <-u.ended:
		return net.ErrClosed
	}
}

// Recv takes a packet without waiting, as much of it as b holds, and returns its
// length, its sender and its TTL; false when there is none.
func (u *UDP) Recv(b []byte) (n int, from netip.AddrPort, ttl uint8, ok bool) {
	w := room{b: b}
	r, err := u.ep.Read(&w, tcpip.ReadOptions{NeedRemoteAddr: true})
	if err != nil {
		return 0, from, 0, false
	}
	addr, _ := netip.AddrFromSlice(r.RemoteAddr.Addr.AsSlice())
	ttl = r.ControlMessages.TTL
	if r.ControlMessages.HasHopLimit {
		ttl = r.ControlMessages.HopLimit
	}
	return w.n, netip.AddrPortFrom(addr, r.RemoteAddr.Port), ttl, true
}

// room is a writer into b; what does not fit is dropped.
type room struct {
	b []byte
	n int
}

// Write implements io.Writer.
func (r *room) Write(p []byte) (int, error) {
	r.n += copy(r.b[r.n:], p)
	return len(p), nil
}

// Send sends a packet.
func (u *UDP) Send(to netip.AddrPort, b []byte) error {
	addr := fullAddress(to)
	if _, err := u.ep.Write(bytes.NewReader(b), tcpip.WriteOptions{To: &addr}); err != nil {
		return fmt.Errorf("hoststack: UDP to %v: %w", to, errors.New(err.String()))
	}
	return nil
}

// Close closes the socket, and ends Ready. Once.
func (u *UDP) Close() error {
	if u.done {
		return nil
	}
	u.done = true
	close(u.ended)
	u.wq.EventUnregister(&u.entry)
	u.ep.Close()
	return nil
}

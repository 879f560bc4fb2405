package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/ztos/ztos/crypto/secret"
)

// ErrNotSupported is wrapped by errors of a Transport that cannot do what a
// session's configuration asks.
var ErrNotSupported = errors.New("not supported by this transport")

// Guard is how a session is protected on the wire.
type Guard struct {
	// Password signs the TCP segments (RFC 2385). Empty: none.
	Password secret.Key
	// Hops is the greatest distance of the peer, 1 to 254: packets that came
	// further are dropped (RFC 5082, GTSM). 0: any.
	Hops uint8
	// Device is the network device, or VRF, that the session is bound to.
	Device string
}

// Transport opens the connections of sessions. Any goroutine may call it.
type Transport interface {
	// Listen accepts connections at an address, on one device unless it is
	// empty.
	Listen(at netip.AddrPort, device string) (Listener, error)
	// Dial connects to a peer, from an address unless it is invalid.
	Dial(ctx context.Context, from netip.Addr, to netip.AddrPort, g Guard) (net.Conn, error)
	// Guard puts g, the password aside, on a connection that was accepted.
	Guard(c net.Conn, g Guard) error
}

// Listener accepts connections.
type Listener interface {
	net.Listener
	// Protect lets a peer in only with a password, or without one again when
	// key is empty.
	Protect(peer netip.Addr, key secret.Key) error
}

// IPStack is an IP stack of the program itself, such as package hoststack's.
type IPStack interface {
	ListenTCP(at netip.AddrPort) (net.Listener, error)
	DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// Stack is a Transport over a stack of the program itself, which has neither
// devices, nor signatures, nor TTL security; inside WireGuard the peer is proven
// without.
type Stack struct{ IPStack }

// Listen implements Transport.
func (s Stack) Listen(at netip.AddrPort, device string) (Listener, error) {
	if device != "" {
		return nil, fmt.Errorf("bgp/relay: device %q: %w", device, ErrNotSupported)
	}
	l, err := s.ListenTCP(at)
	if err != nil {
		return nil, fmt.Errorf("bgp/relay: listen on %v: %w", at, err)
	}
	return stackListener{l}, nil
}

// Dial implements Transport. The stack chooses the source address.
func (s Stack) Dial(ctx context.Context, _ netip.Addr, to netip.AddrPort, g Guard) (net.Conn, error) {
	if err := s.Guard(nil, g); err != nil {
		return nil, err
	}
	if g.Password.Valid() {
		return nil, fmt.Errorf("bgp/relay: password: %w", ErrNotSupported)
	}
	c, err := s.DialTCP(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("bgp/relay: connect to %v: %w", to, err)
	}
	return c, nil
}

// Guard implements Transport.
func (s Stack) Guard(_ net.Conn, g Guard) error {
	if g.Hops != 0 || g.Device != "" {
		return fmt.Errorf("bgp/relay: TTL security and devices: %w", ErrNotSupported)
	}
	return nil
}

type stackListener struct{ net.Listener }

// Protect implements Listener.
func (stackListener) Protect(_ netip.Addr, key secret.Key) error {
	if key.Valid() {
		return fmt.Errorf("bgp/relay: password: %w", ErrNotSupported)
	}
	return nil
}

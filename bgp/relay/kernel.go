package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/crypto/secret"
)

// Kernel is a Transport over the kernel's TCP, in the network namespace of the
// calling thread. Its zero value is ready.
type Kernel struct{}

// Listen implements Transport.
func (Kernel) Listen(at netip.AddrPort, device string) (Listener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1,
		Control: func(_, _ string, c syscall.RawConn) error {
			return control(c, func(fd int) error { return bind(fd, device) })
		},
	}
	lc.SetMultipathTCP(false) // which knows no signatures
	l, err := lc.Listen(context.Background(), network(at.Addr()), at.String())
	if err != nil {
		return nil, fmt.Errorf("bgp/relay: %w", err)
	}
	return kernelListener{l.(*net.TCPListener)}, nil
}

// Dial implements Transport.
func (Kernel) Dial(ctx context.Context, from netip.Addr, to netip.AddrPort, g Guard) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: -1,
		Control: func(_, _ string, c syscall.RawConn) error {
			return control(c, func(fd int) error {
				if err := bind(fd, g.Device); err != nil {
					return err
				}
				if err := ttl(fd, to.Addr(), g.Hops); err != nil {
					return err
				}
				return sign(fd, to.Addr(), g.Password)
			})
		},
	}
	d.SetMultipathTCP(false)
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	c, err := d.DialContext(ctx, network(to.Addr()), to.String())
	if err != nil {
		return nil, fmt.Errorf("bgp/relay: %w", err)
	}
	return c, nil
}

// Guard implements Transport. The device is the listener's.
func (Kernel) Guard(c net.Conn, g Guard) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("bgp/relay: %T is no connection of the kernel", c)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("bgp/relay: %w", err)
	}
	return control(raw, func(fd int) error { return ttl(fd, addrOf(c.RemoteAddr()), g.Hops) })
}

type kernelListener struct{ *net.TCPListener }

// Protect implements Listener.
func (l kernelListener) Protect(peer netip.Addr, key secret.Key) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return fmt.Errorf("bgp/relay: %w", err)
	}
	return control(raw, func(fd int) error { return sign(fd, peer, key) })
}

// control runs fn on a socket.
func control(c syscall.RawConn, fn func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = fn(int(fd)) }); cerr != nil {
		return fmt.Errorf("bgp/relay: %w", cerr)
	}
	return err
}

// bind binds a socket to a device.
func bind(fd int, device string) error {
	if device == "" {
		return nil
	}
	if err := unix.BindToDevice(fd, device); err != nil {
		return fmt.Errorf("bgp/relay: bind to device %q: %w", device, err)
	}
	return nil
}

// ttl sends with the greatest TTL and drops what came further than hops: RFC
// 5082 section 3.
func ttl(fd int, peer netip.Addr, hops uint8) error {
	if hops == 0 {
		return nil
	}
	level, send, least := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_MINTTL
	if peer.Is6() && !peer.Is4In6() {
		level, send, least = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, ipv6MinHopCount
	}
	if err := unix.SetsockoptInt(fd, level, send, 255); err != nil {
		return fmt.Errorf("bgp/relay: TTL 255: %w", err)
	}
	if err := unix.SetsockoptInt(fd, level, least, 256-int(hops)); err != nil {
		return fmt.Errorf("bgp/relay: least TTL %d: %w", 256-int(hops), err)
	}
	return nil
}

// ipv6MinHopCount is IPV6_MINHOPCOUNT of linux/in6.h, which package unix lacks.
const ipv6MinHopCount = 73

// sign has segments to and from peer signed with key; an empty one ends that.
func sign(fd int, peer netip.Addr, key secret.Key) error {
	sig := unix.TCPMD5Sig{Keylen: uint16(key.Len())}
	if key.Len() > len(sig.Key) {
		return fmt.Errorf("bgp/relay: a password has at most %d bytes, not %d", len(sig.Key), key.Len())
	}
	copy(sig.Key[:], key.Bytes())
	defer clear(sig.Key[:])
	peer = peer.Unmap()
	sig.Addr.Family = unix.AF_INET6
	at := sig.Addr.Data[6:] // sockaddr_in6 behind the family: port 2, flow 4
	if peer.Is4() {
		sig.Addr.Family = unix.AF_INET
		at = sig.Addr.Data[2:] // sockaddr_in behind the family: port 2
	}
	copy(at, peer.AsSlice())
	err := unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, &sig)
	if err == unix.ENOENT && !key.Valid() {
		return nil // there was none
	}
	if err != nil {
		return fmt.Errorf("bgp/relay: TCP MD5 signatures with %v: %w (the kernel needs CONFIG_TCP_MD5SIG)", peer, err)
	}
	return nil
}

// network returns the name of TCP over a's family: a listener for IPv4 never
// takes IPv6, and the other way round.
func network(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// addrOf returns the IP address of a TCP address, never mapped.
func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	if p, err := netip.ParseAddrPort(a.String()); err == nil {
		return p.Addr().Unmap()
	}
	return netip.Addr{}
}

// dialTimeout bounds one attempt to reach a peer.
const dialTimeout = 10 * time.Second

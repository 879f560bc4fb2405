package underlay

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is one UDP socket of a Mux.
type socket struct {
	fd   int
	v6   bool
	port uint16
}

// option is one setsockopt of an int.
type option struct {
	what       string
	level, opt int
	value      int
}

// open returns a socket bound to addr; port 0 lets the kernel choose.
func open(cfg *Config, addr netip.AddrPort) (s socket, err error) {
	s.v6 = addr.Addr().Is6()
	family := unix.AF_INET
	if s.v6 {
		family = unix.AF_INET6
	}
	s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return s, fmt.Errorf("socket: %w", err)
	}
	if err := s.setUp(cfg, addr); err != nil {
		unix.Close(s.fd)
		return s, err
	}
	return s, nil
}

func (s *socket) setUp(cfg *Config, addr netip.AddrPort) error {
	opts := []option{
		{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
	}
	if s.v6 {
		only := 1
		if addr.Addr().IsUnspecified() {
			only = 0
		}
		opts = append(opts,
			option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only},
			option{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
			option{"IPV6_DONTFRAG", unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1})
	}
	if cfg.NoChecksum {
		opts = append(opts, option{"SO_NO_CHECK", unix.SOL_SOCKET, unix.SO_NO_CHECK, 1})
		if s.v6 {
			opts = append(opts, option{"UDP_NO_CHECK6_TX", unix.SOL_UDP, unix.UDP_NO_CHECK6_TX, 1})
		}
	}
	if s.v6 && (cfg.NoChecksum || cfg.AcceptZeroChecksum6) {
		opts = append(opts, option{"UDP_NO_CHECK6_RX", unix.SOL_UDP, unix.UDP_NO_CHECK6_RX, 1})
	}
	for _, o := range opts {
		if err := unix.SetsockoptInt(s.fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.what, err)
		}
	}
	setBuf(s.fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.RecvBuf)
	setBuf(s.fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.SendBuf)
	e := NewEndpoint(addr)
	p, n, ok := e.sockaddr(s.v6)
	if !ok {
		return unix.EAFNOSUPPORT
	}
	if _, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(s.fd), uintptr(unsafe.Pointer(p)), uintptr(n)); errno != 0 {
		return fmt.Errorf("bind %v: %w", addr, errno)
	}
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		s.port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		s.port = uint16(sa.Port)
	}
	return nil
}

// setBuf sets a socket buffer beyond the system's limit when allowed to, as far
// as allowed otherwise.
func setBuf(fd, force, normal, bytes int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bytes) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, normal, bytes)
	}
}

// Source ports are taken from the range that RFC 7348 section 5 recommends.
const minSourcePort, maxSourcePort = 49152, 65535

// openSource returns a socket on the first free port of cfg's range from start
// on, around its end: successive ones, as far as they are free, which a peer can
// share out among its queues evenly.
func openSource(cfg *Config, ip netip.Addr, start int) (socket, error) {
	lo, hi := int(cfg.SourcePortMin), int(cfg.SourcePortMax)
	span := hi - lo + 1
	for i := range min(span, 1024) {
		addr := netip.AddrPortFrom(ip, uint16(lo+(start-lo+i)%span))
		if inUse(addr) {
			continue
		}
		s, err := open(cfg, addr)
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		return s, err
	}
	return socket{}, fmt.Errorf("no free source port from %d to %d", lo, hi)
}

// inUse reports whether a socket without SO_REUSEPORT cannot have addr: with it,
// two Muxes of one user would share a port and take each other's datagrams.
func inUse(addr netip.AddrPort) bool {
	e := NewEndpoint(addr)
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return false // open will say why
	}
	defer unix.Close(fd)
	p, n, _ := e.sockaddr(addr.Addr().Is6())
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(p)), uintptr(n))
	return errno == unix.EADDRINUSE
}

// drops returns how many datagrams the kernel had no room for: the last of the
// numbers of SO_MEMINFO.
func (s *socket) drops() uint64 {
	var info [9]uint32
	n := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(info[8])
}

// hasIPv6 reports whether the kernel has IPv6 at all.
func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

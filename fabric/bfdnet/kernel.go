package bfdnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// kernelSocket is a Socket of the kernel.
type kernelSocket struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	oob  []byte
}

// Kernel is a Transport over the kernel's UDP, in the network namespace of the
// calling thread.
func Kernel(at netip.AddrPort) (Socket, error) {
	network := "udp6"
	if at.Addr().Is4() {
		network = "udp4"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = prepare(int(fd), at.Addr().Is4()) }); cerr != nil {
			return cerr
		}
		return err
	}}
	c, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return nil, fmt.Errorf("bfdnet: %w", err)
	}
	conn := c.(*net.UDPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("bfdnet: %w", err)
	}
	return &kernelSocket{conn: conn, raw: raw, oob: make([]byte, unix.CmsgSpace(4))}, nil
}

// prepare has a socket send with TTL 255 and receive TTLs.
func prepare(fd int, v4 bool) error {
	level, send, receive := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVHOPLIMIT
	if v4 {
		level, send, receive = unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVTTL
	}
	if err := unix.SetsockoptInt(fd, level, send, 255); err != nil {
		return fmt.Errorf("TTL 255: %w", err)
	}
	if err := unix.SetsockoptInt(fd, level, receive, 1); err != nil {
		return fmt.Errorf("TTLs of packets: %w", err)
	}
	return nil
}

// Ready implements Socket.
func (s *kernelSocket) Ready() error {
	return s.raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN && err != unix.EINTR
	})
}

// Recv implements Socket.
func (s *kernelSocket) Recv(b []byte) (n int, from netip.AddrPort, ttl uint8, ok bool) {
	err := s.raw.Control(func(fd uintptr) {
		var oobn int
		var sa unix.Sockaddr
		var err error
		for {
			n, oobn, _, sa, err = unix.Recvmsg(int(fd), b, s.oob, unix.MSG_DONTWAIT)
			if err != unix.EINTR {
				break
			}
		}
		if err != nil {
			return
		}
		ok = true
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			from = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		case *unix.SockaddrInet6:
			from = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		}
		ttl = ttlOf(s.oob[:oobn])
	})
	return n, from, ttl, ok && err == nil
}

// ttlOf returns the TTL of ancillary data; 0, which is too little for anyone, when
// there is none.
func ttlOf(oob []byte) uint8 {
	ms, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range ms {
		ip4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL
		ip6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_HOPLIMIT
		if (ip4 || ip6) && len(m.Data) >= 4 {
			return uint8(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return 0
}

// Send implements Socket.
func (s *kernelSocket) Send(to netip.AddrPort, b []byte) error {
	_, err := s.conn.WriteToUDPAddrPort(b, to)
	return err
}

// Close implements Socket.
func (s *kernelSocket) Close() error { return s.conn.Close() }

package bfdnet

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Stall keeps the service from running for d, as a machine that has no processor
// for the process.
func (s *Service) Stall(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	time.Sleep(d)
}

// Grace is grace.
var Grace = grace

// SetTTL sets the TTL, or hop limit, of what c sends.
func SetTTL(c net.Conn, v4 bool, ttl int) error {
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	level, opt := unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS
	if v4 {
		level, opt = unix.IPPROTO_IP, unix.IP_TTL
	}
	if cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, opt, ttl) }); cerr != nil {
		return cerr
	}
	return err
}

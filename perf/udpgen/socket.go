package udpgen

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// segmentsMax is the most segments of one super-frame, UDP_MAX_SEGMENTS of older
// kernels; bytesMax the most payload of a UDP datagram over IPv4.
const (
	segmentsMax = 64
	bytesMax    = 65535 - 28
)

// socketLink sends as a tenant does whose device cuts super-frames: one UDP
// socket with UDP_SEGMENT.
type socketLink struct {
	fd    int
	size  int // of one payload
	perSF int // payloads in one super-frame
	bufs  [][]byte
	msgs  *messages
}

// openSocket returns a link to the address to, for payloads of size bytes.
func openSocket(to netip.AddrPort, size int) (*socketLink, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	l := &socketLink{fd: fd, size: size, perSF: min(segmentsMax, bytesMax/size)}
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer},
		{"UDP_SEGMENT", unix.SOL_UDP, unix.UDP_SEGMENT, size},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.want); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect to %v: %w", to, err)
	}
	l.bufs = buffers(size * l.perSF)
	l.msgs = newMessages(l.bufs, nil)
	return l, nil
}

// send implements link.
func (l *socketLink) send(trial uint32, seq uint64, n int) error {
	for n > 0 {
		k := 0
		for ; k < batch && n > 0; k++ {
			in := min(n, l.perSF)
			for i := range in {
				header{trial, seq}.put(l.bufs[k][i*l.size:])
				seq++
			}
			l.msgs.iovs[k].SetLen(in * l.size)
			n -= in
		}
		if _, err := l.msgs.send(l.fd, k); err != nil {
			return err
		}
	}
	return nil
}

// close implements link.
func (l *socketLink) close() error { return unix.Close(l.fd) }

// buffers returns the buffers of one batch.
func buffers(size int) [][]byte {
	all := make([]byte, batch*size)
	out := make([][]byte, batch)
	for i := range out {
		out[i] = all[i*size : (i+1)*size : (i+1)*size]
	}
	return out
}

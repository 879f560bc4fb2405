package moves

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab/netplumb"
)

// Shape of a datagram: Ethernet 14, IPv4 20, UDP 8, then the number of the move and
// the datagram's own, 4 bytes each, big endian, and nothing of interest.
const (
	ipAt      = 14
	udpAt     = ipAt + 20
	numberAt  = udpAt + 8
	frameLen  = numberAt + 64
	port      = 9999 // UDP, of both ends
	legBuffer = 8 << 20
)

// leg is a host's device: frames are put on it and datagrams are taken from it.
type leg struct {
	fd     int
	stop   chan struct{}
	taking sync.WaitGroup
}

// openLeg opens eth0 of a namespace.
func openLeg(ns string) (*leg, error) {
	l := &leg{fd: -1, stop: make(chan struct{})}
	if err := netplumb.Do(ns, l.open); err != nil {
		if l.fd >= 0 {
			unix.Close(l.fd)
		}
		return nil, fmt.Errorf("moves: %s: %w", ns, err)
	}
	return l, nil
}

func (l *leg) open() error {
	dev, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	const ip = uint16(unix.ETH_P_IP&0xff<<8 | unix.ETH_P_IP>>8) // network order
	if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(ip)); err != nil {
		return os.NewSyscallError("socket", err)
	}
	// The reader looks up now and then whether to stop.
	tv := unix.NsecToTimeval(int64(20 * time.Millisecond))
	return errors.Join(
		os.NewSyscallError("bind", unix.Bind(l.fd, &unix.SockaddrLinklayer{Protocol: ip, Ifindex: dev.Index})),
		os.NewSyscallError("SO_RCVBUFFORCE", unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, legBuffer)),
		os.NewSyscallError("SO_RCVTIMEO", unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)))
}

// send puts a frame on the cable.
func (l *leg) send(frame []byte) error {
	if _, err := unix.Write(l.fd, frame); err != nil {
		return fmt.Errorf("moves: %w", os.NewSyscallError("write", err))
	}
	return nil
}

// take gives each datagram of a stream that comes to got, on a goroutine, until close.
func (l *leg) take(got func(move, number uint32, now time.Time)) {
	l.taking.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := unix.Recvfrom(l.fd, b, 0)
			now := time.Now()
			if err != nil {
				select {
				case <-l.stop:
					return
				default:
					continue // a signal, or the time to look up
				}
			}
			at, ok := from.(*unix.SockaddrLinklayer)
			if ok && at.Pkttype != unix.PACKET_OUTGOING && n >= frameLen && b[ipAt+9] == unix.IPPROTO_UDP &&
				binary.BigEndian.Uint16(b[udpAt+2:]) == port {
				got(binary.BigEndian.Uint32(b[numberAt:]), binary.BigEndian.Uint32(b[numberAt+4:]), now)
			}
		}
	})
}

// close ends take and gives the socket back. Error: the kernel had no room for what
// came, so that what was counted proves nothing.
func (l *leg) close() error {
	close(l.stop)
	l.taking.Wait()
	defer unix.Close(l.fd)
	st, err := unix.GetsockoptTpacketStats(l.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("moves: %w", os.NewSyscallError("PACKET_STATISTICS", err))
	}
	if st.Drops > 0 {
		return fmt.Errorf("moves: a receiver lost %d datagrams for want of room", st.Drops)
	}
	return nil
}

// datagram returns a frame from one MAC to another with numbers 0.
func datagram(src, dst table.MAC, from, to netip.Addr) []byte {
	f := make([]byte, frameLen)
	dst.Put(f)
	src.Put(f[6:])
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IP)
	ip := f[ipAt:udpAt]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], frameLen-ipAt)
	ip[8], ip[9] = 64, unix.IPPROTO_UDP
	copy(ip[12:], from.AsSlice())
	copy(ip[16:], to.AsSlice())
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	udp := f[udpAt:] // without a checksum, RFC 768
	binary.BigEndian.PutUint16(udp, port)
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], frameLen-udpAt)
	return f
}

// gratuitousARP returns the broadcast by which a host says where its address is.
func gratuitousARP(mac table.MAC, ip netip.Addr) []byte {
	f := make([]byte, 60)
	table.Broadcast.Put(f)
	mac.Put(f[6:])
	copy(f[12:], []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1}) // Ethernet, IPv4, request
	mac.Put(f[22:])
	copy(f[28:], ip.AsSlice())
	copy(f[38:], ip.AsSlice())
	return f
}

package afpacket

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// htons returns v as it lies in memory in network order.
func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// option is one setsockopt of an int.
type option struct {
	what       string
	level, opt int
	value      int
}

func setAll(fd int, opts []option) error {
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.what, err)
		}
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

// socket returns a packet socket that receives nothing yet.
func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	// Before anything else: it changes what every other call means.
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("PACKET_VNET_HDR: %w", err)
	}
	return fd, nil
}

// openTx returns a socket that sends on the device and receives nothing; one
// that is not bound, and refuses every frame with ENXIO, when index is 0.
func openTx(cfg *Config, index int) (int, error) {
	fd, err := socket()
	if err != nil {
		return -1, err
	}
	setBuf(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.SendBuf)
	if index != 0 {
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("bind to send: %w", err)
		}
	}
	return fd, nil
}

// dropAll is a classic BPF program that lets nothing through: it keeps frames
// out of a socket that is bound but not yet in its fanout group, where it would
// get a copy of every frame.
var dropAll = [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

// openRx returns one receive socket per queue, in one fanout group when there
// are several. On an error it returns none.
func openRx(cfg *Config, index int) (fds []int, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			fds = nil
		}
	}()
	group := 0
	for q := range cfg.Queues {
		fd, err := socket()
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
		if err := setAll(fd, []option{
			{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
			{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		}); err != nil {
			return fds, err
		}
		setBuf(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.RecvBuf)
		if q > 0 {
			if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: 1, Filter: &dropAll[0]}); err != nil {
				return fds, fmt.Errorf("SO_ATTACH_FILTER: %w", err)
			}
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{
			Ifindex: index, Protocol: htons(unix.ETH_P_ALL),
		}); err != nil {
			return fds, fmt.Errorf("bind to receive: %w", err)
		}
		if !cfg.NoPromisc {
			if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
				&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}); err != nil {
				return fds, fmt.Errorf("promiscuous mode: %w", err)
			}
		}
		if cfg.Queues > 1 {
			if group, err = joinFanout(fd, q, group); err != nil {
				return fds, err
			}
		}
	}
	for _, fd := range fds[1:] {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil {
			return fds, fmt.Errorf("SO_DETACH_FILTER: %w", err)
		}
	}
	return fds, nil
}

// joinFanout puts the socket of queue q into the group that queue 0 opened with
// a number the kernel chose, and returns that number.
func joinFanout(fd, q, group int) (int, error) {
	// The group has a hook of its own, to which PACKET_IGNORE_OUTGOING of its
	// members does not apply.
	typ := unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	if q == 0 {
		typ |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	arg := group | typ<<16
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
		return 0, fmt.Errorf("PACKET_FANOUT: %w", err)
	}
	if q > 0 {
		return group, nil
	}
	v, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, fmt.Errorf("PACKET_FANOUT: number: %w", err)
	}
	return v & 0xffff, nil
}

// kernelTakesUSO reports whether the kernel is at least 6.2, the first to know
// VIRTIO_NET_HDR_GSO_UDP_L4. There is no way to ask without sending a frame.
func kernelTakesUSO() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 6 || major == 6 && minor >= 2
}

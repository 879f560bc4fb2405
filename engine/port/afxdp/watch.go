package afxdp

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// etherTypeNone is an EtherType for local experiments (IEEE 802), bound to so
// that the kernel tells the socket about its device.
const etherTypeNone = 0x88b5

// dropAll is a classic BPF program that lets nothing through.
var dropAll = [1]unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

// openWatch returns a packet socket that receives nothing. It has an error as
// soon as the device goes down, which an AF_XDP socket is not told, and keeps
// the device promiscuous.
func openWatch(index int, promisc bool) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	proto := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, etherTypeNone))
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll[0]})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index, Protocol: proto})
	}
	if err == nil && promisc {
		err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("watch the device: %w", err)
	}
	// A device that is down already is found out by asking, not by an error.
	unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return fd, nil
}

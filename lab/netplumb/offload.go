package netplumb

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Legacy ethtool commands (linux/ethtool.h) that switch the offloads which make
// a device hand over or accept frames larger than its MTU.
const (
	ethGetTSO    = 0x1e
	ethSetRXCsum = 0x15
	ethSetTXCsum = 0x17
	ethSetSG     = 0x19
	ethSetTSO    = 0x1f
	ethSetGSO    = 0x24
	ethSetGRO    = 0x2c
)

// ethtoolValue is struct ethtool_value: command and value, host order.
type ethtoolValue struct{ cmd, data uint32 }

// ifreqPtr is struct ifreq with a pointer in its union, 40 bytes on LP64.
type ifreqPtr struct {
	name [unix.IFNAMSIZ]byte
	ptr  unsafe.Pointer
	_    [16]byte
}

// SetOffloads switches checksum, scatter-gather, TSO, GSO and GRO of the device
// dev together. Off, every frame on the wire is complete and at most MTU sized.
func (n *Namespace) SetOffloads(dev string, on bool) error {
	value := uint32(0)
	// TSO depends on scatter-gather and checksums: on in this order, off in
	// the other.
	order := []uint32{ethSetRXCsum, ethSetTXCsum, ethSetSG, ethSetTSO, ethSetGSO, ethSetGRO}
	if on {
		value = 1
	} else {
		order = []uint32{ethSetGRO, ethSetGSO, ethSetTSO, ethSetSG, ethSetTXCsum, ethSetRXCsum}
	}
	return n.setOffloads(dev, order, value)
}

// SetTXOffloads switches what the device dev does for who sends on it: checksum,
// scatter-gather, TSO and GSO. What it does with received frames stays as it is.
func (n *Namespace) SetTXOffloads(dev string, on bool) error {
	if on {
		return n.setOffloads(dev, []uint32{ethSetTXCsum, ethSetSG, ethSetTSO, ethSetGSO}, 1)
	}
	return n.setOffloads(dev, []uint32{ethSetGSO, ethSetTSO, ethSetSG, ethSetTXCsum}, 0)
}

// setOffloads gives the value to the commands in order.
func (n *Namespace) setOffloads(dev string, order []uint32, value uint32) error {
	return Do(n.name, func() error {
		for _, cmd := range order {
			if _, err := ethtool(dev, cmd, value); err != nil {
				return fmt.Errorf("netplumb: %s: offload command %#x of %s: %w", n.name, cmd, dev, err)
			}
		}
		return nil
	})
}

// TSO reports whether the device dev takes TCP super-frames.
func (n *Namespace) TSO(dev string) (on bool, err error) {
	err = Do(n.name, func() error {
		v, err := ethtool(dev, ethGetTSO, 0)
		on = v != 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("netplumb: %s: TSO of %s: %w", n.name, dev, err)
	}
	return on, nil
}

// ethtool runs one legacy command in the calling thread's namespace.
func ethtool(dev string, cmd, value uint32) (uint32, error) {
	if len(dev) >= unix.IFNAMSIZ {
		return 0, unix.ENODEV
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	v := ethtoolValue{cmd: cmd, data: value}
	req := ifreqPtr{ptr: unsafe.Pointer(&v)}
	copy(req.name[:], dev)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return 0, os.NewSyscallError("ioctl", errno)
	}
	return v.data, nil
}

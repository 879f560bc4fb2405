package tap

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/engine/port/vnet"
)

// Offloads that the engine takes: checksums left undone and super-frames. USO
// is what kernels before 6.2 do not know.
const (
	offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	uso      = unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// openQueue opens one queue of the TAP device, which the first call creates in
// the calling thread's network namespace. hasUSO says whether the kernel knows
// UDP super-frames.
func openQueue(name string) (fd int, hasUSO bool, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, false, fmt.Errorf("/dev/net/tun: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			fd = -1
		}
	}()
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return fd, false, fmt.Errorf("device name %q: %w", name, err)
	}
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | unix.IFF_MULTI_QUEUE)
	if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return fd, false, fmt.Errorf("TUNSETIFF %s: %w", name, err)
	}
	if err = unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnet.Len); err != nil {
		return fd, false, fmt.Errorf("TUNSETVNETHDRSZ: %w", err)
	}
	if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads|uso) == nil {
		return fd, true, nil
	}
	if err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads); err != nil {
		return fd, false, fmt.Errorf("TUNSETOFFLOAD: %w", err)
	}
	return fd, false, nil
}

// attached reports whether the queue's device still exists, in whatever
// namespace and under whatever name.
func attached(fd int) bool {
	var ifr [40]byte
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNGETIFF, uintptr(unsafe.Pointer(&ifr)))
	return errno == 0
}

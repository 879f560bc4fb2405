package tun

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/fdio"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// Config says which device to create. Only Name is needed.
type Config struct {
	Name string
	MTU  int // bytes of IP packet; 0 means the kernel's 1500
}

// ErrFull: the host does not keep up; the packet was dropped.
var ErrFull = errors.New("tun: device is full")

// Device is one TUN device. One goroutine reads; any may write.
type Device struct {
	dev *netdev.Device
	rd  *fdio.Handle
	wr  *fdio.Handle

	wrMu sync.Mutex // one writer inside wr at a time

	mu     sync.Mutex // guards closed and dev's life
	closed bool
}

// Open creates the device in the calling thread's network namespace and sets it
// up. It goes away with Close.
func Open(cfg Config) (*Device, error) {
	dev, err := netdev.Open(cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("tun: %w", err)
	}
	d := &Device{dev: dev}
	if err := d.create(cfg); err != nil {
		dev.Close()
		return nil, fmt.Errorf("tun: %s: %w", cfg.Name, err)
	}
	return d, nil
}

func (d *Device) create(cfg Config) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(cfg.Name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err == nil && cfg.MTU != 0 {
		err = d.dev.SetMTU(cfg.MTU)
	}
	if err == nil {
		err = d.dev.SetUp(true)
	}
	var wr int
	if err == nil {
		wr, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	if d.rd, err = fdio.New(fd); err != nil {
		unix.Close(wr)
		return err
	}
	if d.wr, err = fdio.New(wr); err != nil {
		d.rd.Close()
		return err
	}
	return nil
}

// Name returns the device's name.
func (d *Device) Name() string { return d.dev.Name() }

// ReadPacket waits for the next IP packet that the host sends, at most
// port.IdleTimeout, and copies it into b. Errors: port.ErrTimeout,
// port.ErrClosed, and port.ErrDown when the device was deleted. A packet longer
// than b is cut off; give it the MTU. One goroutine.
func (d *Device) ReadPacket(b []byte) (n int, err error) {
	fd, ok := d.rd.Enter()
	if !ok {
		return 0, port.ErrClosed
	}
	n, errno := fdio.Read(fd, b)
	if errno == unix.EAGAIN {
		if d.rd.Wait(unix.POLLIN, port.IdleTimeout) != 0 {
			n, errno = fdio.Read(fd, b)
		}
	}
	deleted := errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR
	if deleted {
		d.rd.Pause(port.IdleTimeout) // poll would not wait
	}
	d.rd.Leave()
	switch {
	case errno == 0:
		return n, nil
	case deleted:
		return 0, fmt.Errorf("tun: %s: %w: %w", d.Name(), port.ErrDown, errno)
	}
	return 0, port.ErrTimeout
}

// WritePacket gives the host one IP packet. Errors: port.ErrClosed, ErrFull,
// port.ErrDown, and what the kernel says of a packet that is neither IPv4 nor
// IPv6 (unix.EINVAL). Any goroutine; it does not wait.
func (d *Device) WritePacket(b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("tun: %s: empty packet: %w", d.Name(), unix.EINVAL)
	}
	d.wrMu.Lock()
	defer d.wrMu.Unlock()
	fd, ok := d.wr.Enter()
	if !ok {
		return port.ErrClosed
	}
	defer d.wr.Leave()
	iov := [1]unix.Iovec{fdio.Iov(b)}
	switch _, errno := fdio.Writev(fd, iov[:]); errno {
	case 0:
		return nil
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
		return ErrFull
	case unix.EIO, unix.EBADFD:
		return fmt.Errorf("tun: %s: %w", d.Name(), port.ErrDown)
	default:
		return fmt.Errorf("tun: %s: %w", d.Name(), errno)
	}
}

// Status asks the device how it is.
func (d *Device) Status() port.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return port.Status{Detail: "device is closed"}
	}
	return d.dev.Status()
}

// SetMTU sets the device's MTU, bytes of IP packet.
func (d *Device) SetMTU(mtu int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("tun: %s: %w", d.Name(), port.ErrClosed)
	}
	return d.dev.SetMTU(mtu)
}

// Close removes the device; a ReadPacket in progress returns within moments. Any
// number of times.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.rd.Close()
	d.wr.Close()
	d.dev.Close()
	return nil
}

package netdev

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ztos/ztos/engine/port"
	"golang.org/x/sys/unix"
)

// Device names one device of one network namespace; the device need not exist.
// Any goroutine, until Close.
type Device struct {
	name string
	fd   int // packet socket that receives nothing; fixes the namespace
}

// Open returns the device of this name in the calling thread's namespace. The
// name must have 1 to 15 bytes.
func Open(name string) (*Device, error) {
	if len(name) == 0 || len(name) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("netdev: device name %q: want 1 to %d bytes", name, unix.IFNAMSIZ-1)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("netdev: socket: %w", err)
	}
	return &Device{name: name, fd: fd}, nil
}

// Name returns the device's name.
func (d *Device) Name() string { return d.name }

// Close frees the socket. No other method may be called afterwards.
func (d *Device) Close() { unix.Close(d.fd) }

// ioctl does one SIOC*IF* request and returns the request's union.
func (d *Device) ioctl(req uint, set func(u []byte)) (u [24]byte, err error) {
	var r struct {
		name [unix.IFNAMSIZ]byte
		u    [24]byte
	}
	copy(r.name[:], d.name)
	if set != nil {
		set(r.u[:])
	}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(req), uintptr(unsafe.Pointer(&r)))
	if e != 0 {
		return u, e
	}
	return r.u, nil
}

// ask does one SIOCGIF* request, which needs no argument but the name, and
// returns the request's union.
//
// Hot path: no allocation.
func (d *Device) ask(req uint) (u [24]byte, e unix.Errno) {
	var r struct {
		name [unix.IFNAMSIZ]byte
		u    [24]byte
	}
	copy(r.name[:], d.name)
	_, _, e = unix.RawSyscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(req), uintptr(unsafe.Pointer(&r)))
	return r.u, e
}

func getInt(u [24]byte) int32   { return *(*int32)(unsafe.Pointer(&u[0])) }
func putInt(u []byte, v int32)  { *(*int32)(unsafe.Pointer(&u[0])) = v }
func getFlags(u [24]byte) int16 { return *(*int16)(unsafe.Pointer(&u[0])) }
func putFlags(u []byte, v int16) {
	*(*int16)(unsafe.Pointer(&u[0])) = v
}

// Index returns the device's interface index; an error wrapping unix.ENODEV
// when there is no such device. It does not allocate when there is.
func (d *Device) Index() (int, error) {
	u, errno := d.ask(unix.SIOCGIFINDEX)
	if errno != 0 {
		return 0, fmt.Errorf("netdev: %s: index: %w", d.name, errno)
	}
	return int(getInt(u)), nil
}

// Up reports whether the device exists and is administratively up. It does not
// allocate when so.
func (d *Device) Up() bool {
	u, errno := d.ask(unix.SIOCGIFFLAGS)
	return errno == 0 && getFlags(u)&unix.IFF_UP != 0
}

// Status asks for everything. Status.Detail names the driver.
func (d *Device) Status() port.Status {
	var s port.Status
	u, err := d.ioctl(unix.SIOCGIFFLAGS, nil)
	if err != nil {
		s.Detail = fmt.Sprintf("device %s: %v", d.name, err)
		return s
	}
	s.Present = true
	flags := getFlags(u)
	s.Up = flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
	if u, err = d.ioctl(unix.SIOCGIFMTU, nil); err == nil {
		s.MTU = int(getInt(u))
	}
	if u, err = d.ioctl(unix.SIOCGIFHWADDR, nil); err == nil {
		copy(s.MAC[:], u[2:8])
	}
	driver := "driver unknown"
	if info, err := unix.IoctlGetEthtoolDrvinfo(d.fd, d.name); err == nil {
		driver = "driver " + unix.ByteSliceToString(info.Driver[:])
	}
	switch {
	case flags&unix.IFF_UP == 0:
		s.Detail = driver + ", administratively down"
	case flags&unix.IFF_RUNNING == 0:
		s.Detail = driver + ", no carrier"
	default:
		s.Detail = driver
	}
	return s
}

// SetMTU sets the MTU, bytes of Ethernet payload.
func (d *Device) SetMTU(mtu int) error {
	if _, err := d.ioctl(unix.SIOCSIFMTU, func(u []byte) { putInt(u, int32(mtu)) }); err != nil {
		return fmt.Errorf("netdev: %s: set MTU %d: %w", d.name, mtu, err)
	}
	return nil
}

// SetMAC sets the Ethernet address; most drivers want the device down.
func (d *Device) SetMAC(mac [6]byte) error {
	if _, err := d.ioctl(unix.SIOCSIFHWADDR, func(u []byte) {
		putFlags(u, unix.ARPHRD_ETHER)
		copy(u[2:8], mac[:])
	}); err != nil {
		return fmt.Errorf("netdev: %s: set MAC %x: %w", d.name, mac, err)
	}
	return nil
}

// SetUp makes the device administratively up or down.
func (d *Device) SetUp(up bool) error {
	u, err := d.ioctl(unix.SIOCGIFFLAGS, nil)
	if err == nil {
		flags := getFlags(u) &^ unix.IFF_UP
		if up {
			flags |= unix.IFF_UP
		}
		_, err = d.ioctl(unix.SIOCSIFFLAGS, func(u []byte) { putFlags(u, flags) })
	}
	if err != nil {
		return fmt.Errorf("netdev: %s: set up %v: %w", d.name, up, err)
	}
	return nil
}

// InNamespace calls f on a thread whose network namespace is that of d, so that
// sockets which f opens belong there. It only changes namespaces (which needs
// CAP_SYS_ADMIN) when the calling thread is in another.
func (d *Device) InNamespace(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	want, err := unix.IoctlRetInt(d.fd, unix.SIOCGSKNS)
	if err != nil {
		return f() // without the right to ask there is none to change either
	}
	defer unix.Close(want)
	have, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("netdev: %s: own namespace: %w", d.name, err)
	}
	defer unix.Close(have)
	var a, b unix.Stat_t
	if unix.Fstat(want, &a) == nil && unix.Fstat(have, &b) == nil && a.Ino == b.Ino && a.Dev == b.Dev {
		return f()
	}
	if err := unix.Setns(want, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("netdev: %s: enter namespace: %w", d.name, err)
	}
	err = f()
	if back := unix.Setns(have, unix.CLONE_NEWNET); back != nil {
		// The thread is in the wrong namespace for good: nothing may run on it.
		panic("netdev: cannot return to the own network namespace: " + back.Error())
	}
	return err
}

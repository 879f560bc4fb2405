package netdev

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethFlagRxVLAN is the bit of ETHTOOL_GFLAGS for rx-vlan-offload, the service
// tag's excepted.
const ethFlagRxVLAN = 1 << 8

// ethtool does one ethtool request; v is its struct, the command first.
func (d *Device) ethtool(v unsafe.Pointer) error {
	_, err := d.ioctl(unix.SIOCETHTOOL, func(u []byte) {
		*(*unsafe.Pointer)(unsafe.Pointer(&u[0])) = v
	})
	return err
}

// RxQueues returns how many receive queues the device uses now, at least 1: of a
// device that does not say it is 1.
func (d *Device) RxQueues() int {
	// struct ethtool_channels: the command, four maxima, four counts.
	ch := &struct {
		cmd                     uint32
		_                       [4]uint32
		rx, tx, other, combined uint32
	}{cmd: unix.ETHTOOL_GCHANNELS}
	if d.ethtool(unsafe.Pointer(ch)) != nil {
		return 1
	}
	return max(1, int(ch.rx)+int(ch.combined))
}

// StripsTags reports whether the device takes VLAN tags out of the bytes of
// frames that it receives, as far as it says.
func (d *Device) StripsTags() bool {
	v := &struct{ cmd, flags uint32 }{cmd: unix.ETHTOOL_GFLAGS}
	return d.ethtool(unsafe.Pointer(v)) == nil && v.flags&ethFlagRxVLAN != 0
}

// Driver returns the driver's name and where the device sits on a bus; bus is
// empty for a device made of software.
func (d *Device) Driver() (name, bus string, err error) {
	info, err := unix.IoctlGetEthtoolDrvinfo(d.fd, d.name)
	if err != nil {
		return "", "", fmt.Errorf("netdev: %s: driver: %w", d.name, err)
	}
	name = unix.ByteSliceToString(info.Driver[:])
	switch bus = unix.ByteSliceToString(info.Bus_info[:]); bus {
	case "N/A", "tap", "tun":
		bus = ""
	}
	return name, bus, nil
}

// MTU returns the device's MTU, bytes of Ethernet payload; 0 when it is gone. It
// does not allocate when the device is there.
func (d *Device) MTU() int {
	u, errno := d.ask(unix.SIOCGIFMTU)
	if errno != 0 {
		return 0
	}
	return int(getInt(u))
}

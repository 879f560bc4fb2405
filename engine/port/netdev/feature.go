package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The "netdev" family, include/uapi/linux/netdev.h: one command, attributes of
// its answer, and bits in them.
const (
	netdevDevGet          = 1
	netdevIfindex         = 1
	netdevXDPFeatures     = 3
	netdevRxMetadata      = 5
	xdpBasic, xdpRedirect = 1 << 0, 1 << 1
	xdpZeroCopy           = 1 << 3
	rxMetadataTag         = 1 << 2
)

// typeMask takes the two flag bits off an attribute's type.
const typeMask = 0x3fff

// XDPFeatures is what a device can do for XDP and AF_XDP.
type XDPFeatures struct {
	Native   bool // its driver runs XDP programs and redirects
	ZeroCopy bool // its driver fills AF_XDP buffers without a copy
	Tags     bool // a program can ask for the VLAN tag that the device took off
}

// XDPFeatures asks the kernel's "netdev" generic netlink family. The error wraps
// unix.ENOENT when the kernel has none (before Linux 6.3).
func (d *Device) XDPFeatures(index int) (f XDPFeatures, err error) {
	err = d.InNamespace(func() (err error) {
		f, err = xdpFeatures(index)
		return err
	})
	if err != nil {
		return XDPFeatures{}, fmt.Errorf("netdev: %s: XDP features: %w", d.name, err)
	}
	return f, nil
}

func xdpFeatures(index int) (f XDPFeatures, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return f, fmt.Errorf("netlink: %w", err)
	}
	defer unix.Close(fd)
	reply, err := genlCall(fd, unix.GENL_ID_CTRL, unix.CTRL_CMD_GETFAMILY,
		attr(unix.CTRL_ATTR_FAMILY_NAME, []byte("netdev\x00")))
	if err != nil {
		return f, err
	}
	id := findAttr(reply, unix.CTRL_ATTR_FAMILY_ID)
	if len(id) < 2 {
		return f, errors.New("no family number in the answer")
	}
	reply, err = genlCall(fd, binary.NativeEndian.Uint16(id), netdevDevGet,
		attr(netdevIfindex, binary.NativeEndian.AppendUint32(nil, uint32(index))))
	if err != nil {
		return f, err
	}
	act := word(findAttr(reply, netdevXDPFeatures))
	const native = xdpBasic | xdpRedirect
	f.Native = act&native == native
	f.ZeroCopy = act&xdpZeroCopy != 0
	f.Tags = word(findAttr(reply, netdevRxMetadata))&rxMetadataTag != 0
	return f, nil
}

// Lengths of struct nlmsghdr, genlmsghdr and nlattr, bytes.
const (
	nlHdr   = unix.SizeofNlMsghdr
	genlHdr = 4
	attrHdr = unix.SizeofNlAttr
)

// genlCall sends one request and returns the attributes of its answer.
func genlCall(fd int, family uint16, cmd uint8, payload []byte) ([]byte, error) {
	b := binary.NativeEndian.AppendUint32(nil, uint32(nlHdr+genlHdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, family)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = append(b, make([]byte, 8)...) // sequence and port number: one call at a time
	b = append(b, cmd, 1, 0, 0)       // command, version of the family
	b = append(b, payload...)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("netlink: send: %w", err)
	}
	buf := make([]byte, 16<<10)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return nil, fmt.Errorf("netlink: receive: %w", err)
	}
	return genlReply(buf[:n])
}

// genlReply returns the attributes of the first message in b.
func genlReply(b []byte) ([]byte, error) {
	if len(b) < nlHdr+4 {
		return nil, errors.New("netlink: answer cut off")
	}
	n, typ := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:])
	if n < nlHdr+4 || n > len(b) {
		return nil, errors.New("netlink: answer cut off")
	}
	if typ == unix.NLMSG_ERROR {
		if e := int32(binary.NativeEndian.Uint32(b[nlHdr:])); e < 0 {
			return nil, unix.Errno(-e)
		}
		return nil, errors.New("netlink: no answer")
	}
	return b[nlHdr+genlHdr : n], nil
}

// attr lays an attribute out, padded to 4 bytes.
func attr(typ uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(attrHdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, payload...)
	return append(b, make([]byte, -len(b)&3)...)
}

// findAttr returns the payload of the first attribute of a type; nil when there
// is none.
func findAttr(b []byte, typ uint16) []byte {
	for len(b) >= attrHdr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < attrHdr || n > len(b) {
			return nil
		}
		if binary.NativeEndian.Uint16(b[2:])&typeMask == typ {
			return b[attrHdr:n]
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}

// word returns a 64-bit attribute; 0 when it is not there.
func word(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(b)
}

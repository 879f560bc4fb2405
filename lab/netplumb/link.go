package netplumb

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Namespace is an open namespace in which devices can be made and set up. It
// holds a netlink socket and a file; Close it. One goroutine at a time.
type Namespace struct {
	name string
	file *os.File
	nl   *netlink.Handle
}

// Open opens the namespace name. Error: ErrNotFound.
func Open(name string) (*Namespace, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	h, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("netplumb: netlink in %s: %w", name, err)
	}
	return &Namespace{name: name, file: f, nl: h}, nil
}

// Name returns the namespace's name.
func (n *Namespace) Name() string { return n.name }

// Close gives the netlink socket and the file back. The namespace stays.
func (n *Namespace) Close() error {
	n.nl.Close()
	return n.file.Close()
}

// End is one end of a veth pair to be made.
type End struct {
	Dev string           // device name, 1 to 15 bytes
	MAC net.HardwareAddr // nil: the kernel chooses
}

// AddVeth makes a veth pair with one end here and the other in peer, both with
// the MTU in bytes and down. Neither end is ever visible elsewhere.
func (n *Namespace) AddVeth(here End, peer *Namespace, there End, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = here.Dev, mtu, here.MAC
	err := n.nl.LinkAdd(&netlink.Veth{
		LinkAttrs:        attrs,
		PeerName:         there.Dev,
		PeerHardwareAddr: there.MAC,
		PeerNamespace:    netlink.NsFd(peer.file.Fd()),
		PeerMTU:          uint32(mtu),
	})
	if err != nil {
		return fmt.Errorf("netplumb: veth %s:%s to %s:%s: %w", n.name, here.Dev, peer.name, there.Dev, err)
	}
	return nil
}

// AddTap makes the persistent TAP device dev, down, with the MTU in bytes. A
// process in the namespace may open it with or without a virtio-net header.
func (n *Namespace) AddTap(dev string, mtu int) error {
	// Made through /dev/net/tun, which takes the opening thread's namespace.
	err := Do(n.name, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = dev
		return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP, NonPersist: false,
			Flags: netlink.TUNTAP_NO_PI | netlink.TUNTAP_VNET_HDR})
	})
	if err != nil {
		return n.fault("TAP", dev, err)
	}
	return n.SetMTU(dev, mtu)
}

// AddBridge makes the bridge dev over the given ports, with the MTU in bytes,
// without multicast snooping (a querier would send frames nobody asked for).
// The bridge is down.
func (n *Namespace) AddBridge(dev string, mtu int, ports ...string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = dev, mtu
	snooping := false
	br := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := n.nl.LinkAdd(br); err != nil {
		return n.fault("bridge", dev, err)
	}
	for _, p := range ports {
		l, err := n.link(p)
		if err != nil {
			return err
		}
		if err := n.nl.LinkSetMaster(l, br); err != nil {
			return n.fault("bridge port", p, err)
		}
	}
	return nil
}

// DeleteLink removes the device dev, and with a veth its far end. An absent
// device is no error.
func (n *Namespace) DeleteLink(dev string) error {
	l, err := n.nl.LinkByName(dev)
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) {
		return nil
	}
	if err == nil {
		err = n.nl.LinkDel(l)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return n.fault("delete", dev, err)
	}
	return nil
}

// SetMTU sets the device's MTU in bytes.
func (n *Namespace) SetMTU(dev string, mtu int) error {
	return n.change("MTU of", dev, func(l netlink.Link) error { return n.nl.LinkSetMTU(l, mtu) })
}

// SetUp sets the device administratively up or down.
func (n *Namespace) SetUp(dev string, up bool) error {
	return n.change("up or down", dev, func(l netlink.Link) error {
		if up {
			return n.nl.LinkSetUp(l)
		}
		return n.nl.LinkSetDown(l)
	})
}

// SetSilent turns the kernel's own protocols off on dev: no ARP, no IPv6, so
// that frames on it come only from a program with a packet socket.
func (n *Namespace) SetSilent(dev string) error {
	if err := n.SetSysctl("net.ipv6.conf."+sysctlDev(dev)+".disable_ipv6", "1"); err != nil {
		return err
	}
	return n.change("ARP of", dev, n.nl.LinkSetARPOff)
}

// sysctlDev writes a device name as a part of a sysctl key.
func sysctlDev(dev string) string {
	b := []byte(dev)
	for i := range b {
		if b[i] == '.' {
			b[i] = '/'
		}
	}
	return string(b)
}

// AddAddr puts an address with its prefix length on dev. IPv6 addresses are
// usable at once (no DAD).
func (n *Namespace) AddAddr(dev string, p netip.Prefix) error {
	return n.change("address "+p.String()+" on", dev, func(l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			a.Flags = unix.IFA_F_NODAD
		}
		return n.nl.AddrAdd(l, a)
	})
}

// AddRoute adds a route to dst by the next hop via, which must be on-link.
func (n *Namespace) AddRoute(dst netip.Prefix, via netip.Addr) error {
	err := n.nl.RouteAdd(&netlink.Route{Dst: ipNet(dst.Masked()), Gw: net.IP(via.AsSlice())})
	if err != nil {
		return fmt.Errorf("netplumb: %s: route %s by %s: %w", n.name, dst, via, err)
	}
	return nil
}

// Devices returns the names of the namespace's devices, in kernel order.
func (n *Namespace) Devices() ([]string, error) {
	links, err := n.nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("netplumb: %s: list: %w", n.name, err)
	}
	names := make([]string, 0, len(links))
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	return names, nil
}

// Device is what the kernel says of a device.
type Device struct {
	MTU int              // bytes
	Up  bool             // administratively up
	MAC net.HardwareAddr // nil for devices without one
}

// Device returns the state of dev.
func (n *Namespace) Device(dev string) (Device, error) {
	l, err := n.link(dev)
	if err != nil {
		return Device{}, err
	}
	a := l.Attrs()
	return Device{MTU: a.MTU, Up: a.Flags&net.FlagUp != 0, MAC: a.HardwareAddr}, nil
}

// change looks dev up and applies fn to it; what names the change in an error.
func (n *Namespace) change(what, dev string, fn func(netlink.Link) error) error {
	l, err := n.link(dev)
	if err != nil {
		return err
	}
	if err := fn(l); err != nil {
		return n.fault(what, dev, err)
	}
	return nil
}

// link returns the device dev.
func (n *Namespace) link(dev string) (netlink.Link, error) {
	l, err := n.nl.LinkByName(dev)
	if err != nil {
		return nil, n.fault("device", dev, err)
	}
	return l, nil
}

// fault writes an error with namespace and device.
func (n *Namespace) fault(what, dev string, err error) error {
	return fmt.Errorf("netplumb: %s: %s %s: %w", n.name, what, dev, err)
}

// loopbackUp brings lo up in the calling thread's namespace.
func loopbackUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// ipNet converts a prefix, keeping its host bits.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

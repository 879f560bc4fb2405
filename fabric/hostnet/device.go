package hostnet

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/ztos/ztos/engine/port/tun"
)

// Device is a TUN device in the fabric VRF. Deliver and Read are for one worker
// each at a time, as fabric.Host asks.
type Device struct{ dev *tun.Device }

// Open makes the TUN device name with addrs, which are single, but for a link-local
// one, whose /64 is on the device, and routes to the prefixes through it. It is gone
// when the Device is closed or the process ends. mtu is in bytes of IP packet.
func Open(name string, addrs []netip.Addr, routes []netip.Prefix, mtu int) (*Device, error) {
	dev, err := tun.Open(tun.Config{Name: name, MTU: mtu})
	if err != nil {
		return nil, err
	}
	if err := configure(name, addrs, routes, mtu); err != nil {
		dev.Close()
		return nil, fmt.Errorf("hostnet: %s: %w", name, err)
	}
	return &Device{dev}, nil
}

func configure(name string, addrs []netip.Addr, routes []netip.Prefix, mtu int) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("MTU %d: %w", mtu, err)
	}
	for _, a := range addrs {
		bits := a.BitLen()
		if a.IsLinkLocalUnicast() {
			bits = 64 // with the route to all others of the device
		}
		addr := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, bits))}
		if err := netlink.AddrReplace(link, addr); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	for _, p := range routes {
		r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(p.Masked())}
		if err := netlink.RouteReplace(r); err != nil {
			return fmt.Errorf("route %v: %w", p, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Deliver hands p, one IP packet for the node, to the kernel. It reports false
// when the device does not take it.
func (d *Device) Deliver(p []byte) bool { return d.dev.WritePacket(p) == nil }

// Read waits for packets that the kernel sends into the fabric and copies one
// into bufs[0], its length into sizes[0]. Errors: port.ErrTimeout, port.ErrClosed,
// and port.ErrDown while the device is down.
func (d *Device) Read(bufs [][]byte, sizes []int) (int, error) {
	n, err := d.dev.ReadPacket(bufs[0])
	if err != nil {
		return 0, err
	}
	sizes[0] = n
	return 1, nil
}

// Close removes the device.
func (d *Device) Close() error { return d.dev.Close() }

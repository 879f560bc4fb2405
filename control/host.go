package control

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/fabric/hostnet"
	"github.com/ztos/ztos/fabric/hoststack"
	"github.com/ztos/ztos/l2/mtu"
)

// openHost opens the node's own IP stack; nil when the configuration wants none.
// link is the node's link-local address; invalid: it has none.
func openHost(cfg *config.Node, link netip.Addr) (fabric.Host, error) {
	addrs := []netip.Addr{cfg.Self.Address}
	if cfg.Self.Address6.IsValid() {
		addrs = append(addrs, cfg.Self.Address6)
	}
	if link.IsValid() {
		addrs = append(addrs, link)
	}
	// What fits the underlay inside WireGuard; over IPv6, so that it fits any.
	size := cfg.Underlay.MTU - mtu.IPv6 - mtu.UDP - mtu.WireGuard
	// A nil pointer in a fabric.Host is not a nil Host: errors return nil by name.
	switch cfg.Host.Mode {
	case config.HostNetstack:
		s, err := hoststack.New(addrs, size)
		if err != nil {
			return nil, err
		}
		return s, nil
	case config.HostTUN:
		var routes []netip.Prefix
		for i := range cfg.Peers {
			routes = append(routes, cfg.Peers[i].AllowedIPs...)
		}
		d, err := hostnet.Open(cfg.Host.Device, addrs, routes, size)
		if err != nil {
			return nil, err
		}
		return d, nil
	}
	return nil, nil
}

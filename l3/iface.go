package l3

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Interface is the gateway of one bridge domain: its IRB interface, the same on
// every leaf. Immutable.
type Interface struct {
	VNI table.VNI
	MAC table.MAC
	// Addresses are the gateway's own, with the lengths of their subnets.
	Addresses []netip.Prefix
	// LinkLocal is made from MAC, as RFC 4291 Appendix A does.
	LinkLocal netip.Addr
	// MTU is what hosts of the bridge domain may send, bytes of IP packet.
	MTU int
	// Advertise: routers advertisements are sent, for hosts to find the gateway
	// and, in /64 prefixes, to make addresses.
	Advertise bool
	// Relay4 and Relay6: DHCP messages that hosts send to all servers are relayed and
	// not flooded.
	Relay4, Relay6 bool

	own      []wire.Addr // Addresses and LinkLocal
	prefixes []netip.Prefix
}

// NewInterface checks and completes i: VNI, MAC and Addresses have to be set.
func NewInterface(i Interface) (*Interface, error) {
	switch {
	case i.VNI == 0 || i.VNI > table.MaxVNI:
		return nil, fmt.Errorf("l3: VNI %d is not in 1 to %d", i.VNI, table.MaxVNI)
	case i.MAC == 0 || i.MAC > table.Broadcast || i.MAC.IsMulticast():
		return nil, fmt.Errorf("l3: VNI %d: gateway MAC %v is not a unicast address", i.VNI, i.MAC)
	case len(i.Addresses) == 0:
		return nil, fmt.Errorf("l3: VNI %d: a gateway without addresses", i.VNI)
	}
	i.Addresses = slices.Clone(i.Addresses)
	i.LinkLocal = LinkLocal(i.MAC)
	i.own, i.prefixes = nil, nil
	for _, p := range i.Addresses {
		if !p.IsValid() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			return nil, fmt.Errorf("l3: VNI %d: %v is not an address with its prefix length", i.VNI, p)
		}
		i.own = append(i.own, wire.AddrFrom(p.Addr()))
		i.prefixes = append(i.prefixes, p.Masked())
	}
	i.own = append(i.own, wire.AddrFrom(i.LinkLocal))
	return &i, nil
}

// LinkLocal returns fe80::/64 with the modified EUI-64 of m: its universal/local
// bit inverted, ff:fe in the middle.
func LinkLocal(m table.MAC) netip.Addr {
	var b [16]byte
	b[0], b[1] = 0xfe, 0x80
	var mac [6]byte
	m.Put(mac[:])
	copy(b[8:], []byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]})
	return netip.AddrFrom16(b)
}

// Prefixes returns the subnets of the bridge domain. The caller must not change
// them.
func (i *Interface) Prefixes() []netip.Prefix { return i.prefixes }

// Owns reports whether a is an address of the gateway.
//
// Hot path: no allocation.
func (i *Interface) Owns(a wire.Addr) bool { return slices.Contains(i.own, a) }

// Holds reports whether a is in a subnet of the bridge domain.
//
// Hot path: no allocation.
func (i *Interface) Holds(a netip.Addr) bool {
	for _, p := range i.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// ownsAddr is Owns, without the link-local address.
func (i *Interface) ownsAddr(a netip.Addr) bool {
	for _, p := range i.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// Source returns the address by which the gateway speaks to host: the one in its
// subnet, else the first of its family, for IPv6 else the link-local one. The
// zero Addr when it has none.
func (i *Interface) Source(host netip.Addr) netip.Addr {
	var first netip.Addr
	for k, p := range i.prefixes {
		a := i.Addresses[k].Addr()
		if p.Contains(host) {
			return a
		}
		if !first.IsValid() && a.Is4() == host.Is4() {
			first = a
		}
	}
	if host.Is6() && (!first.IsValid() || host.IsLinkLocalUnicast()) {
		return i.LinkLocal
	}
	return first
}

// DefaultMAC is the gateway MAC of a bridge domain that is not given one: the
// same on every leaf, locally administered.
func DefaultMAC(vni table.VNI) table.MAC { return 0x025a54_000000 | table.MAC(vni) }

// DefaultRouterMAC is the router MAC of the leaf whose VTEP is a: another for
// every IPv4 VTEP. IPv6 addresses are folded into 32 bits; leaves whose MACs then
// meet are given router MACs by configuration.
func DefaultRouterMAC(a netip.Addr) table.MAC {
	if a.Is4() {
		b := a.As4()
		return 0x025b<<32 | table.MAC(binary.BigEndian.Uint32(b[:]))
	}
	h := uint32(2166136261)
	for _, x := range a.As16() {
		h = (h ^ uint32(x)) * 16777619
	}
	return 0x025c<<32 | table.MAC(h)
}

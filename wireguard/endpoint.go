package wireguard

import (
	"net/netip"
	"slices"
)

// Endpoint is where a peer's messages are sent to. It is immutable; a peer that
// moves gets a new one.
type Endpoint struct {
	Addr netip.AddrPort // IPv4-mapped addresses unmapped
	Sock any            // what Config.Sock returned for Addr: the underlay's form of it; nil without one
}

// Pinned is the set of underlay addresses that a peer may come from. It is
// immutable; an empty or nil set means that it may come from anywhere.
type Pinned struct {
	prefixes []netip.Prefix
	exact    []netip.AddrPort
}

// NewPinned returns the set of the prefixes, with any port, and of the exact
// addresses and ports.
func NewPinned(prefixes []netip.Prefix, exact []netip.AddrPort) *Pinned {
	p := &Pinned{exact: slices.Clone(exact)}
	for _, x := range prefixes {
		p.prefixes = append(p.prefixes, x.Masked())
	}
	return p
}

// Allows reports whether src may be used.
func (p *Pinned) Allows(src netip.AddrPort) bool {
	if p == nil || len(p.prefixes)+len(p.exact) == 0 {
		return true
	}
	for _, x := range p.prefixes {
		if x.Contains(src.Addr()) {
			return true
		}
	}
	return slices.Contains(p.exact, src)
}

// unmap returns a with an IPv4-mapped IPv6 address as IPv4.
func unmap(a netip.AddrPort) netip.AddrPort {
	if a.Addr().Is4In6() {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return a
}

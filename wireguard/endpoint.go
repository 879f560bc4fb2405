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

// maxKnown is how many endpoints of a peer are kept. A node like this one sends
// from its listening port and up to 16 more; the rest is for a second address.
const maxKnown = 24

// spares is for how many new places a peer may be found at before control runs.
const spares = 2

// known are the endpoints that a peer had of late, so that a worker on which it
// moves finds one instead of making it, and unused ones for where the peer was
// never before. Control makes those when a worker has told it of a move. Guarded by keypairs.mu; endpoints do not change
// once they are in list, and one that falls out lives as long as its readers.
type known struct {
	list  [maxKnown]*Endpoint // latest first; nil behind the last
	spare [spares]*Endpoint   // that nobody has seen; nil when it was used
}

// at returns the endpoint of a, unmapped; nil when there is none and no spare.
//
// Hot path: no allocation (TestMoveNoAllocs).
func (k *known) at(n *Node, a netip.AddrPort) *Endpoint {
	for _, e := range k.list {
		if e == nil {
			break
		}
		if e.Addr == a {
			return k.add(e)
		}
	}
	for i, e := range k.spare {
		if e != nil {
			k.spare[i] = nil
			return k.add(n.place(e, a))
		}
	}
	return nil
}

// add puts e first, instead of one of the same address or of the last, and
// returns it.
func (k *known) add(e *Endpoint) *Endpoint {
	i := 0
	for i < maxKnown-1 && k.list[i] != nil && k.list[i].Addr != e.Addr {
		i++
	}
	copy(k.list[1:i+1], k.list[:i])
	k.list[0] = e
	return e
}

// refill makes new spares for those that were used. Control.
func (k *known) refill(n *Node) {
	for i, e := range k.spare {
		if e == nil {
			k.spare[i] = n.newEndpoint(netip.AddrPort{})
		}
	}
}

// refill makes new spare endpoints for those that were used. Control.
func (p *Peer) refill() {
	p.keypairs.mu.Lock()
	defer p.keypairs.mu.Unlock()
	p.known.refill(p.node)
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

package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/wireguard"
)

// Peer is an underlay neighbour: a WireGuard peer, or a plain VTEP.
type Peer struct {
	ID   table.PeerID
	Name string

	// WireGuard is nil iff the carrier is plain.
	WireGuard *wireguard.Peer
	// PlainAddr and PlainEndpoint are where VXLAN goes straight to; valid iff
	// WireGuard is nil.
	PlainAddr     netip.Addr
	PlainEndpoint *underlay.Endpoint

	// LinkLocal is the peer's link-local address, from which it alone may send and
	// only to the node's; the zero Addr for a peer without.
	LinkLocal netip.Addr

	// Sources are the outer sources that a spine accepts from the peer.
	Sources map[netip.Addr]struct{}

	Counts *PeerCounters
}

// usable reports whether packets sent to p have a chance to arrive: it has a
// session and did not fail its liveness check.
//
// Hot path: no allocation.
func (p *Peer) usable(now int64) bool { return p.WireGuard == nil || p.WireGuard.Usable(now) }

// Usable reports whether any path has a chance to be taken.
func (r *Route) Usable(now int64) bool {
	for _, p := range r.Paths {
		if p.usable(now) {
			return true
		}
	}
	return false
}

// pick returns the path for a flow: the same peer for one flow as long as the
// same peers are up. When the flow's own peer is down the next one up takes it,
// and the flows of the others stay where they are. It returns the flow's own
// peer, down, when all are.
//
// Hot path: no allocation.
func (r *Route) pick(flow uint32, now int64) *Peer {
	n := uint32(len(r.Paths))
	// The multiply spreads over any number of paths; the low bits of flow have
	// chosen a source port already.
	i := uint32(uint64(flow) * uint64(n) >> 32)
	for k := range n {
		if p := r.Paths[(i+k)%n]; p.usable(now) {
			return p
		}
	}
	return r.Paths[i]
}

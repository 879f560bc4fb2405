package overlay

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// maxLooked bounds the routes that Refused looks at: the node waits meanwhile.
const maxLooked = 100_000

// Paths returns all paths of a route, the best first.
func (o *Overlay) Paths(k evpn.Key) []evpn.Known { return o.sp.Lookup(k) }

// Find returns where an address is in each bridge domain that knows it, by VNI.
func (o *Overlay) Find(ip netip.Addr) []evpn.Place { return o.sp.Find(ip) }

// Peer returns the address of a BGP peer; invalid when it is not known.
func (o *Overlay) Peer(id evpn.PeerID) netip.Addr {
	if p := o.peers[id]; p != nil {
		return p.Addr
	}
	return netip.Addr{}
}

// Domain returns the bridge domain of a VNI; false when EVPN does not have it.
func (o *Overlay) Domain(vni table.VNI) (evpn.BD, bool) {
	d, ok := o.bds[vni]
	return d.BD, ok
}

// Unused returns a route of type 2 that match takes and that no bridge domain
// imports, of the first maxLooked routes; all says that there were no more.
func (o *Overlay) Unused(match func(evpn.Key) bool) (k evpn.Known, found, all bool) {
	n := 0
	o.Known(func(x evpn.Known) bool {
		n++
		if x.Route.Key.Kind == evpn.MACIP && len(x.BDs) == 0 && match(x.Route.Key) {
			k, found = x, true
		}
		return !found && n < maxLooked
	})
	return k, found, n < maxLooked
}

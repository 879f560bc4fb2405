package control

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
)

// Hear says to n what a BGP session would: that it is up.
func (n *Node) Hear(p evpn.Peer) { n.bgpIn <- bgpMessage{kind: bgpUp, peer: p} }

// HearRoutes says to n what a BGP session would: routes of a peer.
func (n *Node) HearRoutes(id evpn.PeerID, us ...evpn.Update) {
	n.bgpIn <- bgpMessage{kind: bgpUpdates, peer: evpn.Peer{ID: id}, updates: us}
}

// Announced returns what n announces.
func (n *Node) Announced() map[evpn.Key]evpn.Attrs {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[evpn.Key]evpn.Attrs{}
	n.overlay.Announced(func(r evpn.Route) bool {
		out[r.Key] = r.Attrs
		return true
	})
	return out
}

// Keys returns how many keys wait to be wiped and how many were.
func (n *Node) Keys() (waiting, wiped int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.retired {
		waiting += len(r.keys)
	}
	return waiting, n.wiped
}

// NewReader returns a reader of the node's tables, as a worker has.
func (n *Node) NewReader() *table.Reader[fabric.Snapshot] { return n.tables.NewReader() }

// Retire hands over a key of what workers no longer find.
func (n *Node) Retire(k wiper) {
	n.mu.Lock()
	defer n.mu.Unlock()
	retire(n, []wiper{k})
}

// WipeRetired does what the loop does ten times a second.
func (n *Node) WipeRetired() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wipeRetired()
}

// Mislead puts a route into the FIB of a VRF that nothing of the configuration
// wants: into a bridge domain, whosever it is.
func (n *Node) Mislead(vrf string, p netip.Prefix, vni table.VNI) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	st := n.vrfs[vrf]
	st.routes.Set(l3.OriginEVPN, p, &l3.Route{Kind: l3.Connected, VNI: vni})
	return st.routes.Commit()
}

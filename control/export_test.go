package control

import "github.com/ztos/ztos/bgp/evpn"

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

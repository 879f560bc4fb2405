package evpn

import "net/netip"

// PeerID is a handle of a BGP session that whoever speaks BGP hands out and does
// not give to another; 0 is this node.
type PeerID uint32

// Peer is a BGP session as far as the choice among paths needs it.
type Peer struct {
	ID       PeerID
	Addr     netip.Addr // of the session; the last tie-break
	RouterID netip.Addr // BGP identifier, IPv4
	IBGP     bool       // the same AS; eBGP paths win over iBGP ones
}

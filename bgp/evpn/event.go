package evpn

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// EventKind says what happened.
type EventKind uint8

const (
	EventMoved          EventKind = iota + 1 // a MAC moved to or from this node
	EventDuplicate                           // a MAC moved too often; the newcomer is quarantined
	EventReleased                            // the quarantine ended, by command or by time
	EventStickyConflict                      // somebody else claims a sticky MAC (RFC 7432 section 15.2)
	EventAddressMoved                        // an IP address has another MAC now
	EventRefused                             // a route of a peer is ignored; Reason says why
	EventDF                                  // this node became, or ceased to be, the DF
	EventDuplicateIP                         // an IP address changed its MAC too often; nobody is told of it
	EventReleasedIP                          // that ended, by command, by time, or by an immutable binding
)

// String returns the kind's name.
func (k EventKind) String() string {
	switch k {
	case EventMoved:
		return "moved"
	case EventDuplicate:
		return "duplicate"
	case EventReleased:
		return "released"
	case EventStickyConflict:
		return "sticky-conflict"
	case EventAddressMoved:
		return "address-moved"
	case EventRefused:
		return "refused"
	case EventDF:
		return "df"
	case EventDuplicateIP:
		return "duplicate-ip"
	case EventReleasedIP:
		return "released-ip"
	}
	return fmt.Sprintf("event-%d", uint8(k))
}

// Event is something that an operator may want to know. Fields without meaning
// for the kind are zero.
type Event struct {
	Kind EventKind
	Time int64 // ns, as passed in
	VNI  table.VNI
	MAC  table.MAC
	IP   netip.Addr
	// From and To are VTEPs; invalid is this node. Of a duplicate, From is the
	// one that keeps the MAC and To the newcomer in quarantine.
	From, To netip.Addr
	Port     uint32 // local port of a move or conflict, as learnt
	Seq      uint32 // sequence number after a move
	ESI      ESI
	DF       bool   // of EventDF: this node is it
	Peer     PeerID // of EventRefused
	Key      Key    // of EventRefused
	Reason   Reason // of EventRefused
}

// Reason is why a route is ignored. 0 is none.
type Reason uint8

const (
	ReasonUnknownPeer  Reason = iota + 1 // no such session
	ReasonKind                           // a route type that is not 1 to 5
	ReasonNextHop                        // no unicast address
	ReasonEncap                          // no VXLAN
	ReasonMAC                            // zero or multicast
	ReasonIP                             // no host address
	ReasonLabel                          // 0, or no VNI
	ReasonTunnel                         // BUM by other means than ingress replication
	ReasonESI                            // zero or reserved where one is needed
	ReasonOverlayIndex                   // gateway and segment together, or of another family (RFC 9136 section 3.2)
	ReasonRouterMAC                      // routed without Router's MAC
	ReasonNoRT                           // no route target
	ReasonVNIGrant                       // the VTEP has no grant for the VNI
	ReasonMACGrant                       // the VTEP has no grant for the MAC
	ReasonUnresolved                     // an overlay index of a kind that is not resolved here
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	"none", "unknown-peer", "route-type", "next-hop", "encapsulation", "mac", "ip", "label", "tunnel-type", "esi",
	"overlay-index", "router-mac", "no-route-target", "vni-not-granted", "mac-not-granted", "unsupported-overlay-index",
}

// String returns the reason's name, which is stable.
func (r Reason) String() string {
	if r < reasonEnd {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason-%d", uint8(r))
}

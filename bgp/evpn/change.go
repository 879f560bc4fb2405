package evpn

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Changes is what Speaker.Flush returns: how tables and announcements differ
// from those of the Flush before. Each thing occurs once, in its last state.
// Within a list the order is that of the inputs; Routes has withdrawals of type
// 1 per segment first, so that remote nodes repair before they hear the rest.
// Slices inside belong to the receiver.
type Changes struct {
	Routes     []RouteChange
	Groups     []Group // what MACs with ESI point at, after this batch
	MACs       []MACChange
	Evictions  []Eviction
	Neighbours []NeighbourChange
	Floods     []Flood
	Prefixes   []PrefixChange
	Segments   []SegmentState
	Members    []Member
	Events     []Event
	// Suppressed counts refused routes and conflicts over fixed MACs that have no
	// Event, because the batch had more than maxRefusals.
	Suppressed int
	// Interest is set when the route targets that this node imports changed.
	Interest *Interest
}

// Empty reports whether nothing changed.
func (c *Changes) Empty() bool {
	return len(c.Routes)+len(c.Groups)+len(c.MACs)+len(c.Evictions)+len(c.Neighbours)+len(c.Floods)+
		len(c.Prefixes)+len(c.Segments)+len(c.Members)+len(c.Events)+c.Suppressed == 0 && c.Interest == nil
}

// RouteChange is a route to announce or to withdraw.
type RouteChange struct {
	Withdraw bool // Route.Attrs is zero
	Route    Route
}

// Target is where a frame is sent: a VTEP, and the VNI that it asked for.
type Target struct {
	VTEP netip.Addr
	VNI  table.VNI
}

// MACChange is a MAC behind another node.
type MACChange struct {
	VNI    table.VNI // of the bridge domain here
	MAC    table.MAC
	Remove bool // no remote node has it any more; what follows is zero

	// Target is the VTEP that announced it. With ESI it is only the name of the
	// Group {VNI, ESI, Target}, which says where to send.
	Target  Target
	ESI     ESI
	Seq     uint32
	Sticky  bool // may not be learnt here
	Gateway bool // of a default gateway: packets to it are routed (RFC 7432 section 10.1)
	Frozen  bool // in quarantine: may not be learnt here until released
}

// Group is where the MACs go that Advertiser announced behind a segment.
type Group struct {
	VNI        table.VNI
	ESI        ESI
	Advertiser Target
	Remove     bool // no MAC points at it any more; what follows is zero

	// Local: the segment is attached here and up, and this node may use it; send
	// there, and to Members when that ends.
	Local bool
	// Members share the load, sorted. Empty and not Local: no path; treat the MACs
	// as unknown (RFC 7432 section 14.1.1).
	Members []Target
	Backup  []Target // single-active: take over when the member fails
}

// Eviction is a MAC that was learnt here and lives elsewhere now, or is refused.
type Eviction struct {
	VNI    table.VNI
	MAC    table.MAC
	Port   uint32 // where it was learnt
	Reason EvictReason
}

// EvictReason says why a MAC is evicted.
type EvictReason uint8

const (
	EvictMoved     EvictReason = iota + 1 // another node has it now
	EvictFixed                            // another node has it and it may not move
	EvictDuplicate                        // in quarantine; another node keeps it
	EvictSegment                          // its segment went down here
	EvictConfig                           // its bridge domain is configured no more
)

// String returns the reason's name.
func (r EvictReason) String() string {
	switch r {
	case EvictMoved:
		return "moved"
	case EvictFixed:
		return "fixed"
	case EvictDuplicate:
		return "duplicate"
	case EvictSegment:
		return "segment-down"
	case EvictConfig:
		return "not-configured"
	}
	return "none"
}

// NeighbourChange is a pair of IP and MAC behind another node, for proxy ARP and
// ND.
type NeighbourChange struct {
	VNI    table.VNI
	IP     netip.Addr
	Remove bool // what follows is zero
	MAC    table.MAC
	Bits   NeighbourBits // IPv6: to answer with, 0x02 where the route says nothing
}

// Flood is the whole flood list of a VNI.
type Flood struct {
	VNI     table.VNI
	Targets []Target // sorted; empty when the BD is alone or gone
}

// PrefixChange is the whole of a prefix in a VRF.
type PrefixChange struct {
	VRF    VRFID
	Prefix netip.Prefix
	Hops   []NextHop // sorted; empty: there is no such prefix any more
}

// NextHop is one way to a prefix.
type NextHop struct {
	// Target is the VTEP and the VNI to send with: an L3VNI, or with Gateway the
	// VNI of a bridge domain. Its VTEP is invalid when the gateway is local.
	Target Target
	MAC    table.MAC // inner destination: Router's MAC, or the gateway's
	// Gateway is the overlay index of RFC 9136 that was resolved to Target and
	// MAC; invalid without.
	Gateway netip.Addr
	BD      table.VNI // iff Gateway: the bridge domain here that it is in
}

// SegmentState is what this node does for a segment in a bridge domain.
type SegmentState struct {
	ESI          ESI
	VNI          table.VNI
	Remove       bool // not attached, or down; what follows is zero
	DF           bool // sends BUM frames to the segment
	BackupDF     bool // would, if the DF failed
	SingleActive bool // not the DF: neither sends nor receives there
	// Peers are the other VTEPs on the segment, sorted: BUM frames from them are
	// not sent to it (local bias, RFC 8365 section 8.3.1).
	Peers []netip.Addr
}

// Member is a VTEP that announces a VNI, L2 or L3.
type Member struct {
	VTEP    netip.Addr
	VNI     table.VNI
	Remove  bool
	Granted bool // false: to be reported, not to be served
}

package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// BGP is the node's BGP speaker. The zero value is a node without one.
type BGP struct {
	Enabled  bool       `json:"enabled"`
	AS       uint32     `json:"as"`
	RouterID netip.Addr `json:"routerId"`
	Peers    []BGPPeer  `json:"peers"` // in the configuration's order, then those outside by VRF
	// External is what VRFs have by routers outside the fabric, by name.
	External []ExternalVRF `json:"external"`
}

// ExternalVRF is a VRF with routers outside the fabric.
type ExternalVRF struct {
	VRF    string       `json:"vrf"`
	AS     uint32       `json:"as"`     // that they see
	Routes int          `json:"routes"` // prefixes that lead to them
	Faults []NamedCount `json:"faults"` // routes that were not taken, by reason
}

// BGPPeer is a BGP session.
type BGPPeer struct {
	Name       string          `json:"name"`    // of an unnumbered one that of the WireGuard peer, unless another is given
	VRF        string          `json:"vrf"`     // of a router outside the fabric; empty: within
	Address    netip.Addr      `json:"address"` // of an unnumbered one the link-local address that follows from its key
	AS         uint32          `json:"as"`
	Client     bool            `json:"client"`     // routes are reflected to and from it
	State      string          `json:"state"`      // idle, connect, active, open-sent, open-confirm, established
	Age        config.Duration `json:"age"`        // in that state, or since the session came up; 0 when not known
	Received   uint64          `json:"received"`   // routes that the peer announces now
	Advertised uint64          `json:"advertised"` // routes announced to it now
	RxMessages uint64          `json:"rxMessages"`
	TxMessages uint64          `json:"txMessages"`
	Ignored    uint64          `json:"ignored"` // routes of types that nobody here knows, and malformed ones
	Restarting bool            `json:"restarting"`
	Error      string          `json:"error"` // the last; empty when there was none
}

// EVPN is what EVPN has made of what peers announce. The zero value is a node
// without it.
type EVPN struct {
	Enabled  bool          `json:"enabled"`
	VTEP     netip.Addr    `json:"vtep"`
	Routes   int           `json:"routes"`  // of peers
	Paths    int           `json:"paths"`   // of peers, several for one route
	Domains  []EVPNDomain  `json:"domains"` // by VNI
	Refusals []EVPNRefusal `json:"refusals"`

	Segments []Segment      `json:"segments"` // of this node, by name
	Groups   []SegmentGroup `json:"groups"`   // of others, by VNI and identifier
}

// Segment is an Ethernet segment that the node is attached to.
type Segment struct {
	Name string       `json:"name"`
	ESI  string       `json:"esi"`
	Port string       `json:"port"`
	Mode string       `json:"mode"` // all-active or single-active
	Up   bool         `json:"up"`   // its port has a link
	VNIs []SegmentVNI `json:"vnis"` // by VNI
}

// SegmentVNI is a segment in one bridge domain.
type SegmentVNI struct {
	VNI    table.VNI    `json:"vni"`
	Self   bool         `json:"self"`   // this node is the designated forwarder
	DF     netip.Addr   `json:"df"`     // the designated forwarder; zero before the election
	Backup netip.Addr   `json:"backup"` // who follows it; zero when nobody
	Peers  []netip.Addr `json:"peers"`  // the other leaves on the segment
	Why    string       `json:"why"`    // it is that one, or there is none
}

// SegmentGroup is a segment behind which MACs of other nodes are.
type SegmentGroup struct {
	VNI    table.VNI    `json:"vni"`
	ESI    string       `json:"esi"`
	Local  bool         `json:"local"`  // this node is on it too, and sends there itself
	VTEPs  []netip.Addr `json:"vteps"`  // share the flows; none: the MACs are unknown
	Backup []netip.Addr `json:"backup"` // stand by
}

// EVPNDomain is a bridge domain with EVPN.
type EVPNDomain struct {
	VNI    table.VNI    `json:"vni"`
	Name   string       `json:"name"`
	RD     string       `json:"rd"`
	Import []string     `json:"import"`
	Export []string     `json:"export"`
	VTEPs  []netip.Addr `json:"vteps"`  // that announce the VNI and are granted it
	Local  int          `json:"local"`  // MACs here
	Remote int          `json:"remote"` // MACs that others announce

	Suppression *Suppression `json:"suppression"` // nil without suppress
}

// Suppression is the proxy ARP and ND of a bridge domain.
type Suppression struct {
	Drop   bool         `json:"drop"`  // questions about unknown addresses are dropped, not flooded
	Local  int          `json:"local"` // addresses of hosts here
	Known  int          `json:"known"` // all addresses that are known
	Counts []NamedCount `json:"counts"`
}

// NamedCount is a count with its name, which is stable.
type NamedCount struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// EVPNRefusal is how often what a VTEP announced was ignored. By VTEP, VNI,
// reason.
type EVPNRefusal struct {
	VTEP   netip.Addr      `json:"vtep"` // zero: all those that are not told apart
	VNI    table.VNI       `json:"vni"`  // 0: not known
	Reason string          `json:"reason"`
	Count  uint64          `json:"count"`
	Route  string          `json:"route"` // the last one; empty when not known
	Age    config.Duration `json:"age"`   // since the last one
}

// Move is a MAC that moved between nodes, or into or out of quarantine. The
// oldest first.
type Move struct {
	Kind string          `json:"kind"` // moved, duplicate, released, duplicate-ip, released-ip
	Age  config.Duration `json:"age"`
	VNI  table.VNI       `json:"vni"`
	MAC  table.MAC       `json:"mac"`
	// From and To are VTEPs; zero is this node. Of a duplicate, From keeps the MAC
	// and To is the newcomer.
	From netip.Addr `json:"from"`
	To   netip.Addr `json:"to"`
	Port string     `json:"port"` // at this node; empty when not known
	Seq  uint32     `json:"seq"`  // sequence number after a move
	// Address is valid iff an address is meant, not a MAC: duplicate-ip, released-ip.
	Address netip.Addr `json:"address"`
}

// Duplicate is a MAC in quarantine. A zero address is this node.
type Duplicate struct {
	VNI      table.VNI       `json:"vni"`
	MAC      table.MAC       `json:"mac"`
	Keeper   netip.Addr      `json:"keeper"`   // has the MAC
	Newcomer netip.Addr      `json:"newcomer"` // is kept out
	Age      config.Duration `json:"age"`
	Left     config.Duration `json:"left"` // until it is released; 0: by command only
	// Address is valid iff an address is in quarantine, not a MAC. MAC is then of the
	// newest claim, 0 when there is none, and Keeper and Newcomer are not known.
	Address netip.Addr `json:"address"`
}

package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// VRF is a routing domain of a leaf.
type VRF struct {
	Name       string      `json:"name"`
	L3VNI      table.VNI   `json:"l3vni,omitempty"` // 0: on this leaf only
	RouterMAC  table.MAC   `json:"routerMac"`
	URPF       config.URPF `json:"urpf"`
	Gateways   []Gateway   `json:"gateways"`   // by VNI
	Routes     int         `json:"routes"`     // in the FIB
	Neighbours int         `json:"neighbours"` // of all its bridge domains
}

// Gateway is the anycast gateway of a bridge domain.
type Gateway struct {
	VNI       table.VNI      `json:"vni"`
	Name      string         `json:"name"` // of the bridge domain
	MAC       table.MAC      `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
	LinkLocal netip.Addr     `json:"linkLocal"`
}

// Route is one route that a VRF knows.
type Route struct {
	VRF    string       `json:"vrf"`
	Prefix netip.Prefix `json:"prefix"`
	Origin string       `json:"origin"`        // gateway, static, neighbour, contract, external or evpn
	Kind   string       `json:"kind"`          // local, connected, forward or blackhole
	Best   bool         `json:"best"`          // it is in the FIB
	VNI    table.VNI    `json:"vni,omitempty"` // of the bridge domain; local and connected only
	Paths  []Path       `json:"paths,omitempty"`
	// By which contract it is leaked, and the VRF that it is of; contract only.
	Contract string `json:"contract,omitempty"`
	From     string `json:"from,omitempty"`
}

// Path is a next hop: a host of a bridge domain, or another leaf.
type Path struct {
	Host netip.Addr `json:"host"` // zero for a leaf
	VTEP netip.Addr `json:"vtep"` // zero for a host
	VNI  table.VNI  `json:"vni"`  // of the host's bridge domain, or the L3VNI
	MAC  table.MAC  `json:"mac"`  // of the host, 0 while it is not resolved; or the leaf's router MAC
}

// Neighbour is a host of a bridge domain with a gateway, or with suppress.
type Neighbour struct {
	VRF     string          `json:"vrf"` // empty when the bridge domain is not routed
	VNI     table.VNI       `json:"vni"`
	Address netip.Addr      `json:"address"`
	MAC     table.MAC       `json:"mac"`    // 0: not known
	State   string          `json:"state"`  // incomplete, reachable, probing, disputed, announced, duplicate or static
	Age     config.Duration `json:"age"`    // since it said something; 0 when it never did
	Source  string          `json:"source"` // local, evpn or static; empty: not known
	VTEP    netip.Addr      `json:"vtep"`   // behind which it is; zero: at this node, or not known
	Port    string          `json:"port"`   // at which it is; empty: not at this node, or not known
}

// RouteFilter chooses routes; zero fields match everything.
type RouteFilter struct {
	VRF     string
	Address netip.Addr // only routes for prefixes that hold it
}

// Match reports whether r passes f.
func (f *RouteFilter) Match(r *Route) bool {
	return (f.VRF == "" || f.VRF == r.VRF) && (!f.Address.IsValid() || r.Prefix.Contains(f.Address))
}

// NeighbourFilter chooses neighbours; zero fields match everything.
type NeighbourFilter struct {
	VRF    string
	VNI    table.VNI
	Family int // 4, 6, or 0 for both
}

// Match reports whether n passes f.
func (f *NeighbourFilter) Match(n *Neighbour) bool {
	family := f.Family == 0 || n.Address.Is4() == (f.Family == 4)
	return (f.VRF == "" || f.VRF == n.VRF) && (f.VNI == 0 || f.VNI == n.VNI) && family
}

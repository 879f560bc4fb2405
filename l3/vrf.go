package l3

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/l3/dhcp"
)

// URPF is how the source address of a routed packet is checked against the FIB
// (unicast reverse path forwarding).
type URPF uint8

const (
	// Strict: the source is in a subnet of the bridge domain that the packet
	// came by, or its route leads there. What came by an L3VNI has been checked
	// so by the leaf that its MACsec channel authenticated, and is checked as
	// Loose here.
	Strict URPF = iota
	// Loose: the source has a route that is not a blackhole.
	Loose
	// Off: not checked.
	Off
)

// VRF is the routing domain of a tenant on this leaf. Immutable but for its FIB.
type VRF struct {
	ID        uint32 // a handle that never means another VRF
	Name      string
	L3VNI     table.VNI // 0: the VRF is on this leaf only
	RouterMAC table.MAC // of this leaf
	URPF      URPF
	// Loopback4 and Loopback6 are this leaf's own addresses in the VRF; the zero
	// Addr when it has none of that family.
	Loopback4, Loopback6 netip.Addr
	// Strays counts replies of DHCP servers that name no bridge domain.
	Strays *dhcp.Counts
	FIB    *fib.FIB[*Route]
	Leaks  []*Leak // what contracts permit its packets in other VRFs
}

// Equal reports whether v and o are the same VRF with the same properties, FIB,
// counts and leaks.
func (v *VRF) Equal(o *VRF) bool {
	return v.ID == o.ID && v.Name == o.Name && v.L3VNI == o.L3VNI && v.RouterMAC == o.RouterMAC &&
		v.URPF == o.URPF && v.FIB == o.FIB &&
		v.Loopback4 == o.Loopback4 && v.Loopback6 == o.Loopback6 && v.Strays == o.Strays && slices.Equal(v.Leaks, o.Leaks)
}

// Owns reports whether a is an address of this leaf in the VRF, whatever its
// gateways have.
func (v *VRF) Owns(a netip.Addr) bool {
	return a.IsValid() && (a == v.Loopback4 || a == v.Loopback6)
}

package l3

import (
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
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
	FIB       *fib.FIB[*Route]
}

package l3

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// RouteKind says what is done with packets for a prefix.
type RouteKind uint8

const (
	Blackhole RouteKind = iota + 1 // dropped, nobody is told
	Local                          // an address of the gateway itself
	Connected                      // a subnet of a bridge domain, for hosts that have no route of their own yet
	Forward                        // by one of Route.Paths
)

// String returns the kind as people read it.
func (k RouteKind) String() string {
	switch k {
	case Blackhole:
		return "blackhole"
	case Local:
		return "local"
	case Connected:
		return "connected"
	case Forward:
		return "forward"
	}
	return "none"
}

// Route is a value of a VRF's FIB. Immutable but for its neighbours' cells.
type Route struct {
	Kind  RouteKind
	VNI   table.VNI // of the bridge domain; valid iff Local or Connected; 0: Local to the VRF
	Paths []Path    // at least one; valid iff Forward. Equal cost: a flow stays on one
	Leak  *Leak     // by which it is in another VRF's FIB than its own; nil: it is in its own
}

// Path is one next hop: a host of a bridge domain, or another leaf.
type Path struct {
	Host *Neighbour // nil: another leaf

	// Valid iff Host is nil.
	VNI       table.VNI    // the L3VNI of the VRF
	VTEP      table.VTEPID // of the leaf, in the L3VNI
	Addr      netip.Addr   // of the VTEP, for people
	RouterMAC table.MAC    // of the leaf
}

// usable reports whether a packet can leave by p now.
func (p *Path) usable() bool {
	if p.Host == nil {
		return true
	}
	_, ok := p.Host.MAC()
	return ok
}

// pick returns the path of a flow. A path whose host is not resolved is passed
// over for the next one that is; when none is, it returns the flow's own.
//
// Hot path: no allocation.
func (r *Route) pick(flow uint32) *Path {
	n := uint32(len(r.Paths))
	if n == 1 {
		return &r.Paths[0]
	}
	// Another function of the flow than chooses the outer path: leaves that
	// choose alike one after the other would leave paths idle.
	i := uint32(uint64(flow*0x9e3779b1) * uint64(n) >> 32)
	for k := range n {
		if p := &r.Paths[(i+k)%n]; p.usable() {
			return p
		}
	}
	return &r.Paths[i]
}

// by reports whether packets for r leave by bridge domain vni, which strict uRPF
// asks.
func (r *Route) by(vni table.VNI) bool {
	switch r.Kind {
	case Connected:
		return r.VNI == vni
	case Forward:
		for i := range r.Paths {
			if h := r.Paths[i].Host; h != nil && h.VNI == vni {
				return true
			}
		}
	}
	return false
}

package l3

import (
	"net/netip"
	"sync/atomic"

	"github.com/ztos/ztos/engine/table"
)

// Neighbour is a host of a bridge domain: routes point at it, and its MAC is
// filled in, changed and taken away under them.
type Neighbour struct {
	VNI  table.VNI
	Addr netip.Addr
	mac  atomic.Uint64 // 0: not resolved
}

// MAC returns the host's MAC; false while it is not known. Any goroutine.
//
// Hot path: no allocation, inlined.
func (n *Neighbour) MAC() (table.MAC, bool) {
	m := n.mac.Load()
	return table.MAC(m), m != 0
}

func (n *Neighbour) set(m table.MAC) { n.mac.Store(uint64(m)) }

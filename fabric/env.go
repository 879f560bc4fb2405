package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/ring"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/wireguard"
)

// Env is what all graphs of a node share. Immutable but for its cells.
type Env struct {
	Tables *table.Publisher[Snapshot]
	Tap    *trace.Tap
	// Sessions finds WireGuard sessions by receiver index.
	Sessions *wireguard.IndexTable
	// Handshake takes a handshake message (a copy is made) for control. It
	// reports false when control does not keep up.
	Handshake func(src netip.AddrPort, msg []byte) bool
	// Learn takes MACs for control; Wake tells control, once a burst, that
	// there are some.
	Learn *l2.Ring
	Wake  func()
	// Punts takes packets for the slow path of gateways, and Neighbours what that
	// learns for control. Both are nil on a node that does not route.
	Punts      *Punts
	Neighbours *ring.Ring[l3.Event]
	// Proxied takes what hosts say of themselves in ARP and ND, where a bridge
	// domain has a Proxy; nil without a leaf.
	Proxied *ring.Ring[proxy.Event]
	// Host is the node's own IP stack; nil when it has none.
	Host Host
	// Clock returns ns since the engine started. Graphs call it once a burst.
	Clock func() int64
	// UnderlayMTU is the longest IP packet the underlay carries, bytes;
	// Underlay6 says that its headers are IPv6.
	UnderlayMTU int
	Underlay6   bool
}

// Host is the node's own IP stack in the fabric VRF.
type Host interface {
	// Deliver takes a copy of p, an IP packet for the node; false when full.
	Deliver(p []byte) bool
	// Read waits for packets from the node, up to len(bufs), as
	// hoststack.Netstack.Read does.
	Read(bufs [][]byte, sizes []int) (int, error)
	Close() error
}

func (e *Env) underlayHeaders() int {
	if e.Underlay6 {
		return ipUDP6
	}
	return ipUDP4
}

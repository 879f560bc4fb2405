package control

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// ids hands out handles. A thing keeps its handle while the node runs, also
// through being removed and configured again, and a handle never means another
// thing: what workers and cells hold stays true across snapshots.
type ids struct {
	ports map[string]table.PortID
	acs   map[acKey]table.ACID
	vteps map[vtepKey]table.VTEPID
	peers map[string]table.PeerID
	vrfs  map[string]uint32
}

// acKey names an attachment circuit.
type acKey struct {
	vni         table.VNI
	port        string
	vlan, inner uint16
	all         bool
}

// vtepKey names a remote VTEP in a VNI.
type vtepKey struct {
	vni  table.VNI
	addr netip.Addr
}

func newIDs() *ids {
	return &ids{
		ports: map[string]table.PortID{}, acs: map[acKey]table.ACID{},
		vteps: map[vtepKey]table.VTEPID{}, peers: map[string]table.PeerID{}, vrfs: map[string]uint32{},
	}
}

// handle returns the handle of key, a new one when key is new. 0 is never used.
func handle[K comparable, ID ~uint32](m map[K]ID, key K) ID {
	id, ok := m[key]
	if !ok {
		id = ID(len(m) + 1)
		m[key] = id
	}
	return id
}

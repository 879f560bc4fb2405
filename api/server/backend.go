package server

import (
	"context"
	"iter"
	"net/netip"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// Backend is the node behind the API. Its methods are called from any goroutine,
// several at a time, and do not keep or change what they are given. What they
// return is the caller's.
//
// Errors become status codes: config.Faults (wrapped or not) INVALID_ARGUMENT
// with all faults, status.ErrNotFound NOT_FOUND, status.ErrPrecondition
// FAILED_PRECONDITION, those of a context their own, all else INTERNAL.
type Backend interface {
	// Status, Ports, Peers, SecYs and MTUs say what is now.
	Status() status.Node
	Ports() []status.Port
	Peers() []status.Peer
	SecYs() []status.SecY
	MTUs() []status.MTU
	// FDB yields the entries that pass f, by VNI, then MAC. It may be stopped
	// early, and holds no lock while it yields.
	FDB(f status.MACFilter) iter.Seq[status.MAC]
	// VRFs returns the VRFs of a leaf by name. Routes and Neighbours yield as FDB
	// does: by VRF and prefix, the best route of a prefix first; by VNI and
	// address.
	VRFs() []status.VRF
	Routes(f status.RouteFilter) iter.Seq[status.Route]
	Neighbours(f status.NeighbourFilter) iter.Seq[status.Neighbour]
	// Drops returns what each worker dropped, in any order.
	Drops() []status.Drop
	// Counters returns the counters that Ports, Peers, SecYs and Drops do not
	// have: of VNIs, of handshakes, of workers and sockets. By kind, then name.
	Counters() []status.CounterGroup

	// Isolation looks at all loaded tables, whether an entry leads from one tenant
	// to another. It may take a second.
	Isolation() status.Isolation

	// DHCP, BFD, BGP, EVPN, Moves and Duplicates say what is now.
	DHCP() status.DHCP
	BFD() status.BFD
	BGP() status.BGP
	EVPN() status.EVPN
	Moves() []status.Move
	Duplicates() []status.Duplicate
	// Explain says where a MAC or an address is.
	Explain(q status.ExplainQuery) status.Explanation
	// ReleaseDuplicate ends the quarantine of a MAC and reports whether it was in
	// one.
	ReleaseDuplicate(vni table.VNI, mac table.MAC) bool
	// ReleaseAddress is ReleaseDuplicate for an address.
	ReleaseAddress(vni table.VNI, ip netip.Addr) bool

	// Apply makes document, YAML, the configuration in force, all or nothing,
	// and returns its generation. With dryRun it only checks, key files too,
	// and returns the generation that stays.
	Apply(document []byte, dryRun bool) (generation uint64, err error)
	// Reload applies the engine's configuration file as it is now.
	Reload() (generation uint64, err error)

	// InstallSA reads the key files and installs the SA; a transmit SA is not
	// used before UseAN. RemoveSA refuses the transmit SA that is in use.
	InstallSA(sa status.SA) error
	UseAN(vni table.VNI, an uint8) error
	RemoveSA(ref status.SARef) error
	// FlushFDB forgets the learned entries that pass f and returns how many.
	FlushFDB(f status.MACFilter) (flushed int, err error)

	// Trace follows q.Count frames and calls put for each sighting, from one
	// goroutine; Capture calls put for each packet. They call q.Begun as soon
	// as the first frame would be seen. put must not keep Data.
	// They return nil when their limits are reached, ctx's error when it
	// ends, and put's error at once.
	Trace(ctx context.Context, q status.TraceRequest, put func(status.TraceRecord) error) error
	Capture(ctx context.Context, q status.CaptureRequest, put func(status.CapturePacket) error) error
}

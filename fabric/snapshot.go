package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
)

// Tables are the parts from which control builds a Snapshot.
type Tables struct {
	Leaf  bool // tenant ports, bridge domains and a VTEP are here
	Spine bool // transit of outer packets is allowed

	// Local4 and Local6 are the node's addresses in the fabric VRF; the zero
	// Addr when it has none of that family. PlainLocal is its VTEP address on
	// plain carriers.
	Local4, Local6, PlainLocal netip.Addr
	// LinkLocal is the node's link-local address, which only peers with one of
	// their own reach; the zero Addr when there are none.
	LinkLocal netip.Addr

	Ports   []*Port
	ACs     []*AC
	Domains []*Domain
	Peers   []*Peer
	Routes  *fib.Table[*Route] // outer destinations
	VRFs    map[table.VNI]*VRF

	VXLAN    vxlan.Receiver // which packets are VXLAN, and how they are checked
	MergeUDP bool           // ports take merged UDP super-frames
}

// Snapshot is everything that workers look things up in, as of one moment.
// Immutable once published.
type Snapshot struct {
	Tables

	ports   []*Port      // by table.PortID
	acs     []*AC        // by table.ACID
	adjs    []*Adjacency // by table.VTEPID
	peers   []*Peer      // by table.PeerID
	domains *vniTable[*Domain]
	vrfs    *vniTable[*VRF]
	plain   map[netip.Addr]*Peer // plain carriers by underlay address
	links   map[netip.Addr]*Peer // by link-local address
}

// Port is a tenant port.
type Port struct {
	ID     table.PortID
	Name   string
	Device port.Port
	Access *l2.Access // from a frame's tags to its attachment circuit
	Counts *PortCounters
}

// AC is an attachment circuit with its place.
type AC struct {
	*l2.AC
	Port   *Port
	Domain *Domain
}

// Domain is a bridge domain with its protection.
type Domain struct {
	BD *l2.BD
	// SecY is nil iff the VNI is configured without MACsec.
	SecY *macsec.SecY
	// TenantMTU is the largest tenant IP packet that fits, bytes.
	TenantMTU int
	// ClampMSS rewrites the MSS option of TCP SYNs to fit TenantMTU.
	ClampMSS bool
	// TooBig tells senders of oversized frames.
	TooBig *l2.TooBig
	// Proxy answers ARP and ND for hosts behind other nodes; nil when it does not.
	Proxy *proxy.Domain
	// IRB says how the VNI is routed; nil when it is only bridged.
	IRB *IRB
	// Adjacencies are the remote VTEPs of the VNI, by address.
	Adjacencies map[netip.Addr]*Adjacency
}

// Adjacency is a remote VTEP in one VNI with the rewrite that leads there.
type Adjacency struct {
	ID     table.VTEPID // of this VTEP in this VNI
	VTEP   netip.Addr
	Encap  *vxlan.Template
	Route  *Route
	Plain  bool    // reached without WireGuard
	Domain *Domain // back to its VNI
}

// Route is where outer packets for a prefix go: one or several peers (ECMP).
type Route struct {
	Paths []*Peer // at least one
}

// VRF is the spine's guard: which VTEPs may exchange the VNIs of the VRF.
type VRF struct {
	Name    string
	Members map[netip.Addr]struct{}
}

// NewSnapshot indexes t. It keeps t's objects, which must not change afterwards
// but for their cells.
func NewSnapshot(t Tables) *Snapshot {
	s := &Snapshot{
		Tables: t,
		vrfs:   newVNITable(t.VRFs),
		plain:  map[netip.Addr]*Peer{},
		links:  map[netip.Addr]*Peer{},
	}
	for _, p := range t.Ports {
		s.ports = place(s.ports, uint32(p.ID), p)
	}
	for _, a := range t.ACs {
		s.acs = place(s.acs, uint32(a.ID), a)
	}
	for _, p := range t.Peers {
		s.peers = place(s.peers, uint32(p.ID), p)
		if p.WireGuard == nil {
			s.plain[p.PlainAddr] = p
		} else if p.LinkLocal.IsValid() {
			s.links[p.LinkLocal] = p
		}
	}
	s.domains = sizedVNITable[*Domain](len(t.Domains))
	for _, d := range t.Domains {
		s.domains.add(d.BD.VNI, d)
		for _, a := range d.Adjacencies {
			s.adjs = place(s.adjs, uint32(a.ID), a)
		}
	}
	return s
}

// Domain returns the bridge domain of vni.
//
// Hot path: no allocation.
func (s *Snapshot) Domain(vni table.VNI) (*Domain, bool) { return s.domains.lookup(vni) }

// place puts v at index i of the sparse slice s, which it grows as needed.
func place[T any](s []T, i uint32, v T) []T {
	if n := int(i) + 1 - len(s); n > 0 {
		s = append(s, make([]T, n)...)
	}
	s[i] = v
	return s
}

// entry returns s[id], the zero value when there is none.
func entry[T any](s []T, id uint32) (v T) {
	if int(id) < len(s) {
		return s[id]
	}
	return v
}

// isLocal reports whether a is an address of the node in the fabric VRF.
func (s *Snapshot) isLocal(a netip.Addr) bool { return a == s.Local4 || a == s.Local6 }

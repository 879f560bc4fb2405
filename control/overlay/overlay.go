package overlay

import (
	"iter"
	"log/slog"
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// Tables is what an Overlay changes; the methods of the learner are l2.Learner's.
type Tables interface {
	Place(l2.Placement) bool
	Displace(table.VNI, table.MAC) bool
	Evict(table.VNI, table.MAC, table.ACID) bool
	Freeze(table.VNI, table.MAC, bool) bool
	SetGroup(table.VNI, l2.GroupID, *l2.Group) bool
	FlushDest(table.VNI, l2.Dest)
	// SetSegment says what is to be done for the segment behind a circuit.
	SetSegment(table.ACID, l2.SegmentState)
	// Entry returns what the FDB has of a MAC, Entries all that it has.
	Entry(table.VNI, table.MAC) (l2.Entry, bool)
	Entries(table.VNI) iter.Seq[l2.Entry]
	// Remote returns the handle of a VTEP that the configuration grants to a VNI.
	Remote(table.VNI, netip.Addr) (table.VTEPID, bool)
	// Flood makes lists, the whole of each VNI, the ones that BUM frames go to,
	// beside configured VTEPs. All VTEPs in it are granted. It publishes once.
	Flood(lists map[table.VNI][]netip.Addr)
}

// Overlay is the EVPN of one node. One goroutine at a time.
type Overlay struct {
	log    *slog.Logger
	clock  func() int64
	tables Tables
	sp     *evpn.Speaker

	bds    map[table.VNI]domain
	grants map[netip.Addr]evpn.Grant
	peers  map[evpn.PeerID]*peer
	groups groups

	segments segments
	barred   []macKey                   // refused here as duplicates, since the last Apply
	floods   map[table.VNI][]netip.Addr // as handed to Tables
	member   map[evpn.Member]bool       // spine: granted memberships

	neighbours Neighbours          // nil: nobody follows
	bound      map[hostKey]binding // by Bind
	router     Router              // nil: nothing is routed here
	vrfs       map[table.VNI]*vrf  // by L3VNI
	hosts      hosts
	replay     map[table.VNI]bool // VRFs whose routes the router is to get anew

	counts   Counts
	moves    history[evpn.Event] // moves, duplicates, releases
	refusals refusals
}

// domain is a bridge domain as configured.
type domain struct {
	evpn.BD
	name string
}

// peer is a BGP session as the Overlay knows it.
type peer struct {
	evpn.Peer
	up     bool
	synced bool // it has said end of RIB since the node began
}

type macKey struct {
	vni table.VNI
	mac table.MAC
}

// Counts is what happened since the node began.
type Counts struct {
	Updates      uint64 // routes that peers announced or withdrew
	Announced    uint64 // routes handed to BGP
	Withdrawn    uint64
	Refused      uint64 // routes of peers that were ignored
	Moves        uint64
	Duplicates   uint64
	DuplicateIPs uint64
	Released     uint64
	Conflicts    uint64 // somebody claims a MAC that may not move
	Floods       uint64 // flood lists published
	Placed       uint64 // MACs put into the FDB, or moved in it
	Displaced    uint64
	Unplaced     uint64 // MACs and groups that the FDB did not take
	Groups       uint64 // changes of where the MACs of a segment are
	Elections    uint64 // times that this node became, or ceased to be, a designated forwarder
	Routed       uint64 // routes of VRFs that were set
	Unrouted     uint64 // and taken away
	Publications uint64 // batches that changed a table
}

// New returns an Overlay that knows nothing; Configure comes first. clock returns
// ns since the node began.
func New(t Tables, clock func() int64, log *slog.Logger) *Overlay {
	return &Overlay{
		log: log, clock: clock, tables: t, sp: evpn.New(),
		bds: map[table.VNI]domain{}, peers: map[evpn.PeerID]*peer{},
		groups: newGroups(), segments: newSegments(), floods: map[table.VNI][]netip.Addr{}, member: map[evpn.Member]bool{},
		refusals: refusals{at: map[refusalKey]*Refusal{}},
		vrfs:     map[table.VNI]*vrf{}, hosts: newHosts(), bound: map[hostKey]binding{}, replay: map[table.VNI]bool{},
	}
}

// PeerUp begins a session.
func (o *Overlay) PeerUp(p evpn.Peer) {
	x := o.peers[p.ID]
	if x == nil {
		x = &peer{}
		o.peers[p.ID] = x
	}
	x.Peer, x.up = p, true
	o.sp.PeerUp(p)
}

// PeerDown ends a session. With keep its routes stay in use until EndOfRIB.
func (o *Overlay) PeerDown(id evpn.PeerID, keep bool) {
	if p := o.peers[id]; p != nil {
		p.up = false
		if !keep {
			delete(o.peers, id) // it may come back under another ID
		}
	}
	o.sp.PeerDown(o.clock(), id, keep)
}

// LongLived says that a peer's time to restart is over and its long-lived one begins.
func (o *Overlay) LongLived(id evpn.PeerID) { o.sp.LongLived(o.clock(), id) }

// EndOfRIB says that a peer has sent all it has, or has had the time for it.
func (o *Overlay) EndOfRIB(id evpn.PeerID) {
	if p := o.peers[id]; p != nil {
		p.synced = true
	}
	o.sp.EndOfRIB(o.clock(), id)
}

// Synced reports whether n peers have announced all that they had, since the node
// began.
func (o *Overlay) Synced(n int) bool {
	for _, p := range o.peers {
		if p.synced {
			n--
		}
	}
	return n <= 0
}

// Update takes routes of peers.
func (o *Overlay) Update(us []evpn.Update) {
	o.counts.Updates += uint64(len(us))
	o.sp.Update(o.clock(), us)
}

// Admit decides, as l2.Arbiter, whether a MAC may be learned at a circuit.
func (o *Overlay) Admit(vni table.VNI, mac table.MAC, at table.ACID) bool {
	if _, ok := o.bds[vni]; !ok {
		return true // no EVPN there
	}
	v := o.learn(evpn.LocalMAC{VNI: vni, MAC: mac, Port: uint32(at)})
	if v == evpn.Quarantined {
		o.barred = append(o.barred, macKey{vni, mac})
	}
	if v == evpn.Accepted {
		o.bindAll(macKey{vni, mac}, uint32(at), false)
	}
	return v == evpn.Accepted
}

// Learned takes what the learner did by itself. What Admit decided it knows.
func (o *Overlay) Learned(changes []l2.Change) {
	now := o.clock()
	for i := range changes {
		c := &changes[i]
		if _, ok := o.bds[c.VNI]; !ok {
			continue
		}
		switch c.Kind {
		case l2.Aged, l2.Flushed, l2.Removed, l2.Moved:
			if c.From.Kind == l2.DestLocal && c.To.Kind != l2.DestLocal {
				o.sp.Forget(now, c.VNI, c.MAC, netip.Addr{})
			}
		case l2.Added:
			if c.To.Kind == l2.DestLocal {
				// Configured at a circuit: it does not move.
				o.learn(evpn.LocalMAC{VNI: c.VNI, MAC: c.MAC, Port: c.To.ID, Sticky: true})
				o.bindAll(macKey{c.VNI, c.MAC}, c.To.ID, true)
			} else if c.From.Kind == l2.DestLocal {
				o.sp.Forget(now, c.VNI, c.MAC, netip.Addr{})
			}
		case l2.MoveRefused:
			// A sticky MAC of another node was seen here; EVPN reports it.
			e, ok := o.tables.Entry(c.VNI, c.MAC)
			if ok && e.External && e.Static && c.To.Kind == l2.DestLocal {
				o.Admit(c.VNI, c.MAC, table.ACID(c.To.ID))
			}
		}
	}
}

// Release ends the quarantine of a MAC and reports whether it was in one.
func (o *Overlay) Release(vni table.VNI, mac table.MAC) bool {
	return o.sp.Release(o.clock(), vni, mac)
}

// Next returns when Tick is due, in ns; ok is false when nothing waits.
func (o *Overlay) Next() (at int64, ok bool) { return o.sp.Next() }

// Tick does what is due.
func (o *Overlay) Tick() { o.sp.Tick(o.clock()) }

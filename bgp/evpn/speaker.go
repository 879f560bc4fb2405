package evpn

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// maxRefusals bounds the events of refused routes, and of conflicts, in one
// batch: a peer that sends a million of them is reported, not echoed.
const maxRefusals = 256

// Speaker is the EVPN state of one node. One goroutine at a time.
//
// Configure, the methods of peers (PeerUp, Update, PeerDown, EndOfRIB), those of
// this node (Learn, Forget, AddPrefix, SegmentUp ...) and Tick change it and
// note what is affected; Flush decides the affected and returns what changed
// since the Flush before. So a batch costs what it affects, and each thing is
// published once, whatever happened to it inside the batch.
//
// Who holds a MAC is decided at once, not at Flush: sequence numbers depend on
// the order of events.
type Speaker struct {
	cfg   Config
	in    interner
	index importIndex
	rib   rib
	peers map[PeerID]*peer
	bds   map[table.VNI]*bd
	vrfs  map[VRFID]*vrf
	esis  map[ESI]*segment
	own   ownRoutes
	order uint64 // of arrivals
	now   int64  // of the last call

	interest      Interest
	members       map[Member]int // without Remove and Granted: how many attrs name it
	quarantine    []*macEntry    // in the order of their time; released ones stay until their turn
	quarantined   int            // in quarantine now
	heldAddresses []*neighbour   // in quarantine, in the order of their ends
	idle          []*macEntry    // kept for their count of moves alone, in order
	lastHops      []NextHop      // as published last; prefixes with the same share it
	held          bool
	dirty         dirty
	evicted       []evicted
	reopened      bool // a BD or VRF was closed: one of the same name may be there in the same batch
	refusals      int
	out           Changes
	interestDirty bool
}

// dirty lists what Flush has to decide, in the order in which it was touched.
type dirty struct {
	macs       []*macEntry
	neighbours []*neighbour
	floods     []*bd
	groups     []*group
	prefixes   []*prefix
	segments   []*segment
	members    []Member
}

// New returns a speaker that knows nothing; Configure comes first.
func New() *Speaker {
	return &Speaker{
		in:      newInterner(),
		rib:     newRIB(),
		peers:   map[PeerID]*peer{},
		bds:     map[table.VNI]*bd{},
		vrfs:    map[VRFID]*vrf{},
		esis:    map[ESI]*segment{},
		own:     newOwnRoutes(),
		members: map[Member]int{},
		index:   importIndex{exact: map[RT][]importer{}, wild: map[uint32][]importer{}},
	}
}

// PeerUp makes a session known, or known again after PeerDown: paths that were
// kept stay stale until they are announced again or EndOfRIB comes.
func (s *Speaker) PeerUp(p Peer) {
	if x := s.peers[p.ID]; x != nil {
		x.Peer = p
		return
	}
	s.peers[p.ID] = &peer{Peer: p}
}

// PeerDown ends a session. With keep, for a graceful restart, its routes stay in
// use and become stale; those that were stale already, from a restart before
// that never came to its end, go (RFC 4724 section 4.2). Without, all are
// withdrawn and the peer is forgotten.
func (s *Speaker) PeerDown(now int64, id PeerID, keep bool) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.now = now
	if keep {
		s.dropStale(now, p)
		for x := p.first; x != nil; x = x.next {
			x.flags |= pathStale
		}
		return
	}
	for p.first != nil {
		s.drop(now, p.first)
	}
	delete(s.peers, id)
}

// EndOfRIB says that the peer has announced all it has, or that the time to do
// so is over: what is still stale is withdrawn.
func (s *Speaker) EndOfRIB(now int64, id PeerID) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.now = now
	s.dropStale(now, p)
}

func (s *Speaker) dropStale(now int64, p *peer) {
	for x := p.first; x != nil; {
		next := x.next
		if x.flags&pathStale != 0 {
			s.drop(now, x)
		}
		x = next
	}
}

// LongLived says that a peer's time to restart is over and that its long-lived one
// begins: what is still stale becomes the last choice, except for what is not to be
// kept so, which is withdrawn (RFC 9494 section 4.3).
func (s *Speaker) LongLived(now int64, id PeerID) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.now = now
	for x := p.first; x != nil; {
		next := x.next
		switch {
		case x.flags&pathStale == 0:
		case x.attrs.noStale:
			s.drop(now, x)
		case !x.attrs.stale:
			s.demote(now, x)
		}
		x = next
	}
}

// demote makes a path the last choice.
func (s *Speaker) demote(now int64, x *path) {
	attrs := x.attrs.attrs(x)
	attrs.Stale = true
	a, fresh := s.in.get(&attrs)
	if fresh {
		s.adopt(a)
	}
	d := x.dest
	d.unlink(x)
	s.forgo(x.attrs)
	x.attrs = a
	d.link(x)
	s.retake(now, d)
}

// Update takes a batch of routes.
func (s *Speaker) Update(now int64, us []Update) {
	s.now = now
	for i := range us {
		s.update(now, &us[i])
	}
}

func (s *Speaker) update(now int64, u *Update) {
	p := s.peers[u.Peer]
	if p == nil {
		s.refuse(now, u.Peer, &u.Route, ReasonUnknownPeer)
		return
	}
	d, h := s.rib.find(&u.Route.Key)
	withdraw := u.Withdraw
	switch {
	case withdraw:
	case u.Route.Attrs.NextHop == s.cfg.VTEP && s.cfg.VTEP.IsValid():
		withdraw = true // this node's own, back by a reflector
	default:
		if why := s.check(&u.Route); why != 0 {
			s.refuse(now, u.Peer, &u.Route, why)
			withdraw = true
		}
	}
	if withdraw {
		if d != nil {
			if x := d.of(p); x != nil {
				s.drop(now, x)
			}
		}
		return
	}
	a, fresh := s.in.get(&u.Route.Attrs)
	if fresh {
		s.adopt(a)
	}
	flags, seq := mobility(&u.Route.Attrs)
	if d == nil {
		d = s.rib.insert(&u.Route.Key, h)
	}
	x := d.of(p)
	if x != nil && x.attrs == a && x.seq == seq && x.flags&^pathStale == flags {
		x.flags = flags // announced again; nothing new
		s.in.put(a)
		return
	}
	s.order++
	if x == nil {
		x = &path{dest: d, peer: p}
		p.append(x)
	} else {
		d.unlink(x)
		s.forgo(x.attrs)
	}
	x.attrs, x.seq, x.flags, x.order = a, seq, flags, s.order
	d.link(x)
	if why := a.refused; why != 0 {
		s.refuse(now, u.Peer, &u.Route, why)
	}
	s.retake(now, d)
}

// drop removes a path.
func (s *Speaker) drop(now int64, x *path) {
	d := x.dest
	d.unlink(x)
	x.peer.remove(x)
	s.retake(now, d)
	s.forgo(x.attrs)
	if d.best == nil {
		s.rib.remove(d)
	}
}

// refuse reports a route that is ignored.
func (s *Speaker) refuse(now int64, id PeerID, r *Route, why Reason) {
	if s.refusals++; s.refusals > maxRefusals {
		s.out.Suppressed++
		return
	}
	s.event(Event{Kind: EventRefused, Time: now, Peer: id, Key: r.Key, To: r.Attrs.NextHop, MAC: r.Key.MAC,
		Reason: why})
}

func (s *Speaker) event(e Event) { s.out.Events = append(s.out.Events, e) }

// adopt finds out who imports fresh attributes.
func (s *Speaker) adopt(a *attrs) {
	a.bds, a.vrfs, a.refused = s.importers(a)
	s.countMember(a, 1)
}

// importers returns the tables that take routes with a: those that import one of
// its route targets and for which its VTEP has a grant. refused is the first
// grant that lacked.
func (s *Speaker) importers(a *attrs) (bds []*bd, vrfs []*vrf, refused Reason) {
	bds, vrfs = s.index.find(a.rts)
	if s.cfg.Grants == nil {
		return bds, vrfs, 0
	}
	granted := func(vni table.VNI) bool {
		why := s.cfg.grant(a.nextHop, vni)
		if e := a.pmsi.Endpoint; why == 0 && e.IsValid() && e != a.nextHop {
			why = s.cfg.grant(e, vni)
		}
		if refused == 0 {
			refused = why
		}
		return why == 0
	}
	bds = slices.DeleteFunc(bds, func(b *bd) bool { return !granted(b.VNI) })
	vrfs = slices.DeleteFunc(vrfs, func(v *vrf) bool { return !granted(v.VNI) })
	return bds, vrfs, refused
}

// forgo gives a reference to attributes back.
func (s *Speaker) forgo(a *attrs) {
	if s.in.put(a) {
		s.countMember(a, -1)
	}
}

// retake brings the tables in line with the best path of d.
func (s *Speaker) retake(now int64, d *dest) {
	if d.key.Kind == Segment {
		s.retakeSegment(d)
		return
	}
	var a *attrs
	if d.best != nil {
		a = d.best.attrs
	}
	old := d.taken
	if a != nil {
		a.refs++
	}
	d.taken = a
	if old != nil {
		for _, b := range old.bds {
			if a == nil || !slices.Contains(a.bds, b) {
				s.bdRemove(now, b, d, old)
			}
		}
		for _, v := range old.vrfs {
			if a == nil || !slices.Contains(a.vrfs, v) {
				s.vrfRemove(v, d, old)
			}
		}
	}
	if a != nil {
		for _, b := range a.bds {
			s.bdTake(now, b, d, old)
		}
		for _, v := range a.vrfs {
			s.vrfTake(v, d, old)
		}
	}
	if old != nil {
		s.forgo(old)
	}
}

// Hold delays what goes to the tables: with true, Flush returns what this node
// announces, its segments, evictions and events, and the rest when Hold(false)
// was called. A node that restarts
// holds until its peers have said end of RIB, so that forwarding which survived
// is not torn down for want of routes (RFC 4724 section 4.1).
func (s *Speaker) Hold(on bool) { s.held = on }

// Next returns when Tick has something to do, in ns; ok is false when nothing
// waits.
func (s *Speaker) Next() (at int64, ok bool) {
	take := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for _, e := range s.quarantine {
		if e.dup != nil && e.dup.until > 0 {
			take(e.dup.until)
			break
		}
	}
	if len(s.heldAddresses) > 0 {
		take(s.heldAddresses[0].watch.until)
	}
	if len(s.idle) > 0 && s.idle[0].moves != nil {
		take(s.idle[0].moves.since + s.cfg.Duplicates.Window + 1)
	}
	for _, g := range s.esis {
		if g.wait > 0 {
			take(g.wait)
		}
	}
	return at, ok
}

// Tick does what is due: elections after their wait, and the release of MACs
// from quarantine.
func (s *Speaker) Tick(now int64) {
	s.now = now
	s.releaseDue(now)
	s.releaseAddressesDue(now)
	s.forgetMoves()
	for _, esi := range s.sortedESIs() {
		if g := s.esis[esi]; g.wait > 0 && g.wait <= now {
			s.segmentDue(now, g)
		}
	}
}

func (s *Speaker) sortedESIs() []ESI {
	esis := make([]ESI, 0, len(s.esis))
	for e := range s.esis {
		esis = append(esis, e)
	}
	slices.SortFunc(esis, func(a, b ESI) int { return slices.Compare(a[:], b[:]) })
	return esis
}

// VTEP returns this node's address.
func (s *Speaker) VTEP() netip.Addr { return s.cfg.VTEP }

// Routes returns how many keys and paths are held.
func (s *Speaker) Routes() (keys, paths int) {
	for _, p := range s.peers {
		paths += p.n
	}
	return s.rib.n, paths
}

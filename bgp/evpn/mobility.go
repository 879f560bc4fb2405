package evpn

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// LocalMAC is a MAC that was seen at, or configured for, this node.
type LocalMAC struct {
	VNI     table.VNI
	MAC     table.MAC
	IP      netip.Addr    // valid: an address of the MAC, by ARP or ND or configured
	Bits    NeighbourBits // of IP
	Port    uint32        // where; comes back in events and evictions
	ESI     ESI           // of the segment behind Port
	Sticky  bool          // configured: may not move (RFC 7432 section 15.2)
	Gateway bool          // of this node's gateway; an anycast MAC that other nodes have too
	Silent  bool          // not announced
}

// Verdict is what became of a LocalMAC.
type Verdict uint8

const (
	Accepted    Verdict = iota + 1 // it is local
	Invalid                        // no such BD, or no unicast MAC or IP
	Fixed                          // it may not move here: another node has it sticky, or as a gateway
	Quarantined                    // it is a duplicate, and this node is the newcomer
)

// String returns the verdict's name.
func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case Invalid:
		return "invalid"
	case Fixed:
		return "fixed"
	case Quarantined:
		return "quarantined"
	}
	return "none"
}

// moves counts the moves of a MAC to and from this node.
type moves struct {
	since int64 // ns, when the window began
	n     int
}

// duplicate is a quarantine (RFC 7432 section 15.1).
type duplicate struct {
	since  int64
	until  int64 // 0: only by command
	keeper netip.Addr
	// newcomer is who is kept out. Both are invalid for this node.
	newcomer netip.Addr
}

// Learn says that a MAC, or a pair of MAC and IP, is at this node now. Control
// calls it for what the data plane learns, for each new place of it, and for
// what is configured.
//
// The sequence number follows RFC 7432 section 15: none for a MAC that nobody
// has; one more than the received for a move; the received one when it came from
// the same segment.
func (s *Speaker) Learn(now int64, m LocalMAC) Verdict {
	s.now = now
	b := s.bds[m.VNI]
	if b == nil || m.MAC == 0 || m.MAC > table.Broadcast || m.MAC.IsMulticast() ||
		m.IP.IsValid() && !unicast(m.IP) {
		return Invalid
	}
	e := b.entry(m.MAC)
	if e.dup != nil && e.dup.keeper.IsValid() {
		s.remember(e, &m, true)
		return Quarantined
	}
	if l := e.local; l != nil {
		if l.fixed() && !m.Sticky && !m.Gateway && m.Port != l.port {
			s.event(Event{Kind: EventStickyConflict, Time: now, VNI: m.VNI, MAC: m.MAC, Port: m.Port})
			return Fixed
		}
		s.learnAgain(e, l, &m)
	} else if v := s.learnNew(now, e, &m); v != Accepted {
		s.touchMAC(e) // lets go of an entry that was made for nothing
		return v
	}
	if m.IP.IsValid() {
		s.bind(e, m.IP, m.Bits)
	}
	s.announceMAC(e)
	s.touchMAC(e)
	return Accepted
}

// learnAgain takes what changed about a MAC that is here already.
func (s *Speaker) learnAgain(e *macEntry, l *localMAC, m *LocalMAC) {
	if l.esi != m.ESI && !l.fixed() {
		// It moved between segments of this node. Other nodes of the old segment may
		// hold it with the number that it had: only a greater one settles it.
		l.mob = Mobility{Present: true, Seq: l.mob.Seq + 1}
	}
	if m.Sticky && !l.mob.Sticky {
		l.mob = Mobility{Present: true, Sticky: true}
	}
	s.setSegment(e, m.ESI)
	l.port, l.gateway, l.silent = m.Port, l.gateway || m.Gateway, m.Silent
	if m.Silent {
		s.retractMAC(e)
	}
}

// learnNew takes a MAC that was not here.
func (s *Speaker) learnNew(now int64, e *macEntry, m *LocalMAC) Verdict {
	var mob Mobility
	same := func(p *path) bool { return sameSegment(p.attrs.esi, m.ESI) }
	rival := e.claim(func(p *path) bool { return !same(p) })
	switch {
	case m.Sticky || m.Gateway:
		if m.Sticky {
			mob = Mobility{Present: true, Sticky: true} // "the sequence number is set to zero"
		}
		if rival != nil && m.Sticky {
			s.stickyConflict(now, e, rival, m.Port)
		}
	case rival != nil && rival.fixed():
		s.stickyConflict(now, e, rival, m.Port) // "the PE MUST alert the operator"
		return Fixed
	case rival != nil:
		mob = Mobility{Present: true, Seq: e.highest() + 1}
		if s.moved(now, e, rival.attrs.nextHop, netip.Addr{}, m.Port, mob.Seq) {
			s.confine(now, e, rival.attrs.nextHop, netip.Addr{}, m.Port)
			s.remember(e, m, true)
			return Quarantined
		}
	default:
		// Claims of the same segment only, or none: no move.
		if p := e.claim(same); p != nil && p.flags&pathMobility != 0 {
			mob = Mobility{Present: true, Seq: p.seq, Sticky: p.flags&pathSticky != 0}
		}
	}
	s.remember(e, m, false)
	e.local.mob = mob
	return Accepted
}

// remember notes that the MAC is at this node.
func (s *Speaker) remember(e *macEntry, m *LocalMAC, refused bool) {
	if e.local == nil {
		e.local = &localMAC{}
	}
	l := e.local
	s.setSegment(e, m.ESI)
	l.port, l.gateway, l.silent, l.refused = m.Port, m.Gateway, m.Silent, refused
	s.touchMAC(e)
}

// highest returns the highest sequence number of the claims of others; there is
// one.
func (e *macEntry) highest() uint32 {
	top := e.routes.one.best.seq
	e.routes.all(func(d *dest) bool {
		if newer(d.best.seq, top) {
			top = d.best.seq
		}
		return true
	})
	return top
}

// sameSegment reports whether both are behind one segment of several nodes, so
// that there is no move between them.
func sameSegment(a, b ESI) bool { return a == b && a.shared() }

// Forget says that a MAC, or with a valid ip only this address of it, is at this
// node no more.
func (s *Speaker) Forget(now int64, vni table.VNI, mac table.MAC, ip netip.Addr) {
	s.now = now
	b := s.bds[vni]
	if b == nil {
		return
	}
	e := b.macs[mac]
	if e == nil || e.local == nil {
		return
	}
	if ip.IsValid() {
		s.unbind(e, ip)
		return
	}
	s.release(e)
}

// release gives up this node's claim.
func (s *Speaker) release(e *macEntry) {
	for len(e.local.ips) > 0 {
		s.unbind(e, e.local.ips[len(e.local.ips)-1].addr)
	}
	s.retractMAC(e)
	s.setSegment(e, ESI{})
	e.local = nil
	s.touchMAC(e)
}

// setSegment notes behind which segment a local MAC is.
func (s *Speaker) setSegment(e *macEntry, esi ESI) {
	l := e.local
	if l.esi == esi {
		return
	}
	if g := s.esis[l.esi]; g != nil {
		delete(g.macs, e)
		s.dropSegment(g)
	}
	if !esi.IsZero() {
		s.segment(esi).macs[e] = struct{}{}
	}
	l.esi = esi
}

// evict gives up this node's claim because of somebody else's.
func (s *Speaker) evict(e *macEntry, why EvictReason) {
	s.evicted = append(s.evicted, evicted{e, Eviction{VNI: e.bd.VNI, MAC: e.mac, Port: e.local.port, Reason: why}})
	s.release(e)
}

// evicted is an eviction to be published.
type evicted struct {
	entry *macEntry
	Eviction
}

// flushEvictions publishes the last eviction of each MAC that did not come back
// in the same batch.
func (s *Speaker) flushEvictions() {
	last := map[*macEntry]int{}
	for i, x := range s.evicted {
		last[x.entry] = i
	}
	for i, x := range s.evicted {
		if l := x.entry.local; last[x.entry] == i && (l == nil || l.refused) {
			s.out.Evictions = append(s.out.Evictions, x.Eviction)
		}
	}
	s.evicted = nil
}

// contend holds this node's claim against those of others, after one of theirs
// changed: "a PE receiving a route with a different Ethernet segment identifier
// and a higher sequence number than that which it had previously advertised
// withdraws its route" (RFC 7432 section 15).
func (s *Speaker) contend(now int64, e *macEntry) {
	l := e.local
	if l.refused || l.gateway || e.dup != nil {
		return
	}
	if !l.mob.Sticky {
		s.follow(e)
	}
	rival := e.claim(func(p *path) bool { return !sameSegment(p.attrs.esi, l.esi) })
	switch {
	case rival == nil:
		return
	case l.mob.Sticky:
		s.stickyConflict(now, e, rival, l.port)
		return
	case rival.fixed():
		s.stickyConflict(now, e, rival, l.port)
		s.evict(e, EvictFixed)
		return
	case newer(rival.seq, l.mob.Seq):
	case newer(l.mob.Seq, rival.seq), s.cfg.VTEP.Compare(rival.attrs.nextHop) <= 0:
		return // the other withdraws
	}
	if s.moved(now, e, netip.Addr{}, rival.attrs.nextHop, l.port, rival.seq) {
		s.confine(now, e, netip.Addr{}, rival.attrs.nextHop, l.port)
		return
	}
	s.evict(e, EvictMoved)
}

// follow takes over a higher number of a node on the same segment: all of them
// announce the MAC with one number.
func (s *Speaker) follow(e *macEntry) {
	l := e.local
	p := e.claim(func(p *path) bool { return sameSegment(p.attrs.esi, l.esi) && p.flags&pathMobility != 0 })
	if p == nil || l.mob.Present && !newer(p.seq, l.mob.Seq) {
		return
	}
	l.mob = Mobility{Present: true, Seq: p.seq}
	s.announceMAC(e)
}

func (s *Speaker) stickyConflict(now int64, e *macEntry, p *path, port uint32) {
	if s.refusals++; s.refusals > maxRefusals {
		s.out.Suppressed++
		return
	}
	s.event(Event{Kind: EventStickyConflict, Time: now, VNI: e.bd.VNI, MAC: e.mac, To: p.attrs.nextHop,
		Port: port, Seq: p.seq})
}

// moved counts a move and reports whether it is one too many.
func (s *Speaker) moved(now int64, e *macEntry, from, to netip.Addr, port uint32, seq uint32) bool {
	if e.moves == nil || now-e.moves.since > s.cfg.Duplicates.Window {
		e.moves = &moves{since: now}
	}
	e.moves.n++
	if e.moves.n >= s.cfg.Duplicates.Moves {
		return true
	}
	s.event(Event{Kind: EventMoved, Time: now, VNI: e.bd.VNI, MAC: e.mac, From: from, To: to, Port: port, Seq: seq})
	return false
}

// recentlyMoved reports whether the count of e is still needed: without it a
// MAC whose claims come and go would never be found out.
func (s *Speaker) recentlyMoved(e *macEntry) bool {
	return e.moves != nil && s.now-e.moves.since <= s.cfg.Duplicates.Window
}

// forgetMoves lets go of entries that were kept for their count of moves alone.
func (s *Speaker) forgetMoves() {
	i := 0
	for ; i < len(s.idle) && !s.recentlyMoved(s.idle[i]); i++ {
		s.touchMAC(s.idle[i])
	}
	s.idle = slices.Delete(s.idle, 0, i)
}

// confine puts the newcomer of two claimants in quarantine. From now on the
// keeper has the MAC, and what others say of it is not processed (RFC 7432
// section 15.1); the keeper's own withdrawal is, so that nothing is sent to a
// node that has it no more.
func (s *Speaker) confine(now int64, e *macEntry, keeper, newcomer netip.Addr, port uint32) {
	d := &duplicate{since: now, keeper: keeper, newcomer: newcomer}
	if r := s.cfg.Duplicates.Release; r > 0 {
		d.until = now + r
	}
	e.dup = d
	s.quarantine = append(s.quarantine, e)
	s.quarantined++
	s.event(Event{Kind: EventDuplicate, Time: now, VNI: e.bd.VNI, MAC: e.mac, From: keeper, To: newcomer, Port: port})
	if keeper.IsValid() {
		s.evicted = append(s.evicted, evicted{e, Eviction{VNI: e.bd.VNI, MAC: e.mac, Port: port, Reason: EvictDuplicate}})
	}
	s.touchMAC(e)
}

// Release ends the quarantine of a MAC and reports whether it was in one.
func (s *Speaker) Release(now int64, vni table.VNI, mac table.MAC) bool {
	s.now = now
	b := s.bds[vni]
	if b == nil {
		return false
	}
	e := b.macs[mac]
	if e == nil || e.dup == nil {
		return false
	}
	s.quarantine = slices.DeleteFunc(s.quarantine, func(x *macEntry) bool { return x == e })
	s.free(now, e)
	return true
}

// free ends a quarantine: the claims are weighed again, and the count of moves
// starts at none.
func (s *Speaker) free(now int64, e *macEntry) {
	keeper, newcomer := e.dup.keeper, e.dup.newcomer
	e.dup, e.moves = nil, nil
	s.quarantined--
	s.event(Event{Kind: EventReleased, Time: now, VNI: e.bd.VNI, MAC: e.mac, From: keeper, To: newcomer})
	s.touchMAC(e)
	switch l := e.local; {
	case l == nil:
	case l.refused:
		// The data plane reports it again if it is still there; what it was a
		// quarantine ago is no claim.
		s.setSegment(e, ESI{})
		e.local = nil
	default:
		s.contend(now, e)
	}
}

// releaseDue ends the quarantines whose time is over. They are in the order of
// their ends, as all last equally long.
func (s *Speaker) releaseDue(now int64) {
	i := 0
	for ; i < len(s.quarantine); i++ {
		e := s.quarantine[i]
		if e.dup == nil {
			continue
		}
		if e.dup.until == 0 || e.dup.until > now {
			break
		}
		s.free(now, e)
	}
	s.quarantine = slices.Delete(s.quarantine, 0, i)
}

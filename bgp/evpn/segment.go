package evpn

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// segmentRDs are the numbers of RDs that segments' type 1 routes take, from the
// greatest downwards; control does not give them to VNIs and VRFs.
const (
	maxSegmentRD = 65535
	// rtsPerRoute bounds the route targets of one type 1 route: 8 bytes each, in
	// a BGP message of 4096.
	rtsPerRoute = 400
)

// segment is an Ethernet segment: one of this node, or one that routes speak of.
type segment struct {
	esi    ESI
	cfg    *EthernetSegment // nil: this node is not attached
	phase  phase
	wait   int64 // ns, end of the phase; 0: none
	routes map[*dest]struct{}
	seen   map[netip.Addr]int // type 1 routes per segment by VTEP, of all BDs
	macs   map[*macEntry]struct{}
	hosts  map[*prefix]struct{} // that have next hops behind it

	inUse   uint16 // RFC 9785: preference announced instead of the configured one
	borrows bool   // inUse is valid
	keys    []Key  // announced
	out     map[table.VNI]SegmentState
	dirty   bool
}

// phase is where the election is (RFC 8584 section 2.1).
type phase uint8

const (
	phaseDown phase = iota // INIT
	phaseHold              // RFC 9785 section 4.3: hears others before it announces
	phaseWait              // DF_WAIT
	phaseDone              // DF_CALC and DF_DONE
)

func (s *Speaker) segment(esi ESI) *segment {
	g := s.esis[esi]
	if g == nil {
		g = &segment{
			esi:    esi,
			routes: map[*dest]struct{}{},
			seen:   map[netip.Addr]int{},
			macs:   map[*macEntry]struct{}{},
			hosts:  map[*prefix]struct{}{},
			out:    map[table.VNI]SegmentState{},
		}
		s.esis[esi] = g
	}
	return g
}

// dropSegment forgets a segment of which nothing is known.
func (s *Speaker) dropSegment(g *segment) {
	if g.cfg == nil && len(g.routes)+len(g.seen)+len(g.macs)+len(g.hosts)+len(g.out) == 0 && s.esis[g.esi] == g {
		delete(s.esis, g.esi)
	}
}

// local reports whether frames of vni leave by the segment here: its link is up,
// and if only one node may use it, that is this one.
func (s *Speaker) local(esi ESI, vni table.VNI) bool {
	g := s.esis[esi]
	if g == nil || g.cfg == nil || g.phase == phaseDown || !slices.Contains(g.cfg.VNIs, vni) {
		return false
	}
	return !g.cfg.SingleActive || g.out[vni].DF
}

func (s *Speaker) touchSegment(g *segment) {
	if !g.dirty {
		g.dirty = true
		s.dirty.segments = append(s.dirty.segments, g)
	}
}

// touchSegmentUsers marks the election and what is routed to the segment.
func (s *Speaker) touchSegmentUsers(g *segment) {
	if g.cfg != nil {
		s.touchSegment(g)
	}
	if len(g.hosts) == 0 {
		return
	}
	list := make([]*prefix, 0, len(g.hosts))
	for p := range g.hosts {
		list = append(list, p)
	}
	slices.SortFunc(list, comparePrefixes)
	for _, p := range list {
		s.touchPrefix(p)
	}
}

// retakeSegment takes a type 4 route, or what became of it.
func (s *Speaker) retakeSegment(d *dest) {
	g := s.segment(d.key.ESI)
	if d.best == nil {
		delete(g.routes, d)
	} else {
		g.routes[d] = struct{}{}
	}
	s.touchSegment(g)
}

// SegmentUp says that a configured segment has a link.
func (s *Speaker) SegmentUp(now int64, esi ESI) {
	s.now = now
	g := s.esis[esi]
	if g == nil || g.cfg == nil || g.phase != phaseDown {
		return
	}
	g.phase, g.wait = phaseWait, now+s.cfg.DFWait
	if g.dontPreempt() {
		g.phase = phaseHold
	}
	s.announceSegment(g)
	s.touchAttachment(g)
}

// SegmentDown says that its link is gone. What was learnt there is evicted.
func (s *Speaker) SegmentDown(now int64, esi ESI) {
	s.now = now
	g := s.esis[esi]
	if g == nil || g.phase == phaseDown {
		return
	}
	g.phase, g.wait, g.borrows = phaseDown, 0, false
	s.retractSegment(g)
	list := make([]*macEntry, 0, len(g.macs))
	for e := range g.macs {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *macEntry) int {
		return cmp.Or(cmp.Compare(a.bd.VNI, b.bd.VNI), cmp.Compare(a.mac, b.mac))
	})
	for _, e := range list {
		s.evict(e, EvictSegment)
	}
	s.touchAttachment(g)
}

// touchAttachment marks all that depends on whether g is attached.
func (s *Speaker) touchAttachment(g *segment) {
	s.touchSegment(g)
	for _, b := range s.sortedBDs() {
		if x := b.segments[g.esi]; x != nil {
			s.touchWays(x)
		}
	}
}

// dontPreempt reports whether the segment is to be non-revertive.
func (g *segment) dontPreempt() bool {
	return g.cfg.DF.Caps&CapDontPreempt != 0 && (g.cfg.DF.Alg == DFHighest || g.cfg.DF.Alg == DFLowest)
}

// segmentDue ends a phase whose time is over.
func (s *Speaker) segmentDue(now int64, g *segment) {
	switch g.phase {
	case phaseHold:
		g.phase, g.wait = phaseWait, now+s.cfg.DFWait
		s.borrow(g)
		s.announceSegment(g)
	case phaseWait:
		g.phase, g.wait = phaseDone, 0
	}
	s.touchSegment(g)
}

// borrow decides which preference to announce after a hold: that of the best
// node which must not be preempted, if this one's would preempt it (RFC 9785
// section 4.3, step 5).
func (s *Speaker) borrow(g *segment) {
	ref := g.reference(g.others(s.cfg.VTEP))
	if ref == nil {
		return
	}
	mine, theirs := g.cfg.DF.Preference, ref.DF.Preference
	if g.cfg.DF.Alg == DFHighest && mine >= theirs || g.cfg.DF.Alg == DFLowest && mine <= theirs {
		g.inUse, g.borrows = theirs, true
	}
}

// reference returns the best of cands with Don't Preempt, nil without.
func (g *segment) reference(cands []Candidate) *Candidate {
	cands = slices.DeleteFunc(cands, func(c Candidate) bool { return c.DF.Caps&CapDontPreempt == 0 })
	if i := elect(g.cfg.DF.Alg, 0, g.esi, cands); i >= 0 {
		return &cands[i]
	}
	return nil
}

// announced returns the DF election community of this node's segment route.
func (g *segment) announced() DFElection {
	df := g.cfg.DF
	df.Present = true // "SHOULD attach", RFC 8584 section 2.2
	if g.borrows {
		df.Preference, df.Caps = g.inUse, df.Caps&^CapDontPreempt
	}
	return df
}

// remotes returns the routes of other nodes, one of each originator, by address.
func (g *segment) remotes(self netip.Addr) []*dest {
	list := make([]*dest, 0, len(g.routes))
	for d := range g.routes {
		if d.key.IP != self {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b *dest) int {
		return cmp.Or(a.key.IP.Compare(b.key.IP), compareKeys(&a.key, &b.key))
	})
	return slices.CompactFunc(list, func(a, b *dest) bool { return a.key.IP == b.key.IP })
}

// others returns the candidates that announced the segment, by address.
func (g *segment) others(self netip.Addr) []Candidate {
	var list []Candidate
	for _, d := range g.remotes(self) {
		list = append(list, Candidate{Addr: d.key.IP, DF: d.best.attrs.df})
	}
	return list
}

// announceSegment announces types 1 and 4 of a segment that is up.
func (s *Speaker) announceSegment(g *segment) {
	if g.phase == phaseDown {
		return
	}
	base := Attrs{NextHop: s.cfg.VTEP, Encaps: EncapVXLAN}
	keep := map[Key]bool{}
	set := func(k Key, a Attrs) {
		s.own.set(k, a)
		keep[k] = true
		if !slices.Contains(g.keys, k) {
			g.keys = append(g.keys, k)
		}
	}
	if g.phase != phaseHold {
		a := base
		a.ESImport, a.DF = g.esi.Import(), g.announced()
		set(KeyOfSegment(NewRD(s.cfg.RouterID, maxSegmentRD), g.esi, s.cfg.VTEP), a)
	}
	rts, per := s.segmentRTs(g), 0
	for ; len(rts) > 0; per++ {
		n := min(rtsPerRoute, len(rts))
		a := base
		a.RTs = rts[:n:n]
		a.ESILabel = ESILabel{Present: true, SingleActive: g.cfg.SingleActive} // label 0: local bias
		set(KeyOfAD(NewRD(s.cfg.RouterID, uint16(maxSegmentRD-per)), g.esi, MaxTag), a)
		rts = rts[n:]
	}
	for _, vni := range g.cfg.VNIs {
		b := s.bds[vni]
		a := base
		a.RTs, a.Label1 = b.Export, b.VNI
		set(KeyOfAD(b.RD, g.esi, b.Tag), a)
	}
	g.keys = slices.DeleteFunc(g.keys, func(k Key) bool {
		if !keep[k] {
			s.own.unset(k)
		}
		return !keep[k]
	})
}

// segmentRTs returns "the entire set of RTs for all the EVPN instances to which
// the Ethernet segment belongs" (RFC 7432 section 8.2.1.1), each once.
func (s *Speaker) segmentRTs(g *segment) []RT {
	var rts []RT
	for _, vni := range g.cfg.VNIs {
		rts = append(rts, s.bds[vni].Export...)
	}
	slices.SortFunc(rts, func(a, b RT) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(rts)
}

func (s *Speaker) retractSegment(g *segment) {
	for _, k := range g.keys {
		s.own.unset(k)
	}
	g.keys = nil
}

// flushSegments holds the elections that are due and publishes their results.
func (s *Speaker) flushSegments() {
	for _, g := range s.dirty.segments {
		g.dirty = false
		if g.cfg != nil && g.phase == phaseDone {
			s.repay(g)
		}
		want := map[table.VNI]SegmentState{}
		var vnis []table.VNI
		if g.cfg != nil && g.phase != phaseDown {
			for _, vni := range g.cfg.VNIs {
				want[vni] = s.elected(g, s.bds[vni])
				vnis = append(vnis, vni)
			}
		}
		for vni := range g.out {
			if _, ok := want[vni]; !ok {
				vnis = append(vnis, vni)
			}
		}
		slices.Sort(vnis)
		for _, vni := range vnis {
			s.publishSegment(g, vni, want)
		}
		s.dropSegment(g)
	}
	s.dirty.segments = s.dirty.segments[:0]
}

func (s *Speaker) publishSegment(g *segment, vni table.VNI, all map[table.VNI]SegmentState) {
	want, ok := all[vni]
	have, had := g.out[vni]
	if have.DF != want.DF {
		s.event(Event{Kind: EventDF, Time: s.now, VNI: vni, ESI: g.esi, DF: want.DF})
	}
	if b := s.bds[vni]; b != nil && b.segments[g.esi] != nil && have.DF != want.DF {
		s.touchWays(b.segments[g.esi]) // single-active: who has the MACs
	}
	if !ok {
		delete(g.out, vni)
		s.out.Segments = append(s.out.Segments, SegmentState{ESI: g.esi, VNI: vni, Remove: true})
		return
	}
	if had && have.DF == want.DF && have.BackupDF == want.BackupDF && have.SingleActive == want.SingleActive &&
		slices.Equal(have.Peers, want.Peers) {
		return
	}
	g.out[vni] = want
	want.Peers = slices.Clone(want.Peers)
	s.out.Segments = append(s.out.Segments, want)
}

// Vote is an election of a designated forwarder, for display.
type Vote struct {
	Phase      string      // down, hold (hears others before it announces), wait (before it votes), done
	Alg        DFAlg       // that all candidates agree on
	Candidates []Candidate // by address; nobody else may be elected
	DF, Backup netip.Addr  // as this node sees it; invalid before the vote
}

// Vote returns who is designated forwarder of a segment of this node in a bridge
// domain; the zero Vote when it is not attached there.
func (s *Speaker) Vote(esi ESI, vni table.VNI) Vote {
	g, b := s.esis[esi], s.bds[vni]
	if g == nil || g.cfg == nil || b == nil || !slices.Contains(g.cfg.VNIs, vni) {
		return Vote{}
	}
	_, v := s.vote(g, b)
	v.Phase = [...]string{"down", "hold", "wait", "done"}[g.phase]
	slices.SortFunc(v.Candidates, func(x, y Candidate) int { return x.Addr.Compare(y.Addr) })
	return v
}

// elected returns the state of a segment in a bridge domain.
func (s *Speaker) elected(g *segment, b *bd) SegmentState {
	st, _ := s.vote(g, b)
	return st
}

// vote holds the election of a segment in a bridge domain.
func (s *Speaker) vote(g *segment, b *bd) (SegmentState, Vote) {
	st := SegmentState{ESI: g.esi, VNI: b.VNI, SingleActive: g.cfg.SingleActive}
	x := b.segments[g.esi]
	cands := []Candidate{{Addr: s.cfg.VTEP, DF: g.announced()}}
	hops := map[netip.Addr]netip.Addr{} // originator: next hop
	for _, d := range g.remotes(s.cfg.VTEP) {
		a := d.best.attrs
		if s.cfg.grant(a.nextHop, b.VNI) != 0 {
			continue
		}
		hops[d.key.IP] = a.nextHop
		cands = append(cands, Candidate{Addr: d.key.IP, DF: a.df})
		st.Peers = append(st.Peers, a.nextHop)
	}
	if x != nil {
		for vtep, w := range x.ways {
			if w.es > 0 {
				st.Peers = append(st.Peers, vtep)
			}
		}
	}
	slices.SortFunc(st.Peers, netip.Addr.Compare)
	st.Peers = slices.Compact(st.Peers)
	if g.phase != phaseDone {
		return st, Vote{} // "Assume an NDF for the local PE", RFC 8584 section 2.1
	}
	alg, caps := Agree(cands)
	if caps&CapACDF != 0 {
		// RFC 8584 section 4: without its type 1 routes a node is no candidate.
		cands = slices.DeleteFunc(cands, func(c Candidate) bool {
			if c.Addr == s.cfg.VTEP {
				return false
			}
			if x == nil {
				return true
			}
			w := x.ways[hops[c.Addr]]
			return w == nil || w.es == 0 || w.evi == 0
		})
	}
	v := b.ElectionTag
	if v == 0 {
		v = uint32(b.VNI)
	}
	df, backup := Elect(alg, v, g.esi, cands)
	st.DF, st.BackupDF = df == s.cfg.VTEP, backup == s.cfg.VTEP
	return st, Vote{Alg: alg, Candidates: cands, DF: df, Backup: backup}
}

// repay returns to the configured preference when this node became the best of
// those not to be preempted (RFC 9785 section 4.3, step 6).
func (s *Speaker) repay(g *segment) {
	if !g.borrows {
		return
	}
	self := Candidate{Addr: s.cfg.VTEP, DF: g.announced()}
	cands := append(g.others(s.cfg.VTEP), self)
	if i := elect(g.cfg.DF.Alg, 0, g.esi, cands); cands[i].Addr == s.cfg.VTEP {
		g.borrows = false
		s.announceSegment(g)
	}
}

package evpn

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Configure replaces the configuration, or returns what is wrong with it and
// changes nothing. The speaker keeps c, slices and maps too: the caller does not
// change them afterwards. Announcements and tables change by what differs only. What
// was learnt locally stays where its bridge domain stays.
//
// It costs a walk over what is local and, when imports or grants changed, over
// all routes.
func (s *Speaker) Configure(now int64, c Config) error {
	c = c.withDefaults()
	if err := c.Validate(); err != nil {
		return err
	}
	s.now = now
	// What is announced is withdrawn in the old terms and announced in the new;
	// what comes out equal is not seen outside.
	for _, b := range s.sortedBDs() {
		s.retractBD(b)
	}
	for _, v := range s.sortedVRFs() {
		s.retractVRF(v)
	}
	old := s.cfg
	s.cfg = c
	s.configureVRFs()
	s.configureBDs()
	s.configureSegments(now)
	s.reindex()
	regrant := !equalGrants(old.Grants, c.Grants)
	s.reimport(now, regrant)
	s.recountMembers(old.Members, regrant)
	for _, v := range s.sortedVRFs() {
		s.announceVRF(v)
	}
	for _, b := range s.sortedBDs() {
		s.announceBD(b)
	}
	for _, esi := range s.sortedESIs() {
		if g := s.esis[esi]; g.cfg != nil {
			s.announceSegment(g)
			s.touchAttachment(g)
		}
	}
	if old.VTEP != c.VTEP {
		s.recontend(now)
	}
	return nil
}

func (s *Speaker) sortedVRFs() []*vrf {
	list := slices.Collect(maps.Values(s.vrfs))
	slices.SortFunc(list, func(a, b *vrf) int { return int(a.VNI) - int(b.VNI) })
	return list
}

func (s *Speaker) configureVRFs() {
	want := map[VRFID]bool{}
	for _, c := range s.cfg.VRFs {
		want[c.ID] = true
		if v := s.vrfs[c.ID]; v != nil {
			v.VRF = c
		} else {
			s.vrfs[c.ID] = newVRF(c)
		}
	}
	for id := range s.vrfs {
		if !want[id] {
			s.reopened = true
			delete(s.vrfs, id) // its routes leave it by reimport, which publishes that
		}
	}
}

func (s *Speaker) configureBDs() {
	want := map[table.VNI]uint32{} // the tag
	for _, c := range s.cfg.BDs {
		want[c.VNI] = c.Tag
	}
	for _, b := range s.sortedBDs() {
		if tag, ok := want[b.VNI]; !ok || tag != b.Tag {
			s.closeBD(b) // with another tag it is another one: it takes other routes
		}
	}
	for _, v := range s.sortedVRFs() {
		for _, g := range slices.SortedFunc(maps.Keys(v.gateways), netip.Addr.Compare) {
			v.touchGateway(s, g)
		}
		for _, ip := range slices.SortedFunc(maps.Keys(v.hosts), netip.Addr.Compare) {
			if p := v.prefixes[hostPrefix(ip)]; p != nil {
				s.touchPrefix(p)
			}
		}
		v.bds = nil
		clear(v.hosts) // announceBD fills it again
	}
	for _, c := range s.cfg.BDs {
		b := s.bds[c.VNI]
		if b == nil {
			b = newBD(c)
			s.bds[c.VNI] = b
		}
		b.BD, b.vrf = c, s.vrfs[c.VRF]
	}
	for _, b := range s.sortedBDs() {
		if b.vrf != nil {
			b.vrf.bds = append(b.vrf.bds, b)
		}
	}
}

// closeBD takes a bridge domain out of service; reimport takes its routes away.
func (s *Speaker) closeBD(b *bd) {
	for _, e := range b.sortedLocals() {
		s.evict(e, EvictConfig)
	}
	for _, e := range b.macs {
		if e.dup != nil {
			e.dup = nil
			s.quarantined--
			s.quarantine = slices.DeleteFunc(s.quarantine, func(x *macEntry) bool { return x == e })
		}
		e.moves = nil
	}
	s.heldAddresses = slices.DeleteFunc(s.heldAddresses, func(n *neighbour) bool { return n.bd == b })
	for _, n := range b.neighbours {
		n.watch = nil
	}
	b.vrf = nil
	s.reopened = true
	delete(s.bds, b.VNI)
}

func (s *Speaker) configureSegments(now int64) {
	want := map[ESI]*EthernetSegment{}
	for i := range s.cfg.Segments {
		c := &s.cfg.Segments[i]
		want[c.ESI] = c
		g := s.segment(c.ESI)
		if g.cfg == nil {
			g.phase = phaseDown
		}
		g.cfg = c
	}
	for _, esi := range s.sortedESIs() {
		g := s.esis[esi]
		if g.cfg == nil || want[esi] != nil {
			continue
		}
		s.SegmentDown(now, esi)
		g.cfg = nil
		s.touchAttachment(g)
	}
}

// reindex finds importers by route target anew.
func (s *Speaker) reindex() {
	ix := importIndex{exact: map[RT][]importer{}, wild: map[uint32][]importer{}}
	for _, b := range s.sortedBDs() {
		ix.add(b.Import, importer{bd: b})
	}
	for _, v := range s.sortedVRFs() {
		ix.add(v.Import, importer{vrf: v})
	}
	s.index = ix
	in := ix.interest(s.cfg.Segments)
	if in.All != s.interest.All || !slices.Equal(in.RTs, s.interest.RTs) {
		s.interest = in
		s.interestDirty = true
	}
}

// imports are the tables of attributes, as they are to become.
type imports struct {
	bds  []*bd
	vrfs []*vrf
}

// reimport brings tables in line with the configuration; regrant says that
// grants changed.
func (s *Speaker) reimport(now int64, regrant bool) {
	changed := map[*attrs]imports{}
	for _, a := range s.in.attrs {
		var x imports
		x.bds, x.vrfs, a.refused = s.importers(a)
		if regrant || !slices.Equal(x.bds, a.bds) || !slices.Equal(x.vrfs, a.vrfs) {
			changed[a] = x
		}
	}
	if len(changed) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.peers)) {
		for p := s.peers[id].first; p != nil; p = p.next {
			d := p.dest
			if d.best != p || d.taken == nil {
				continue
			}
			if x, ok := changed[d.taken]; ok {
				s.reimportDest(now, d, x)
			}
		}
	}
	for a, x := range changed {
		a.bds, a.vrfs = x.bds, x.vrfs
	}
}

func (s *Speaker) reimportDest(now int64, d *dest, x imports) {
	a := d.taken
	for _, b := range a.bds {
		if d.key.Kind == AutoDiscovery || !slices.Contains(x.bds, b) {
			s.bdRemove(now, b, d, a)
		}
	}
	for _, v := range a.vrfs {
		if !slices.Contains(x.vrfs, v) {
			s.vrfRemove(v, d, a)
		}
	}
	for _, b := range x.bds {
		s.bdTake(now, b, d, nil)
	}
	for _, v := range x.vrfs {
		s.vrfTake(v, d, nil)
	}
}

// recontend weighs all local claims again, by this node's new address.
func (s *Speaker) recontend(now int64) {
	for _, b := range s.sortedBDs() {
		for _, e := range b.sortedLocals() {
			s.contend(now, e)
		}
	}
}

func equalGrants(a, b map[netip.Addr]Grant) bool {
	return (a == nil) == (b == nil) && maps.EqualFunc(a, b, func(x, y Grant) bool {
		return maps.Equal(x.VNIs, y.VNIs) && maps.EqualFunc(x.MACs, y.MACs, maps.Equal)
	})
}

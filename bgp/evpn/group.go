package evpn

import (
	"net/netip"
	"slices"
	"sort"

	"github.com/ztos/ztos/engine/table"
)

// bdSegment is what a bridge domain knows of an Ethernet segment from type 1
// routes that it imported.
type bdSegment struct {
	bd     *bd
	esi    ESI
	ways   map[netip.Addr]*way
	groups map[Target]*group
}

// way is a VTEP on a segment.
type way struct {
	es     int       // type 1 per segment
	single int       // of those, single-active
	evi    int       // type 1 per EVI
	label  table.VNI // of the last of those
}

// group is the set of ways for MACs of one advertiser behind a segment.
type group struct {
	seg        *bdSegment
	advertiser Target
	refs       int    // MACs that point at it
	out        *Group // as published, nil if it was not
	dirty      bool
}

func (b *bd) segment(esi ESI) *bdSegment {
	x := b.segments[esi]
	if x == nil {
		x = &bdSegment{bd: b, esi: esi, ways: map[netip.Addr]*way{}, groups: map[Target]*group{}}
		b.segments[esi] = x
	}
	return x
}

// drop forgets the segment when nothing is known of it.
func (x *bdSegment) drop() {
	if len(x.ways)+len(x.groups) == 0 && x.bd.segments[x.esi] == x {
		delete(x.bd.segments, x.esi)
	}
}

// takeAD takes a type 1 route.
func (s *Speaker) takeAD(b *bd, d *dest) {
	if d.key.Tag != MaxTag && d.key.Tag != b.Tag {
		return
	}
	a := d.taken
	x := b.segment(d.key.ESI)
	w := x.ways[a.nextHop]
	if w == nil {
		w = &way{}
		x.ways[a.nextHop] = w
	}
	g := s.segment(d.key.ESI)
	if d.key.Tag == MaxTag {
		w.es++
		if a.esiLabel.SingleActive {
			w.single++
		}
		g.seen[a.nextHop]++
	} else {
		w.evi++
		w.label = a.label1
	}
	s.touchWays(x)
	s.touchSegmentUsers(g)
}

// removeAD removes a type 1 route that was taken with attributes a.
func (s *Speaker) removeAD(b *bd, d *dest, a *attrs) {
	if d.key.Tag != MaxTag && d.key.Tag != b.Tag {
		return
	}
	x := b.segment(d.key.ESI)
	w := x.ways[a.nextHop]
	if w == nil {
		return
	}
	g := s.segment(d.key.ESI)
	if d.key.Tag == MaxTag {
		w.es--
		if a.esiLabel.SingleActive {
			w.single--
		}
		if g.seen[a.nextHop]--; g.seen[a.nextHop] == 0 {
			delete(g.seen, a.nextHop)
		}
	} else {
		w.evi--
	}
	if w.es+w.evi == 0 {
		delete(x.ways, a.nextHop)
	}
	s.touchWays(x)
	s.touchSegmentUsers(g)
	x.drop()
	s.dropSegment(g)
}

// touchWays marks what depends on the ways of x.
func (s *Speaker) touchWays(x *bdSegment) {
	targets := make([]Target, 0, len(x.groups))
	for t := range x.groups {
		targets = append(targets, t)
	}
	slices.SortFunc(targets, compareTargets)
	for _, t := range targets {
		s.touchGroup(x.groups[t])
	}
}

func (s *Speaker) touchGroup(g *group) {
	if !g.dirty {
		g.dirty = true
		s.dirty.groups = append(s.dirty.groups, g)
	}
}

// groupRef returns the group for MACs with attributes a, with one more
// reference.
func (s *Speaker) groupRef(b *bd, a *attrs) *group {
	x, t := b.segment(a.esi), Target{a.nextHop, a.label1}
	g := x.groups[t]
	if g == nil {
		g = &group{seg: x, advertiser: t}
		x.groups[t] = g
		s.touchGroup(g)
	}
	g.refs++
	return g
}

func (s *Speaker) groupUnref(g *group) {
	if g.refs--; g.refs == 0 {
		s.touchGroup(g)
	}
}

// members returns where MACs of the advertiser are sent, and who stands by.
//
// RFC 7432 sections 8.4, 9.2.2 and 14.1: a VTEP counts with its type 1 route per
// segment and either its type 1 route per EVI or the MAC itself. All-active: all
// of them. Single-active, which one route with the flag is enough for: the
// advertiser; when its route per segment is gone, the only backup; when there
// are several backups, none, and the MACs are flooded.
func (x *bdSegment) members(advertiser Target) (active, backup []Target) {
	single, primary := false, false
	for vtep, w := range x.ways {
		if w.es == 0 {
			continue
		}
		single = single || w.single > 0
		switch {
		case vtep == advertiser.VTEP:
			primary = true
			active = append(active, advertiser) // "if the MAC route exists, its label MUST be used"
		case w.evi > 0:
			backup = append(backup, Target{vtep, w.label})
		}
	}
	switch {
	case !single:
		active, backup = append(active, backup...), nil
	case !primary && len(backup) == 1:
		active, backup = backup, nil
	case !primary:
		backup = nil
	}
	slices.SortFunc(active, compareTargets)
	slices.SortFunc(backup, compareTargets)
	return active, backup
}

// flushGroups publishes groups that were touched.
func (s *Speaker) flushGroups() {
	for _, g := range s.dirty.groups {
		g.dirty = false
		x := g.seg
		if g.refs == 0 {
			delete(x.groups, g.advertiser)
			x.drop()
			if g.out != nil {
				g.out = nil
				s.out.Groups = append(s.out.Groups,
					Group{VNI: x.bd.VNI, ESI: x.esi, Advertiser: g.advertiser, Remove: true})
			}
			continue
		}
		want := Group{VNI: x.bd.VNI, ESI: x.esi, Advertiser: g.advertiser}
		want.Local = s.local(x.esi, x.bd.VNI)
		want.Members, want.Backup = x.members(g.advertiser)
		if g.out != nil && g.out.Local == want.Local && slices.Equal(g.out.Members, want.Members) &&
			slices.Equal(g.out.Backup, want.Backup) {
			continue
		}
		g.out = &want
		public := want
		public.Members, public.Backup = slices.Clone(want.Members), slices.Clone(want.Backup)
		s.out.Groups = append(s.out.Groups, public)
	}
	s.dirty.groups = s.dirty.groups[:0]
}

// sortedBDs returns the bridge domains by VNI.
func (s *Speaker) sortedBDs() []*bd {
	list := make([]*bd, 0, len(s.bds))
	for _, b := range s.bds {
		list = append(list, b)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].VNI < list[j].VNI })
	return list
}

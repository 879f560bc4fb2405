package evpn

import "slices"

// Flush decides what was touched since the Flush before and returns what
// changed. now is the time for events.
func (s *Speaker) Flush(now int64) Changes {
	s.now = now
	s.flushSegments() // first: groups and announcements depend on who is elected
	if !s.held {
		s.flushFloods()
		s.flushMACs()
		s.flushNeighbours() // before prefixes: gateways
		s.flushGroups()     // after MACs: which groups are used
		s.flushPrefixes()
		s.flushMembers()
	}
	s.flushEvictions()
	s.out.Routes = s.own.flush(s.out.Routes)
	if s.interestDirty {
		s.interestDirty = false
		s.out.Interest = &Interest{RTs: slices.Clone(s.interest.RTs), All: s.interest.All}
	}
	if s.reopened && !s.held {
		s.reopened = false
		s.mergeReopened()
	}
	out := s.out
	s.out, s.refusals = Changes{}, 0
	return out
}

// mergeReopened leaves one change of each thing where two of one name were
// published: those of a table that was closed, and those of its successor.
func (s *Speaker) mergeReopened() {
	type key struct {
		vni uint32
		id  any
	}
	s.out.MACs = keepLast(s.out.MACs, func(c *MACChange) key { return key{uint32(c.VNI), c.MAC} })
	s.out.Neighbours = keepLast(s.out.Neighbours, func(c *NeighbourChange) key { return key{uint32(c.VNI), c.IP} })
	s.out.Floods = keepLast(s.out.Floods, func(c *Flood) key { return key{uint32(c.VNI), nil} })
	s.out.Prefixes = keepLast(s.out.Prefixes, func(c *PrefixChange) key { return key{uint32(c.VRF), c.Prefix} })
	type group struct {
		ESI
		Target
	}
	s.out.Groups = keepLast(s.out.Groups, func(c *Group) key { return key{uint32(c.VNI), group{c.ESI, c.Advertiser}} })
}

// keepLast returns list without what has a successor of the same key in it.
func keepLast[T any, K comparable](list []T, of func(*T) K) []T {
	last := make(map[K]int, len(list))
	for i := range list {
		last[of(&list[i])] = i
	}
	out := list[:0]
	for i := range list {
		if last[of(&list[i])] == i {
			out = append(out, list[i])
		}
	}
	return out
}

// flushMembers publishes memberships that changed.
func (s *Speaker) flushMembers() {
	list := s.dirty.members
	s.dirty.members = nil
	slices.SortFunc(list, compareMembers)
	for _, m := range slices.Compact(list) {
		m.Remove = s.members[m] == 0
		if !m.Remove {
			m.Granted = s.cfg.grant(m.VTEP, m.VNI) == 0
		}
		s.out.Members = append(s.out.Members, m)
	}
}

func compareMembers(a, b Member) int {
	if c := a.VTEP.Compare(b.VTEP); c != 0 {
		return c
	}
	return int(a.VNI) - int(b.VNI)
}

package evpn

import "github.com/ztos/ztos/engine/table"

// countMember notes that attributes came into use, or went out of it: a VTEP is
// a member of each VNI that it announces by label, L2 and L3. Routes with the
// same attributes count once, so this costs nothing for each route.
func (s *Speaker) countMember(a *attrs, by int) {
	if !s.cfg.Members {
		return
	}
	s.eachMembership(a, func(m Member) {
		had := s.members[m] > 0
		if s.members[m] += by; s.members[m] == 0 {
			delete(s.members, m)
		}
		if has := s.members[m] > 0; has != had {
			s.dirty.members = append(s.dirty.members, m)
		}
	})
}

// eachMembership calls f for what attributes say of membership, each once.
func (s *Speaker) eachMembership(a *attrs, f func(Member)) {
	vtep := a.nextHop
	seen := [3]table.VNI{a.label1, a.label2, a.pmsi.VNI}
	for i, vni := range seen {
		if vni == 0 || i > 0 && vni == seen[0] || i > 1 && vni == seen[1] {
			continue
		}
		f(Member{VTEP: vtep, VNI: vni})
	}
}

// recountMembers follows a new configuration: was says whether members were
// counted before, regrant that grants changed.
func (s *Speaker) recountMembers(was, regrant bool) {
	switch {
	case s.cfg.Members && !was:
		for _, a := range s.in.attrs {
			s.countMember(a, 1)
		}
	case !s.cfg.Members && was:
		for m := range s.members {
			s.dirty.members = append(s.dirty.members, m)
		}
		clear(s.members)
	case was && regrant:
		for m := range s.members {
			s.dirty.members = append(s.dirty.members, m)
		}
	}
}

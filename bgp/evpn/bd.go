package evpn

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// bd is a bridge domain: its configuration, what peers say of it, and what of
// that was published.
type bd struct {
	BD
	vrf        *vrf // nil: none
	macs       map[table.MAC]*macEntry
	neighbours map[netip.Addr]*neighbour
	segments   map[ESI]*bdSegment
	floods     map[*dest]struct{} // type 3
	flooded    []Target           // as published
	dirty      bool               // in dirty.floods
}

func newBD(c BD) *bd {
	return &bd{
		BD:         c,
		macs:       map[table.MAC]*macEntry{},
		neighbours: map[netip.Addr]*neighbour{},
		segments:   map[ESI]*bdSegment{},
		floods:     map[*dest]struct{}{},
	}
}

// bdTake brings b in line with the best path of d, which has attributes d.taken;
// old are those before, nil if none.
func (s *Speaker) bdTake(now int64, b *bd, d *dest, old *attrs) {
	if old != nil && !slices.Contains(old.bds, b) {
		old = nil
	}
	switch d.key.Kind {
	case MACIP:
		s.takeMAC(now, b, d)
	case Multicast:
		if d.key.Tag == b.Tag {
			b.floods[d] = struct{}{}
			s.touchFlood(b)
		}
	case AutoDiscovery:
		if old != nil {
			s.removeAD(b, d, old)
		}
		s.takeAD(b, d)
	}
}

// bdRemove removes d, which b took with attributes old.
func (s *Speaker) bdRemove(now int64, b *bd, d *dest, old *attrs) {
	switch d.key.Kind {
	case MACIP:
		s.removeMAC(now, b, d)
	case Multicast:
		delete(b.floods, d)
		s.touchFlood(b)
	case AutoDiscovery:
		s.removeAD(b, d, old)
	}
}

func (s *Speaker) touchFlood(b *bd) {
	if !b.dirty {
		b.dirty = true
		s.dirty.floods = append(s.dirty.floods, b)
	}
}

// flushFloods publishes flood lists that changed.
func (s *Speaker) flushFloods() {
	for _, b := range s.dirty.floods {
		b.dirty = false
		list := make([]Target, 0, len(b.floods))
		for d := range b.floods {
			list = append(list, floodTarget(d.best.attrs))
		}
		list = sortTargets(list)
		if slices.Equal(list, b.flooded) {
			continue
		}
		b.flooded = list
		s.out.Floods = append(s.out.Floods, Flood{VNI: b.VNI, Targets: slices.Clone(list)})
	}
	s.dirty.floods = s.dirty.floods[:0]
}

// floodTarget is the end of the tunnel: the one that the PMSI attribute names
// (RFC 7432 section 11.2), else the next hop.
func floodTarget(a *attrs) Target {
	if e := a.pmsi.Endpoint; e.IsValid() {
		return Target{e, a.pmsi.VNI}
	}
	return Target{a.nextHop, a.pmsi.VNI}
}

// sortTargets sorts by VTEP and keeps one target of each VTEP.
func sortTargets(list []Target) []Target {
	slices.SortFunc(list, compareTargets)
	return slices.CompactFunc(list, func(a, b Target) bool { return a.VTEP == b.VTEP })
}

func compareTargets(a, b Target) int {
	if c := a.VTEP.Compare(b.VTEP); c != 0 {
		return c
	}
	return int(a.VNI) - int(b.VNI)
}

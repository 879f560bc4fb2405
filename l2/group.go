package l2

import (
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// GroupID names a group of one FDB, from 1; 0 is none.
type GroupID uint32

// MaxGroups is how many groups an FDB can have: as many as IDs, 1 to MaxGroups.
const MaxGroups = 1 << 20

// Group is where MACs behind an Ethernet segment of several nodes are. MACs point
// at it, so that one change of it moves them all. Immutable once an FDB has it.
type Group struct {
	// Members share the flows to the MACs; none: the MACs count as unknown.
	Members []Dest
	// Sources are where frames of the MACs may come from: members, nodes that
	// stand by, and this node's own circuit on the segment.
	Sources []Dest
}

// InGroup returns the destination of group id.
func InGroup(id GroupID) Dest { return Dest{DestGroup, uint32(id)} }

// pick returns the member for a flow: always the same one of the same members.
// When a member goes, its flows alone move. No destination without members.
//
// Hot path: no allocation.
func (g *Group) pick(flow uint32) Dest {
	var best Dest
	var top uint32
	for _, d := range g.Members {
		if w := weight(flow, d); best.Kind == DestNone || w > top {
			best, top = d, w
		}
	}
	return best
}

// weight is what a member bids for a flow: the highest bid wins. It is another mix
// of the flow's hash than those that choose source ports and paths, so that the
// flows of one VTEP still spread over all of them.
func weight(flow uint32, d Dest) uint32 {
	x := (uint64(flow)<<32 | uint64(d.ID)<<8 | uint64(d.Kind)) * 0xbf58476d1ce4e5b9
	x ^= x >> 29
	x *= 0x94d049bb133111eb
	return uint32(x >> 32)
}

// Group returns group id; nil when there is none. Any goroutine.
//
// Hot path: no allocation.
func (f *FDB) Group(id GroupID) *Group {
	if t := f.groups.Load(); t != nil && int(id) < len(*t) {
		return (*t)[id]
	}
	return nil
}

// resolve returns where a flow to a MAC at d goes; false when that is nowhere
// known.
//
// Hot path: no allocation.
func (f *FDB) resolve(d Dest, flow uint32) (Dest, bool) {
	if d.Kind != DestGroup {
		return d, true
	}
	g := f.Group(GroupID(d.ID))
	if g == nil {
		return Dest{}, false
	}
	d = g.pick(flow)
	return d, d.Kind != DestNone
}

// SetGroup makes g group id, nil: there is none. It is one store, whatever the
// number of MACs that point at it. It reports false, with nothing changed, when id
// is not 1 to MaxGroups. The writer's.
func (f *FDB) SetGroup(id GroupID, g *Group) bool {
	if id == 0 || id > MaxGroups {
		return false
	}
	var old []*Group
	if t := f.groups.Load(); t != nil {
		old = *t
	}
	if g == nil && int(id) >= len(old) {
		return true
	}
	list := make([]*Group, max(len(old), int(id)+1))
	copy(list, old)
	list[id] = g
	f.groups.Store(&list)
	return true
}

// SetGroup makes g where the MACs of group id in vni are, nil: there is no such
// group any more. It reports false when there is no such domain, id is out of
// range, or g names something that the domain does not have.
func (l *Learner) SetGroup(vni table.VNI, id GroupID, g *Group) bool {
	d := l.domains[vni]
	if d == nil {
		return false
	}
	if g != nil {
		has := func(x Dest) bool { return x.Kind != DestGroup && d.has(x) }
		for _, x := range slices.Concat(g.Members, g.Sources) {
			if !has(x) {
				return false
			}
		}
	}
	return d.fdb.SetGroup(id, g)
}

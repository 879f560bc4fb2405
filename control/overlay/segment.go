package overlay

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// Segment is an Ethernet segment that this node is attached to.
type Segment struct {
	Name         string
	ESI          evpn.ESI
	SingleActive bool
	// Circuits are the attachment circuits that lead to it, one in each bridge
	// domain.
	Circuits map[table.VNI]table.ACID
}

// segments are those of this node.
type segments struct {
	list  []Segment // by name
	at    map[table.ACID]*Segment
	esis  map[evpn.ESI]*Segment
	up    map[evpn.ESI]bool
	state map[segmentKey]evpn.SegmentState // as EVPN said last
}

type segmentKey struct {
	esi evpn.ESI
	vni table.VNI
}

func newSegments() segments {
	return segments{up: map[evpn.ESI]bool{}, state: map[segmentKey]evpn.SegmentState{}}
}

// circuit returns the circuit of a bridge domain that leads to a segment.
func (s *segments) circuit(esi evpn.ESI, vni table.VNI) (table.ACID, bool) {
	x := s.esis[esi]
	if x == nil {
		return 0, false
	}
	at, ok := x.Circuits[vni]
	return at, ok
}

// SetSegments makes list the segments of this node. Configure follows, with the
// same ones. MACs at circuits that lead elsewhere than before are forgotten: they
// come again with their next frame, and are announced behind their segment.
func (o *Overlay) SetSegments(list []Segment) {
	s := &o.segments
	old := s.at
	s.list = slices.SortedFunc(slices.Values(list), func(a, b Segment) int { return cmp.Compare(a.Name, b.Name) })
	s.at, s.esis = map[table.ACID]*Segment{}, map[evpn.ESI]*Segment{}
	where := map[table.ACID]table.VNI{}
	for i := range s.list {
		x := &s.list[i]
		s.esis[x.ESI] = x
		for vni, at := range x.Circuits {
			s.at[at], where[at] = x, vni
		}
	}
	for esi := range s.up {
		if s.esis[esi] == nil {
			delete(s.up, esi)
		}
	}
	for at, x := range old {
		for vni, was := range x.Circuits {
			if was == at {
				where[at] = vni
			}
		}
	}
	esiOf := func(x *Segment) (e evpn.ESI) {
		if x != nil {
			e = x.ESI
		}
		return e
	}
	for _, at := range slices.Sorted(maps.Keys(where)) {
		if esiOf(old[at]) != esiOf(s.at[at]) {
			o.tables.FlushDest(where[at], l2.Local(at))
			// EVPN says only what changes: a circuit that another handle stands for now
			// begins with what holds for its segment, one that leads nowhere is closed.
			st := l2.SegmentState{SingleActive: true}
			if x := s.at[at]; x != nil {
				st = o.segmentState(where[at], x)
			}
			o.tables.SetSegment(at, st)
		}
	}
}

// segmentState is what workers go by at the circuit that leads to x in a bridge domain.
func (o *Overlay) segmentState(vni table.VNI, x *Segment) l2.SegmentState {
	c := o.segments.state[segmentKey{x.ESI, vni}]
	st := l2.SegmentState{DF: c.DF, SingleActive: x.SingleActive}
	for _, v := range c.Peers {
		if id, ok := o.tables.Remote(vni, v); ok {
			st.Peers = append(st.Peers, id)
		}
	}
	return st
}

// SegmentLink says whether a segment's port has a link. It does nothing when that
// is known.
func (o *Overlay) SegmentLink(esi evpn.ESI, up bool) {
	x := o.segments.esis[esi]
	if x == nil || o.segments.up[esi] == up {
		return
	}
	o.segments.up[esi] = up
	if up {
		o.log.Info("evpn: segment is up", "segment", x.Name, "esi", esi)
		o.sp.SegmentUp(o.clock(), esi)
	} else {
		o.log.Warn("evpn: segment is down, its MACs are withdrawn", "segment", x.Name, "esi", esi)
		o.sp.SegmentDown(o.clock(), esi)
	}
}

// learn tells EVPN of a MAC at a circuit of this node, behind the circuit's segment.
func (o *Overlay) learn(m evpn.LocalMAC) evpn.Verdict {
	if x := o.segments.at[table.ACID(m.Port)]; x != nil {
		m.ESI = x.ESI
	}
	return o.sp.Learn(o.clock(), m)
}

// segment takes what this node is to do for a segment in a bridge domain.
func (o *Overlay) segment(c *evpn.SegmentState) {
	key := segmentKey{c.ESI, c.VNI}
	was := o.segments.state[key]
	if c.Remove {
		delete(o.segments.state, key)
	} else {
		o.segments.state[key] = *c
	}
	at, ok := o.segments.circuit(c.ESI, c.VNI)
	if !ok {
		return
	}
	st := o.segmentState(c.VNI, o.segments.esis[c.ESI])
	o.tables.SetSegment(at, st)
	if was.DF != c.DF {
		o.counts.Elections++
	}
	if st.SingleActive && was.DF && !c.DF {
		// Another node has its MACs now.
		o.tables.FlushDest(c.VNI, l2.Local(at))
	}
}

// SegmentView is a segment of this node, for display.
type SegmentView struct {
	Segment
	Up  bool
	VNI []SegmentVNI // by VNI
}

// SegmentVNI is a segment in one bridge domain.
type SegmentVNI struct {
	VNI   table.VNI
	State evpn.SegmentState
	Vote  evpn.Vote // who is the designated forwarder, and why
}

// Segments returns the segments of this node, by name.
func (o *Overlay) Segments() (out []SegmentView) {
	for _, x := range o.segments.list {
		v := SegmentView{Segment: x, Up: o.segments.up[x.ESI]}
		for _, vni := range slices.Sorted(maps.Keys(x.Circuits)) {
			v.VNI = append(v.VNI, SegmentVNI{vni, o.segments.state[segmentKey{x.ESI, vni}], o.sp.Vote(x.ESI, vni)})
		}
		out = append(out, v)
	}
	return out
}

// GroupView is a segment of others behind which MACs are, for display.
type GroupView struct {
	VNI     table.VNI
	ESI     evpn.ESI
	Local   bool         // this node is on it too
	Members []netip.Addr // VTEPs that share the flows
	Backup  []netip.Addr // VTEPs that stand by
}

// Groups returns the segments behind which MACs of other nodes are, by VNI and ESI.
// Several leaves announce MACs of one segment: it is there once, with all of them.
func (o *Overlay) Groups() []GroupView {
	type key struct {
		vni table.VNI
		esi evpn.ESI
	}
	byKey := map[key]*GroupView{}
	for k, x := range o.groups.known {
		v := byKey[key{k.vni, k.esi}]
		if v == nil {
			v = &GroupView{VNI: k.vni, ESI: k.esi}
			byKey[key{k.vni, k.esi}] = v
		}
		v.Local = v.Local || x.Local
		v.Members = merged(v.Members, x.Members)
		v.Backup = merged(v.Backup, x.Backup)
	}
	out := make([]GroupView, 0, len(byKey))
	for _, v := range byKey {
		v.Backup = slices.DeleteFunc(v.Backup, func(a netip.Addr) bool { return slices.Contains(v.Members, a) })
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b GroupView) int {
		return cmp.Or(cmp.Compare(a.VNI, b.VNI), slices.Compare(a.ESI[:], b.ESI[:]))
	})
	return out
}

// merged adds the VTEPs of ts to a sorted list.
func merged(list []netip.Addr, ts []evpn.Target) []netip.Addr {
	for _, t := range ts {
		list = append(list, t.VTEP)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

// InGroups returns the groups of a bridge domain's FDB.
func (o *Overlay) InGroups(vni table.VNI) map[l2.GroupID]GroupView {
	out := map[l2.GroupID]GroupView{}
	for _, x := range o.groups.ids[vni] {
		if x != nil {
			out[x.id], _ = o.InGroup(vni, x.id)
		}
	}
	return out
}

// InGroup returns where the MACs of a group of the FDB are; false when there is no
// such group.
func (o *Overlay) InGroup(vni table.VNI, id l2.GroupID) (GroupView, bool) {
	list := o.groups.ids[vni]
	if int(id) >= len(list) || list[id] == nil {
		return GroupView{}, false
	}
	x := list[id]
	return GroupView{VNI: vni, ESI: x.ESI, Local: x.Local, Members: merged(nil, x.Members), Backup: merged(nil, x.Backup)}, true
}

package overlay

import (
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// groups are the groups that MACs behind segments of several nodes point at, in
// EVPN and in the FDB. When a member fails the group changes, not its MACs.
type groups struct {
	known map[groupKey]*group
	ids   map[table.VNI][]*group // by l2.GroupID; nil where one is free
}

type groupKey struct {
	vni        table.VNI
	esi        evpn.ESI
	advertiser evpn.Target
}

// group is a group as EVPN said last.
type group struct {
	evpn.Group
	id l2.GroupID
}

func newGroups() groups { return groups{map[groupKey]*group{}, map[table.VNI][]*group{}} }

// open returns the group of k, with an ID of its own; nil when there are none left.
func (g *groups) open(k groupKey) *group {
	if x := g.known[k]; x != nil {
		return x
	}
	list := g.ids[k.vni]
	if len(list) == 0 {
		list = make([]*group, 1) // 0 is no group
	}
	i := slices.Index(list[1:], nil) + 1
	if i == 0 {
		if i = len(list); i > l2.MaxGroups {
			return nil
		}
		list = append(list, nil)
	}
	x := &group{id: l2.GroupID(i)}
	list[i] = x
	g.ids[k.vni], g.known[k] = list, x
	return x
}

// close forgets the group of k.
func (g *groups) close(k groupKey) {
	x := g.known[k]
	if x == nil {
		return
	}
	delete(g.known, k)
	g.ids[k.vni][x.id] = nil
	if len(g.known) == 0 {
		clear(g.ids)
	}
}

// group takes what changed about a segment: where its MACs are now.
func (o *Overlay) group(c *evpn.Group) {
	x := o.groups.open(groupKey{c.VNI, c.ESI, c.Advertiser})
	if x == nil {
		o.counts.Unplaced++ // its MACs follow, and are not placed either
		return
	}
	x.Group = *c
	o.publish(x)
}

// publish hands a group to the FDB.
func (o *Overlay) publish(x *group) {
	g := &l2.Group{}
	for _, t := range x.Members {
		if id, ok := o.reach(x.VNI, t); ok {
			g.Members = append(g.Members, l2.Remote(id))
		}
	}
	g.Sources = slices.Clone(g.Members)
	for _, t := range x.Backup {
		if id, ok := o.reach(x.VNI, t); ok {
			g.Sources = append(g.Sources, l2.Remote(id))
		}
	}
	if at, ok := o.segments.circuit(x.ESI, x.VNI); ok {
		g.Sources = append(g.Sources, l2.Local(at))
		if x.Local {
			g.Members = []l2.Dest{l2.Local(at)}
		}
	}
	if !o.tables.SetGroup(x.VNI, x.id, g) {
		o.counts.Unplaced++
		return
	}
	o.counts.Groups++
}

// ungroup takes a group away to which no MAC points any more.
func (o *Overlay) ungroup(c *evpn.Group) {
	k := groupKey{c.VNI, c.ESI, c.Advertiser}
	if x := o.groups.known[k]; x != nil {
		o.tables.SetGroup(k.vni, x.id, nil)
		o.groups.close(k)
	}
}

// regroup hands all groups to the FDB again: circuits here may be others.
func (o *Overlay) regroup() {
	for _, x := range o.groups.known {
		o.publish(x)
	}
}

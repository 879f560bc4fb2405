package overlay

import (
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// groups are the segments of other nodes behind which MACs are, and which MACs
// those are: when a member fails, they alone are put elsewhere.
type groups struct {
	known map[groupKey]*group
	of    map[macKey]groupKey
}

type groupKey struct {
	vni        table.VNI
	esi        evpn.ESI
	advertiser evpn.Target
}

type group struct {
	members []evpn.Target
	macs    map[macKey]evpn.MACChange // as EVPN said last
}

func newGroups() groups { return groups{map[groupKey]*group{}, map[macKey]groupKey{}} }

func (g *groups) get(k groupKey) *group {
	x := g.known[k]
	if x == nil {
		x = &group{macs: map[macKey]evpn.MACChange{}}
		g.known[k] = x
	}
	return x
}

// join notes that a MAC is behind a segment.
func (g *groups) join(key macKey, c evpn.MACChange) {
	k := groupKey{c.VNI, c.ESI, c.Target}
	g.get(k).macs[key] = c
	g.of[key] = k
}

// leave undoes join.
func (g *groups) leave(key macKey) {
	if k, ok := g.of[key]; ok {
		delete(g.known[k].macs, key)
		delete(g.of, key)
	}
}

// pick chooses the member that frames to a MAC are sent to: always the same one
// of the same members, and for many MACs each equally often.
func (g *groups) pick(key macKey, c *evpn.MACChange, reach func(evpn.Target) (table.VTEPID, bool)) (table.VTEPID, bool) {
	members := g.get(groupKey{c.VNI, c.ESI, c.Target}).members
	n := uint64(len(members))
	start := uint64(key.mac) * 0x9e3779b97f4a7c15 >> 32
	for i := range n {
		if id, ok := reach(members[(start+i)%n]); ok {
			return id, true
		}
	}
	return 0, false
}

// group takes what changed about a segment and puts its MACs where they are now.
func (o *Overlay) group(c *evpn.Group) {
	k := groupKey{c.VNI, c.ESI, c.Advertiser}
	if c.Remove {
		if g := o.groups.known[k]; g != nil && len(g.macs) == 0 {
			delete(o.groups.known, k)
		} else if g != nil {
			g.members = nil
		}
		return
	}
	g := o.groups.get(k)
	g.members = c.Members
	for key, m := range g.macs {
		o.place(key, &m)
	}
}

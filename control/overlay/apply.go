package overlay

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// Outcome is what a batch leads to outside the tables.
type Outcome struct {
	Routes   []evpn.RouteChange // for BGP, in order
	Interest *evpn.Interest     // nil: as before
	// Members says that the memberships changed; see Overlay.Members.
	Members bool
}

// Apply brings the tables in line with all that was said since the last Apply,
// and returns what else there is to do.
func (o *Overlay) Apply() Outcome {
	c := o.sp.Flush(o.clock())
	o.events(c.Events)
	o.suppressed(c.Suppressed)
	for i := range c.Segments {
		o.segment(&c.Segments[i])
	}
	for i := range c.Groups {
		if !c.Groups[i].Remove {
			o.group(&c.Groups[i])
		}
	}
	for i := range c.MACs {
		o.mac(&c.MACs[i])
	}
	// When no MAC points at it any more.
	for i := range c.Groups {
		if c.Groups[i].Remove {
			o.ungroup(&c.Groups[i])
		}
	}
	// After the MACs: what moved away has its new place, and is not unknown for a
	// moment.
	for _, e := range c.Evictions {
		o.tables.Evict(e.VNI, e.MAC, table.ACID(e.Port))
	}
	o.bar()
	o.doubt(c.Evictions)
	o.route(c.Prefixes)
	o.flood(c.Floods)
	o.tellNeighbours(c.Neighbours)
	for i := range c.Routes {
		if c.Routes[i].Withdraw {
			o.counts.Withdrawn++
		} else {
			o.counts.Announced++
		}
	}
	if len(c.MACs)+len(c.Floods)+len(c.Groups)+len(c.Segments)+len(c.Evictions)+len(c.Prefixes) > 0 {
		o.counts.Publications++
	}
	return Outcome{Routes: c.Routes, Interest: c.Interest, Members: o.members(c.Members)}
}

// mac takes what changed about a MAC behind another node.
func (o *Overlay) mac(c *evpn.MACChange) {
	key := macKey{c.VNI, c.MAC}
	if c.Remove {
		if d := o.quarantine(key); d != nil && d.Keeper.IsValid() {
			o.blackhole(key) // the keeper is gone; the newcomer stays out until released
			return
		}
		o.displace(key)
		return
	}
	o.place(key, c)
}

// place puts a MAC where c says, or takes it away when that is nowhere.
func (o *Overlay) place(key macKey, c *evpn.MACChange) {
	to, ok := o.destination(c)
	if !ok || !o.tables.Place(l2.Placement{VNI: c.VNI, MAC: c.MAC, Dest: to, Fixed: c.Sticky, Frozen: c.Frozen}) {
		o.counts.Unplaced++
		o.displace(key)
		return
	}
	o.counts.Placed++
}

// destination returns the VTEP, or the group of them, that frames to a MAC are sent
// to.
func (o *Overlay) destination(c *evpn.MACChange) (l2.Dest, bool) {
	if c.ESI.IsZero() {
		id, ok := o.reach(c.VNI, c.Target)
		return l2.Remote(id), ok
	}
	g := o.groups.known[groupKey{c.VNI, c.ESI, c.Target}]
	if g == nil {
		return l2.Dest{}, false
	}
	return l2.InGroup(g.id), true
}

// reach returns the handle of a target. A VNI other than the domain's own, that
// the VTEP asks to be sent, is not served: keys and guard go by the VNI.
func (o *Overlay) reach(vni table.VNI, t evpn.Target) (table.VTEPID, bool) {
	if t.VNI != vni {
		o.refuse(t.VTEP, vni, ReasonOtherVNI, "")
		return 0, false
	}
	id, ok := o.tables.Remote(vni, t.VTEP)
	if !ok {
		o.refuse(t.VTEP, vni, ReasonUnreachable, "")
	}
	return id, ok
}

func (o *Overlay) displace(key macKey) {
	if o.tables.Displace(key.vni, key.mac) {
		o.counts.Displaced++
	}
}

// quarantine returns the quarantine of a MAC, nil when it is in none.
func (o *Overlay) quarantine(key macKey) *evpn.Duplicate {
	v, _ := o.sp.MAC(key.vni, key.mac)
	return v.Duplicate
}

// blackhole drops what a MAC in quarantine sends here, and what is sent to it.
func (o *Overlay) blackhole(key macKey) {
	if o.tables.Place(l2.Placement{VNI: key.vni, MAC: key.mac, Dest: l2.Blackhole, Frozen: true}) {
		o.counts.Placed++
	}
}

// bar keeps newcomers out that no node is known to have: without an entry every
// frame of theirs would be forwarded and reported again.
func (o *Overlay) bar() {
	for _, key := range o.barred {
		if e, ok := o.tables.Entry(key.vni, key.mac); (!ok || !e.External) && o.quarantine(key) != nil {
			o.blackhole(key)
		}
	}
	o.barred = o.barred[:0]
}

// flood hands over the flood lists that changed, without the VTEPs that may not
// be served.
func (o *Overlay) flood(floods []evpn.Flood) {
	if len(floods) == 0 {
		return
	}
	lists := make(map[table.VNI][]netip.Addr, len(floods))
	for i := range floods {
		f := &floods[i]
		list := make([]netip.Addr, 0, len(f.Targets))
		for _, t := range f.Targets {
			if _, ok := o.reach(f.VNI, t); ok {
				list = append(list, t.VTEP)
			}
		}
		lists[f.VNI] = list
		o.floods[f.VNI] = list
		if _, ok := o.bds[f.VNI]; !ok {
			delete(o.floods, f.VNI)
		}
	}
	o.counts.Floods += uint64(len(lists))
	o.tables.Flood(lists)
}

// FloodList returns the VTEPs that EVPN adds to a VNI's flood list. The caller
// does not change it.
func (o *Overlay) FloodList(vni table.VNI) []netip.Addr { return o.floods[vni] }

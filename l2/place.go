package l2

import "github.com/ztos/ztos/engine/table"

// Placement is what another node says of a MAC.
type Placement struct {
	VNI  table.VNI
	MAC  table.MAC
	Dest Dest // a VTEP or group of the domain, or Blackhole
	// Fixed: no attachment circuit may have it. Frozen: it is in quarantine, and
	// frames that bring it from elsewhere are dropped.
	Fixed, Frozen bool
}

// Place makes p what holds for its MAC, in place of what was learned, and reports
// whether it could: not when a configured entry has the MAC, when the domain,
// the VTEP or the group is not there, or when the table is full. It does not count for limits.
func (l *Learner) Place(p Placement) bool {
	d := l.domains[p.VNI]
	if d == nil || p.Dest != Blackhole && (p.Dest.Kind != DestVTEP && p.Dest.Kind != DestGroup || !d.has(p.Dest)) {
		return false
	}
	old, had := d.fdb.Get(p.MAC)
	if had && old.Static && !old.External {
		return false
	}
	e := Entry{MAC: p.MAC, Dest: p.Dest, Static: p.Fixed, External: true, Frozen: p.Frozen}
	if had && old == (Entry{e.MAC, e.Dest, e.Static, e.External, e.Frozen, old.Seen}) {
		return true
	}
	if !d.fdb.Put(e) {
		l.note(Change{Kind: TableFull, VNI: d.vni, MAC: p.MAC, To: p.Dest})
		return false
	}
	if from := old.countedAt(); had && from.Kind != DestNone {
		l.recount(d, from, Dest{})
	}
	l.note(Change{Kind: Placed, VNI: d.vni, MAC: p.MAC, From: old.Dest, To: p.Dest})
	return true
}

// Displace removes what Place put and reports whether there was something. What
// was learned since, or is configured, stays.
func (l *Learner) Displace(vni table.VNI, mac table.MAC) bool {
	return l.remove(vni, mac, func(e Entry) bool { return e.External })
}

// Evict removes mac if it was learned at circuit at, and reports whether it was.
func (l *Learner) Evict(vni table.VNI, mac table.MAC, at table.ACID) bool {
	return l.remove(vni, mac, func(e Entry) bool { return e.learned() && e.Dest == Local(at) })
}

// remove deletes the entry of mac if ok says so, and notes it.
func (l *Learner) remove(vni table.VNI, mac table.MAC, ok func(Entry) bool) bool {
	d := l.domains[vni]
	if d == nil {
		return false
	}
	e, had := d.fdb.Get(mac)
	if !had || !ok(e) {
		return false
	}
	d.fdb.Delete(mac)
	l.note(Change{Kind: Displaced, VNI: vni, MAC: mac, From: e.Dest})
	if e.learned() {
		l.recount(d, e.Dest, Dest{})
	}
	return true
}

// Freeze marks a learned MAC that was found to be elsewhere too, so that frames
// from there are dropped, or takes the mark off. It reports whether the MAC is
// there.
func (l *Learner) Freeze(vni table.VNI, mac table.MAC, on bool) bool {
	d := l.domains[vni]
	if d == nil {
		return false
	}
	e, had := d.fdb.Get(mac)
	if !had || !e.learned() {
		return false
	}
	if e.Frozen != on {
		e.Frozen = on
		d.fdb.Put(e) // in place of itself: there is room
	}
	return true
}

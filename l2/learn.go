package l2

import (
	"cmp"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Learn applies what workers saw, in order, at second now.
func (l *Learner) Learn(s []Sighting, now uint32) {
	for i := range s {
		l.learn(&s[i], now)
	}
}

// Arbiter decides whether a MAC may be learned at, or move to, an attachment
// circuit. Control asks EVPN, whose numbering of moves must follow the order in
// which MACs are seen.
type Arbiter func(vni table.VNI, mac table.MAC, at table.ACID) bool

// SetArbiter has f asked before a MAC is learned locally; nil: nobody. f must not
// call the Learner.
func (l *Learner) SetArbiter(f Arbiter) { l.arbiter = f }

func (l *Learner) learn(s *Sighting, now uint32) {
	d := l.domains[s.VNI]
	if d == nil || s.MAC == 0 || s.MAC > table.Broadcast || s.MAC.IsMulticast() {
		return
	}
	if !d.has(s.From) {
		d.stats.Stale++ // its circuit or VTEP went while the sighting was on its way
		return
	}
	// The worker decided on an older table: what it saw may be known, static or
	// over a limit by now, so everything is asked again here.
	old, known := d.fdb.Get(s.MAC)
	fromVTEP := s.From.Kind == DestVTEP
	switch {
	case known && old.Dest == s.From:
		d.stats.Duplicates++
		d.fdb.Touch(s.MAC, s.From, now)
		return
	case known && (old.Static || (old.External || old.Frozen) && fromVTEP || old.External && old.Frozen):
		d.stats.Refused++
		l.note(Change{Kind: MoveRefused, VNI: d.vni, MAC: s.MAC, From: old.Dest, To: s.From})
		return
	case fromVTEP && d.told[table.VTEPID(s.From.ID)]:
		if known {
			d.stats.Refused++
			l.note(Change{Kind: MoveRefused, VNI: d.vni, MAC: s.MAC, From: old.Dest, To: s.From})
		}
		return // EVPN says what is there
	case !known && d.limit.reached(d.learned):
		d.stats.Limited++
		return
	}
	// A move within a port adds nothing to it.
	to := l.portOf(d, s.From)
	if to != nil && to.limit.reached(to.learned) && !(known && l.portOf(d, old.Dest) == to) {
		d.stats.Limited++
		return
	}
	if !fromVTEP && l.arbiter != nil && !l.arbiter(d.vni, s.MAC, table.ACID(s.From.ID)) {
		d.stats.Refused++
		l.note(Change{Kind: MoveRefused, VNI: d.vni, MAC: s.MAC, From: old.Dest, To: s.From})
		return
	}
	if !d.fdb.Put(Entry{MAC: s.MAC, Dest: s.From, Seen: now, Frozen: known && old.Frozen}) {
		l.note(Change{Kind: TableFull, VNI: d.vni, MAC: s.MAC, To: s.From})
		return
	}
	kind := Learned
	if known {
		kind = Moved
		d.stats.Moves++
	}
	l.note(Change{Kind: kind, VNI: d.vni, MAC: s.MAC, From: old.Dest, To: s.From})
	l.recount(d, old.countedAt(), s.From)
}

// Age removes the learned MACs that no worker has seen for their domain's ageing
// time. A domain is walked, some ns an entry, only when its oldest MAC could be
// due; the others cost one comparison. Call it every second.
func (l *Learner) Age(now uint32) {
	var due []*domain
	for _, d := range l.domains {
		if int32(now-d.due) >= 0 {
			due = append(due, d)
		}
	}
	slices.SortFunc(due, func(a, b *domain) int { return cmp.Compare(a.vni, b.vni) })
	for _, d := range due {
		d.stats.Aged += uint64(l.age(d, now))
	}
}

// age ages d and notes when it is worth while next. MACs that are learned or seen
// until then are due later still.
func (l *Learner) age(d *domain, now uint32) int {
	oldest := now
	n := l.flushWhere(d, Aged, func(e Entry) bool {
		if !e.learned() {
			return false
		}
		// The difference is signed: a worker's second may be ahead of ours.
		age := int32(now - e.Seen)
		if age >= 0 && uint32(age) >= d.ageing {
			return true
		}
		if int32(e.Seen-oldest) < 0 {
			oldest = e.Seen
		}
		return false
	})
	d.due = oldest + d.ageing
	return n
}

// FlushPort removes the learned MACs of port id in all domains.
func (l *Learner) FlushPort(id table.PortID) {
	for _, vni := range l.Domains() {
		d := l.domains[vni]
		l.flushWhere(d, Flushed, func(e Entry) bool {
			return e.learned() && e.Dest.Kind == DestLocal && d.ports[table.ACID(e.Dest.ID)] == id
		})
	}
}

// FlushDest removes the learned MACs of one circuit or VTEP in vni.
func (l *Learner) FlushDest(vni table.VNI, dest Dest) {
	if d := l.domains[vni]; d != nil {
		l.flushWhere(d, Flushed, func(e Entry) bool { return e.learned() && e.Dest == dest })
	}
}

// FlushVTEP removes the learned MACs of VTEP id in all domains.
func (l *Learner) FlushVTEP(id table.VTEPID) {
	for _, vni := range l.Domains() {
		l.FlushDest(vni, Remote(id))
	}
}

// FlushVNI removes all learned MACs of vni.
func (l *Learner) FlushVNI(vni table.VNI) {
	if d := l.domains[vni]; d != nil {
		l.flushWhere(d, Flushed, Entry.learned)
	}
}

// flushWhere removes the entries of d that doomed wants away and notes each; it
// returns how many.
func (l *Learner) flushWhere(d *domain, kind ChangeKind, doomed func(Entry) bool) int {
	var gone []Entry
	// Collected first: deleting copies shards under the walk.
	for e := range d.fdb.All() {
		if doomed(e) {
			gone = append(gone, e)
		}
	}
	// The FDB's own order is random; what is logged and tested is not.
	slices.SortFunc(gone, func(a, b Entry) int { return cmp.Compare(a.MAC, b.MAC) })
	for _, e := range gone {
		d.fdb.Delete(e.MAC)
		l.note(Change{Kind: kind, VNI: d.vni, MAC: e.MAC, From: e.Dest})
		if e.learned() {
			l.recount(d, e.Dest, Dest{})
		}
	}
	if d.fdb.Len() == 0 && len(gone) > 0 {
		d.fdb.Clear() // give the directory back
	}
	return len(gone)
}

// portOf returns the port that dest is on, nil when it is not local.
func (l *Learner) portOf(d *domain, dest Dest) *macPort {
	if dest.Kind != DestLocal {
		return nil
	}
	id, ok := d.ports[table.ACID(dest.ID)]
	if !ok {
		return nil
	}
	return l.port(id)
}

// recount notes that a learned MAC went from one destination to another, either
// of which may be none, and sets the gates as they are after both.
func (l *Learner) recount(d *domain, from, to Dest) {
	for _, x := range [...]struct {
		dest Dest
		by   int
	}{{from, -1}, {to, 1}} {
		if x.dest.Kind != DestNone {
			d.learned += x.by
		}
		if p := l.portOf(d, x.dest); p != nil {
			p.learned += x.by
		}
	}
	l.setDomainGate(d)
	for _, dest := range [...]Dest{from, to} {
		if p := l.portOf(d, dest); p != nil {
			l.setPortGate(d.ports[table.ACID(dest.ID)], p)
		}
	}
}

func (l *Learner) setDomainGate(d *domain) {
	l.setGate(&d.gate, d.limit.gateState(d.learned), Change{VNI: d.vni})
}

func (l *Learner) setPortGate(id table.PortID, p *macPort) {
	l.setGate(&p.gate, p.limit.gateState(p.learned), Change{Port: id})
}

func (l *Learner) setGate(g *Gate, s GateState, c Change) {
	old := g.State()
	if old == s {
		return
	}
	g.set(s)
	switch {
	case s == GateLearn:
		c.Kind = LimitCleared
	case old == GateLearn:
		c.Kind = LimitReached
	default:
		return // only the action changed
	}
	l.note(c)
}

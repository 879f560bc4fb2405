package l2

import (
	"fmt"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// DefaultAgeing is how many seconds a learned MAC lives without being seen.
const DefaultAgeing = 300

// LimitAction says what becomes of a frame whose new source MAC a limit does not
// let into the FDB.
type LimitAction uint8

const (
	LimitForward LimitAction = iota // forwarded, its MAC is not learned
	LimitDrop                       // dropped: MACLimit
)

// Limit is how many learned MACs a port or VNI may have. Max 0 is no limit.
// Static MACs do not count.
type Limit struct {
	Max    int
	Action LimitAction
}

func (l Limit) reached(n int) bool { return l.Max > 0 && n >= l.Max }

// gateState returns what workers do with new MACs while n are learned.
func (l Limit) gateState(n int) GateState {
	switch {
	case !l.reached(n):
		return GateLearn
	case l.Action == LimitDrop:
		return GateDrop
	}
	return GateForward
}

// Circuit is an attachment circuit as the Learner knows it.
type Circuit struct {
	ID   table.ACID
	Port table.PortID
}

// Static is a configured FDB entry; Dest may be Blackhole.
type Static struct {
	MAC  table.MAC
	Dest Dest
}

// DomainConfig is what the Learner has to know of a bridge domain.
type DomainConfig struct {
	VNI      table.VNI
	Ageing   uint32 // seconds; 0 means DefaultAgeing
	Limit    Limit
	Circuits []Circuit
	VTEPs    []table.VTEPID // every VTEP of the VNI
	// Told are those of VTEPs whose MACs are not learned from frames: Place says
	// what is there.
	Told    []table.VTEPID
	Statics []Static
}

// ChangeKind says what happened to a MAC or a limit.
type ChangeKind uint8

const (
	Learned ChangeKind = iota + 1
	Moved
	Aged
	Flushed      // its port, circuit, VTEP or bridge domain went, or an operator asked
	Added        // static
	Removed      // static
	MoveRefused  // a static MAC was seen elsewhere; Change.To is where
	LimitReached // Change.Port is the port, 0: the VNI
	LimitCleared
	TableFull // the FDB took no more
	Placed    // another node has it, or it is in quarantine
	Displaced // it was Placed, or evicted from its circuit
)

var changeNames = [...]string{
	Learned: "learned", Moved: "moved", Aged: "aged", Flushed: "flushed", Added: "added",
	Removed: "removed", MoveRefused: "move-refused", LimitReached: "limit-reached",
	LimitCleared: "limit-cleared", TableFull: "table-full", Placed: "placed", Displaced: "displaced",
}

// String returns the kind's name, lower case.
func (k ChangeKind) String() string {
	if int(k) < len(changeNames) && changeNames[k] != "" {
		return changeNames[k]
	}
	return fmt.Sprintf("change-%d", uint8(k))
}

// Change is one thing that happened, for logs and for whoever tells others
// (EVPN).
type Change struct {
	Kind     ChangeKind
	VNI      table.VNI    // 0 for a limit of a port
	MAC      table.MAC    // 0 for limits
	From, To Dest         // before and after; none where there was none
	Port     table.PortID // of LimitReached and LimitCleared
}

// String returns one line for a log.
func (c Change) String() string {
	switch c.Kind {
	case LimitReached, LimitCleared:
		if c.Port != 0 {
			return fmt.Sprintf("mac %v port %d", c.Kind, c.Port)
		}
		return fmt.Sprintf("mac %v vni %d", c.Kind, c.VNI)
	}
	return fmt.Sprintf("mac %v vni %d %v: %v -> %v", c.Kind, c.VNI, c.MAC, c.From, c.To)
}

// DomainStats are counts of one bridge domain since it was set up.
type DomainStats struct {
	Entries, Statics int    // in the FDB now; Statics is part of Entries
	Moves            uint64 // MACs that were learned elsewhere before
	Refused          uint64 // sightings of static MACs elsewhere
	Limited          uint64 // sightings that a limit kept out
	Duplicates       uint64 // sightings of what was known by then
	Stale            uint64 // sightings by circuits or VTEPs that are gone
	Aged             uint64
}

// Learner is the control side of the bridge: the only writer of the FDBs and
// gates. It is a pure state machine: one goroutine calls it, with the time in
// seconds since start, and collects with TakeChanges what happened.
type Learner struct {
	domains map[table.VNI]*domain
	ports   map[table.PortID]*macPort
	changes []Change
	arbiter Arbiter // nil: everything may be learned
}

type domain struct {
	vni     table.VNI
	fdb     *FDB
	gate    Gate
	ageing  uint32
	due     uint32 // second before which no MAC can have reached ageing
	limit   Limit
	learned int
	stats   DomainStats

	ports   map[table.ACID]table.PortID
	vteps   map[table.VTEPID]bool
	told    map[table.VTEPID]bool // of vteps
	statics map[table.MAC]Dest
}

type macPort struct {
	limit   Limit
	gate    Gate
	learned int // in all bridge domains
}

// NewLearner returns a Learner without bridge domains.
func NewLearner() *Learner {
	return &Learner{domains: map[table.VNI]*domain{}, ports: map[table.PortID]*macPort{}}
}

// FDB returns the table of vni, made when asked for the first time.
func (l *Learner) FDB(vni table.VNI) *FDB { return l.domain(vni).fdb }

// Gate returns the gate of vni's limit, for BDConfig.
func (l *Learner) Gate(vni table.VNI) *Gate { return &l.domain(vni).gate }

// PortGate returns the gate of port id's limit, for all its ACs.
func (l *Learner) PortGate(id table.PortID) *Gate { return &l.port(id).gate }

// Stats returns the counts of vni; ok is false when there is no such domain.
func (l *Learner) Stats(vni table.VNI) (s DomainStats, ok bool) {
	d, ok := l.domains[vni]
	if !ok {
		return s, false
	}
	s = d.stats
	s.Entries, s.Statics = d.fdb.Len(), len(d.statics)
	return s, true
}

// TakeChanges returns what happened since the last call, oldest first. The
// caller owns the slice.
func (l *Learner) TakeChanges() []Change {
	c := l.changes
	l.changes = nil
	return c
}

func (l *Learner) domain(vni table.VNI) *domain {
	d := l.domains[vni]
	if d == nil {
		d = &domain{vni: vni, fdb: NewFDB(), ageing: DefaultAgeing}
		l.domains[vni] = d
	}
	return d
}

func (l *Learner) port(id table.PortID) *macPort {
	p := l.ports[id]
	if p == nil {
		p = &macPort{}
		l.ports[id] = p
	}
	return p
}

// SetPort sets the limit of port id. MACs over a lowered limit stay until they
// age or are flushed.
func (l *Learner) SetPort(id table.PortID, limit Limit) {
	p := l.port(id)
	p.limit = limit
	l.setPortGate(id, p)
}

// RemovePort flushes and forgets port id. Its circuits have to be gone from all
// domains.
func (l *Learner) RemovePort(id table.PortID) {
	l.FlushPort(id)
	delete(l.ports, id)
}

// SetDomain makes c what holds for its VNI. Entries of circuits and VTEPs that
// are no longer in c are flushed, statics that are no longer in c removed; all
// else is kept, with its age. It returns an error, with nothing changed, when a
// static entry has an impossible MAC or a destination that is not in c.
func (l *Learner) SetDomain(c DomainConfig) error {
	n := domain{
		ports:   map[table.ACID]table.PortID{},
		vteps:   map[table.VTEPID]bool{},
		told:    map[table.VTEPID]bool{},
		statics: map[table.MAC]Dest{},
	}
	for _, ac := range c.Circuits {
		n.ports[ac.ID] = ac.Port
	}
	for _, v := range c.VTEPs {
		n.vteps[v] = true
	}
	for _, v := range c.Told {
		n.told[v] = true
	}
	for _, s := range c.Statics {
		if s.MAC == 0 || s.MAC > table.Broadcast || s.MAC.IsMulticast() {
			return fmt.Errorf("l2: VNI %d: static MAC %v is not a unicast address", c.VNI, s.MAC)
		}
		if s.Dest != Blackhole && s.Dest != Gateway && !n.has(s.Dest) {
			return fmt.Errorf("l2: VNI %d: static MAC %v: %v is not in the bridge domain", c.VNI, s.MAC, s.Dest)
		}
		if d, twice := n.statics[s.MAC]; twice && d != s.Dest {
			return fmt.Errorf("l2: VNI %d: static MAC %v has two destinations", c.VNI, s.MAC)
		}
		n.statics[s.MAC] = s.Dest
	}

	d := l.domain(c.VNI)
	oldPorts := d.ports
	l.flushWhere(d, Flushed, func(e Entry) bool {
		switch {
		case e.Static && !e.External:
			return false // below
		case e.Dest == Blackhole, e.Dest.Kind == DestGroup:
			return false // in quarantine; where EVPN says
		case !n.has(e.Dest):
			return true
		case e.learned() && e.Dest.Kind == DestVTEP && n.told[table.VTEPID(e.Dest.ID)]:
			return true
		}
		// A circuit that changed its port is another circuit.
		id := table.ACID(e.Dest.ID)
		return e.Dest.Kind == DestLocal && oldPorts[id] != n.ports[id]
	})
	l.flushWhere(d, Removed, func(e Entry) bool {
		to, ok := n.statics[e.MAC]
		return e.Static && !e.External && (!ok || to != e.Dest)
	})
	d.ports, d.vteps, d.told, d.statics = n.ports, n.vteps, n.told, n.statics
	d.limit = c.Limit
	ageing := c.Ageing
	if ageing == 0 {
		ageing = DefaultAgeing
	}
	if ageing != d.ageing {
		d.ageing, d.due = ageing, 0
	}
	for _, s := range c.Statics {
		l.putStatic(d, s)
	}
	l.setDomainGate(d)
	return nil
}

// RemoveDomain flushes and forgets vni.
func (l *Learner) RemoveDomain(vni table.VNI) {
	d := l.domains[vni]
	if d == nil {
		return
	}
	l.flushWhere(d, Flushed, func(Entry) bool { return true })
	delete(l.domains, vni)
}

// Domains returns the VNIs that the Learner knows, in order.
func (l *Learner) Domains() []table.VNI {
	vnis := make([]table.VNI, 0, len(l.domains))
	for vni := range l.domains {
		vnis = append(vnis, vni)
	}
	slices.Sort(vnis)
	return vnis
}

// has reports whether dest is a circuit or VTEP of d.
func (d *domain) has(dest Dest) bool {
	switch dest.Kind {
	case DestLocal:
		_, ok := d.ports[table.ACID(dest.ID)]
		return ok
	case DestVTEP:
		return d.vteps[table.VTEPID(dest.ID)]
	case DestGroup:
		return d.fdb != nil && d.fdb.Group(GroupID(dest.ID)) != nil
	}
	return false
}

func (l *Learner) putStatic(d *domain, s Static) {
	old, had := d.fdb.Get(s.MAC)
	if had && old.Static && !old.External && old.Dest == s.Dest {
		return
	}
	if !d.fdb.Put(Entry{MAC: s.MAC, Dest: s.Dest, Static: true}) {
		l.note(Change{Kind: TableFull, VNI: d.vni, MAC: s.MAC, To: s.Dest})
		return
	}
	if had && old.learned() {
		l.recount(d, old.Dest, Dest{})
	}
	l.note(Change{Kind: Added, VNI: d.vni, MAC: s.MAC, From: old.Dest, To: s.Dest})
}

func (l *Learner) note(c Change) { l.changes = append(l.changes, c) }

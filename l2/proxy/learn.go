package proxy

import (
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Times of asking hosts, ns.
const (
	answerTime = int64(1e9) // for an answer: RetransTimer of RFC 4861 section 10
	tries      = 3
	// refusedTime is how long a claim that the owner has denied is not looked at
	// again: a spoofer costs three questions in it.
	refusedTime = int64(30e9)
	maxHinted   = 256 // unknown hosts that are asked within answerTime
)

// entry is a local binding with its state.
type entry struct {
	*Binding
	port  table.PortID
	asked int64 // when the host was asked last, and has not answered; 0: not
	tried int
	rival *Event // claims the address; the host is asked whether it still has it

	refused   table.MAC // denied lately
	refusedAt int64
}

// ChangeKind says what became of a binding.
type ChangeKind uint8

const (
	Bound     ChangeKind = iota + 1 // a local host has the address, or with another flag
	Unbound                         // no local host has it
	Disputed                        // a second MAC claims it; the owner answered and keeps it
	Misplaced                       // claimed by a MAC that is not where the claim came from
	Fixed                           // claimed by another MAC than the configuration or EVPN fixes
	Full                            // not taken: the bridge domain or port has as many as it may
)

var kindNames = [...]string{"none", "bound", "unbound", "disputed", "misplaced", "fixed", "limit reached"}

// String returns the kind as people read it.
func (k ChangeKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("change %d", uint8(k))
}

// Change is what happened to a binding. Of a refusal, MAC and AC are the claim's.
type Change struct {
	Kind   ChangeKind
	VNI    table.VNI
	Addr   netip.Addr
	MAC    table.MAC
	AC     table.ACID
	Router bool
	Owner  table.MAC // who keeps the address; iff Disputed or Fixed
}

// maxChanges bounds the refusals that are told in a batch; all are counted.
const maxChanges = 256

// Stats count what became of what hosts said.
type Stats struct {
	Disputed, Misplaced, Fixed, Full uint64 // claims refused
	Moved                            uint64 // addresses that got another MAC or circuit
	Probes                           uint64 // questions asked
	Lost                             uint64 // hosts that did not answer
}

func (b *Bindings) note(c Change) { b.changes = append(b.changes, c) }

// refuse counts and tells that a claim was not taken.
func (b *Bindings) refuse(k ChangeKind, n *uint64, ev *Event, owner table.MAC) {
	*n++
	if len(b.changes) < maxChanges {
		b.note(Change{Kind: k, VNI: ev.VNI, Addr: ev.Addr, MAC: ev.MAC, AC: ev.AC, Owner: owner})
	}
}

// Work takes what a worker heard.
func (b *Bindings) Work(ev Event, now int64) {
	d := b.domains[ev.VNI]
	if d == nil || !host(ev.Addr) {
		return
	}
	if _, ok := d.cfg.Circuits[ev.AC]; !ok {
		return // its circuit went while the event was on its way
	}
	if at, ok := b.at(ev.VNI, ev.MAC); !ok || at != ev.AC {
		b.refuse(Misplaced, &d.stats.Misplaced, &ev, 0)
		return
	}
	if mac := d.cfg.Statics[ev.Addr]; mac != 0 {
		if mac != ev.MAC {
			b.refuse(Fixed, &d.stats.Fixed, &ev, mac)
		}
		return
	}
	if r, ok := d.remote[ev.Addr]; ok && r.Immutable && r.MAC != ev.MAC {
		b.refuse(Fixed, &d.stats.Fixed, &ev, r.MAC)
		return
	}
	e := d.hosts[ev.Addr]
	switch {
	case ev.Kind == Hint:
		b.hint(d, e, &ev, now)
	case e != nil && e.MAC != ev.MAC:
		b.dispute(d, e, &ev, now)
	case e != nil:
		if e.AC != ev.AC || e.Router != ev.Router {
			d.bind(e.rebound(ev.MAC, ev.AC, ev.Router))
		}
		b.heard(d, d.hosts[ev.Addr], now)
	default:
		b.add(d, &ev, now)
	}
}

// hint asks a host that uses an address what it says of it, unless that is known.
func (b *Bindings) hint(d *domain, e *entry, ev *Event, now int64) {
	if e != nil && e.MAC == ev.MAC {
		return
	}
	if at, ok := d.hinted[ev.Addr]; ok && now-at < answerTime {
		return
	}
	if len(d.hinted) >= maxHinted {
		maps.DeleteFunc(d.hinted, func(_ netip.Addr, at int64) bool { return now-at >= answerTime })
		if len(d.hinted) >= maxHinted {
			return
		}
	}
	d.hinted[ev.Addr] = now
	b.ask(d, ev.Addr, ev.MAC)
}

// dispute takes the claim of a second MAC to an address: the owner is asked, and
// keeps the address if it answers (RFC 9161 section 3.7, the confirm message).
func (b *Bindings) dispute(d *domain, e *entry, ev *Event, now int64) {
	switch {
	case e.rival != nil:
		return // being asked
	case e.refused == ev.MAC && now-e.refusedAt < refusedTime:
		d.stats.Disputed++ // told already
		return
	}
	e.rival = new(*ev)
	b.askOwner(d, e, now)
}

func (b *Bindings) askOwner(d *domain, e *entry, now int64) {
	e.asked = now
	e.tried++
	b.ask(d, e.Addr, e.MAC)
	d.wake(now + answerTime)
}

// add takes the claim to an address that no local host has.
func (b *Bindings) add(d *domain, ev *Event, now int64) {
	port := d.cfg.Circuits[ev.AC]
	if len(d.hosts) >= d.cfg.Limit || d.ports[port] >= d.cfg.PortLimit {
		b.refuse(Full, &d.stats.Full, ev, 0)
		return
	}
	if _, ok := d.remote[ev.Addr]; ok {
		delete(d.remote, ev.Addr) // EVPN will say so, or the contrary
		d.stats.Moved++
	}
	d.bind(&entry{Binding: &Binding{Addr: ev.Addr, MAC: ev.MAC, AC: ev.AC, Router: ev.Router}})
	delete(d.hinted, ev.Addr)
	b.heard(d, d.hosts[ev.Addr], now)
}

// rebound returns e with another MAC, circuit or flag.
func (e *entry) rebound(mac table.MAC, at table.ACID, router bool) *entry {
	n := *e
	n.Binding = &Binding{Addr: e.Addr, MAC: mac, AC: at, Router: router}
	n.seen.Store(e.Seen())
	return &n
}

// heard notes that a host said something, and announces it.
func (b *Bindings) heard(d *domain, e *entry, now int64) {
	e.seen.Store(now)
	b.note(Change{Kind: Bound, VNI: d.cfg.VNI, Addr: e.Addr, MAC: e.MAC, AC: e.AC, Router: e.Router})
	d.wake(d.believed(e))
}

// wake has Tick look at the bridge domain at t.
func (d *domain) wake(t int64) {
	if d.due == 0 || t < d.due {
		d.due = t
	}
}

var seed = maphash.MakeSeed()

// believed returns until when e is believed without being asked: two thirds of the
// time after which its MAC is forgotten, less up to a tenth, so that hosts that
// were learned together are not asked together.
func (d *domain) believed(e *entry) int64 {
	age := d.cfg.Ageing / 3 * 2
	if age >= 10 {
		age -= int64(maphash.Comparable(seed, e.Addr) % uint64(age/10))
	}
	return e.Seen() + age
}

// Tick does what is due at now and returns what to ask, which the caller owns, and
// when Tick wants to be called next: 0 when nothing is due by itself. A bridge
// domain is walked, some ns a binding, only when one of its bindings may be due.
func (b *Bindings) Tick(now int64) (probes []Probe, next int64) {
	for _, vni := range b.Domains() {
		d := b.domains[vni]
		if d.due != 0 && d.due <= now {
			d.due = 0
			for _, a := range slices.SortedFunc(maps.Keys(d.hosts), netip.Addr.Compare) {
				b.look(d, d.hosts[a], now)
			}
			if d.due != 0 {
				d.due = max(d.due, now+answerTime/10) // no walk for each of many
			}
		}
		if d.due != 0 && (next == 0 || d.due < next) {
			next = d.due
		}
	}
	probes, b.probes = b.probes, nil
	return probes, next
}

// look does what is due about e.
func (b *Bindings) look(d *domain, e *entry, now int64) {
	switch {
	case e.asked == 0:
		if at := d.believed(e); now < at {
			d.wake(at)
			return
		}
		b.askOwner(d, e, now)
	case e.Seen() >= e.asked: // it has answered
		if r := e.rival; r != nil {
			e.refused, e.refusedAt, e.rival = r.MAC, now, nil
			b.refuse(Disputed, &d.stats.Disputed, r, e.MAC)
		}
		e.asked, e.tried = 0, 0
		d.wake(d.believed(e))
	case now < e.asked+answerTime:
		d.wake(e.asked + answerTime)
	case e.tried < tries:
		b.askOwner(d, e, now)
	default:
		d.stats.Lost++
		b.drop(d, e)
		if r := e.rival; r != nil {
			d.stats.Moved++
			b.Work(*r, now) // nobody denies the claim
		}
	}
}

// TakeChanges returns what became of bindings since the last call, in order.
func (b *Bindings) TakeChanges() []Change {
	c := b.changes
	b.changes = nil
	return c
}

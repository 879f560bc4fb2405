package l3

import (
	"cmp"
	"container/heap"
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Times of address resolution, ns.
const (
	// retransmit is how long an answer is waited for: RetransTimer of RFC 4861
	// section 10, for ARP too.
	retransmit = 1e9
	// tries is how often a host is asked: MAX_MULTICAST_SOLICIT and
	// MAX_UNICAST_SOLICIT of the same section.
	tries = 3
	// reachable is how long a host is believed in that said something. It is
	// asked then, without a gap: a gateway can't see which host answers whom, so
	// use does not tell.
	reachable = 300e9
	// insist is how often a next hop of the configuration is asked for that does
	// not answer.
	insist = 10e9
)

// Limits of what hosts can make a gateway remember.
const (
	// DefaultNeighbours is how many neighbours a bridge domain may have.
	DefaultNeighbours = 65536
	// maxAsked is how many of them may be asked for and unknown: who scans a
	// subnet fills it, and hosts that speak first are learned all the same.
	maxAsked = 256
)

// EventKind says what a worker saw.
type EventKind uint8

const (
	Seen   EventKind = iota + 1 // a host said where it is
	Wanted                      // a packet waits for a host's MAC
	Clash                       // a host claims an address of the gateway
)

// Event is what the slow path tells whoever owns the Neighbours.
type Event struct {
	Kind EventKind
	VNI  table.VNI
	Addr netip.Addr // zero for Clash
	MAC  table.MAC  // 0 for Wanted
}

// ChangeKind says what became of a neighbour.
type ChangeKind uint8

const (
	Resolved ChangeKind = iota + 1 // has a MAC now
	Moved                          // has another MAC
	Lost                           // does not answer, or is no longer configured
	Full                           // could not be added: the bridge domain has as many as it may
)

// String returns the kind as people read it.
func (k ChangeKind) String() string {
	switch k {
	case Resolved:
		return "resolved"
	case Moved:
		return "moved"
	case Lost:
		return "lost"
	case Full:
		return "limit reached"
	}
	return fmt.Sprintf("change %d", uint8(k))
}

// Change is what happened to a neighbour.
type Change struct {
	Kind ChangeKind
	Host *Neighbour
	MAC  table.MAC // now; 0 when Lost
}

// String returns the change in a sentence.
func (c Change) String() string {
	return fmt.Sprintf("neighbour %v of VNI %d %v: %v", c.Host.Addr, c.Host.VNI, c.Kind, c.MAC)
}

// Probe is a host that is to be asked for: by its MAC, or when that is 0 all.
type Probe struct {
	VNI  table.VNI
	Addr netip.Addr
	MAC  table.MAC
}

// State is how much is known of a neighbour.
type State uint8

const (
	Incomplete State = iota + 1 // asked for, not known
	Reachable                   // has said something lately
	Probing                     // known, and asked whether it is still there
	Permanent                   // configured
)

// String returns the state as people read it.
func (s State) String() string {
	switch s {
	case Incomplete:
		return "incomplete"
	case Reachable:
		return "reachable"
	case Probing:
		return "probing"
	case Permanent:
		return "static"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// LinkConfig is one bridge domain's part of the Neighbours.
type LinkConfig struct {
	VNI      table.VNI
	Prefixes []netip.Prefix           // its subnets, masked
	Limit    int                      // most neighbours; 0: DefaultNeighbours
	Statics  map[netip.Addr]table.MAC // which no host changes
	Held     []netip.Addr             // next hops of the configuration: asked for always
}

// Neighbours is what is known of the hosts of all bridge domains that have a
// gateway. It asks for nothing and tells nobody by itself: Tick says what to ask,
// TakeChanges what became of it. One goroutine at a time; times are ns since
// start.
type Neighbours struct {
	links   map[table.VNI]*link
	timers  timers
	probes  []Probe
	changes []Change
	seed    maphash.Seed
}

type link struct {
	cfg   LinkConfig
	hosts map[netip.Addr]*entry
	asked int // incomplete ones that are not held
}

// entry is a neighbour with its state. due is when something is to be done about
// it; 0 is never.
type entry struct {
	*Neighbour
	state State
	held  bool
	tried int
	seen  int64 // when the host said something last
	due   int64
	gone  bool
}

// timer is one entry in the heap; it is void when the entry has another due by
// now.
type timer struct {
	due int64
	e   *entry
}

type timers []timer

// Len implements heap.Interface.
func (t timers) Len() int { return len(t) }

// Less implements heap.Interface.
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }

// Swap implements heap.Interface.
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

// Push implements heap.Interface.
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }

// Pop implements heap.Interface.
func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

// NewNeighbours returns what is known at the start: nothing.
func NewNeighbours() *Neighbours {
	return &Neighbours{links: map[table.VNI]*link{}, seed: maphash.MakeSeed()}
}

// SetLink makes c what holds for its bridge domain. Hosts outside c's subnets, and
// statics and held next hops that c does not have any more, are lost; all else is
// kept.
func (n *Neighbours) SetLink(c LinkConfig, now int64) {
	if c.Limit == 0 {
		c.Limit = DefaultNeighbours
	}
	l := n.links[c.VNI]
	if l == nil {
		l = &link{hosts: map[netip.Addr]*entry{}}
		n.links[c.VNI] = l
	}
	l.cfg = c
	for _, e := range l.sorted() {
		_, static := c.Statics[e.Addr]
		e.hold(l, slices.Contains(c.Held, e.Addr))
		switch {
		case !l.holds(e.Addr), e.state == Permanent && !static && !e.held:
			n.lose(l, e)
		case e.state == Permanent && !static:
			n.forget(l, e, now)
		}
	}
	for addr, mac := range c.Statics {
		e := n.entry(l, addr)
		l.settle(e)
		e.state, e.due = Permanent, 0
		n.setMAC(e, mac)
	}
	for _, addr := range c.Held {
		if l.hosts[addr] == nil {
			e := n.entry(l, addr)
			e.held = true
			n.ask(l, e, now)
		}
	}
}

// RemoveLink forgets a bridge domain.
func (n *Neighbours) RemoveLink(vni table.VNI) {
	l := n.links[vni]
	if l == nil {
		return
	}
	for _, e := range l.sorted() {
		n.lose(l, e)
	}
	delete(n.links, vni)
}

// Host returns the neighbour that a held next hop or a static is, nil when it is
// neither known nor asked for.
func (n *Neighbours) Host(vni table.VNI, addr netip.Addr) *Neighbour {
	if l := n.links[vni]; l != nil {
		if e := l.hosts[addr]; e != nil {
			return e.Neighbour
		}
	}
	return nil
}

// Work takes what the slow path saw.
func (n *Neighbours) Work(ev Event, now int64) {
	l := n.links[ev.VNI]
	if l == nil || !l.holds(ev.Addr) {
		return
	}
	switch ev.Kind {
	case Seen:
		n.learn(l, ev, now)
	case Wanted:
		if l.hosts[ev.Addr] == nil && l.asked < maxAsked && len(l.hosts) < l.cfg.Limit {
			n.ask(l, n.entry(l, ev.Addr), now)
		}
	}
}

func (n *Neighbours) learn(l *link, ev Event, now int64) {
	e := l.hosts[ev.Addr]
	if e == nil {
		if len(l.hosts) >= l.cfg.Limit {
			n.changes = append(n.changes, Change{Full, &Neighbour{VNI: ev.VNI, Addr: ev.Addr}, ev.MAC})
			return
		}
		e = n.entry(l, ev.Addr)
	}
	if e.state == Permanent {
		return
	}
	l.settle(e)
	waits := e.state == Reachable // its timer looks at seen when it is due
	e.state, e.tried, e.seen = Reachable, 0, now
	n.setMAC(e, ev.MAC)
	if !waits {
		n.at(e, n.until(e))
	}
}

// until returns how long e is believed in, spread over a tenth, so that hosts
// learned together are not asked together.
func (n *Neighbours) until(e *entry) int64 {
	return e.seen + reachable - int64(maphash.Comparable(n.seed, e.Addr)%(reachable/10))
}

// entry returns the entry of addr, a new one when there is none.
func (n *Neighbours) entry(l *link, addr netip.Addr) *entry {
	e := l.hosts[addr]
	if e == nil {
		e = &entry{Neighbour: &Neighbour{VNI: l.cfg.VNI, Addr: addr}}
		l.hosts[addr] = e
	}
	return e
}

// ask begins to ask for a host of which nothing is known.
func (n *Neighbours) ask(l *link, e *entry, now int64) {
	if e.state != Incomplete {
		e.state = Incomplete
		if !e.held {
			l.asked++
		}
	}
	e.tried = 1
	n.probes = append(n.probes, Probe{VNI: e.VNI, Addr: e.Addr})
	n.at(e, now+retransmit)
}

// forget takes e's MAC away and asks for it anew: it is held.
func (n *Neighbours) forget(l *link, e *entry, now int64) {
	n.setMAC(e, 0)
	n.ask(l, e, now)
}

// settle takes e out of the count of those asked for.
func (l *link) settle(e *entry) {
	if e.state == Incomplete && !e.held {
		l.asked--
	}
}

// hold says whether the configuration wants e.
func (e *entry) hold(l *link, held bool) {
	if e.held == held {
		return
	}
	if e.state == Incomplete {
		if held {
			l.asked--
		} else {
			l.asked++
		}
	}
	e.held = held
}

func (n *Neighbours) at(e *entry, due int64) {
	e.due = due
	heap.Push(&n.timers, timer{due, e})
}

func (n *Neighbours) setMAC(e *entry, mac table.MAC) {
	old, had := e.MAC()
	if old == mac {
		return
	}
	e.set(mac)
	k := Resolved
	switch {
	case mac == 0:
		k = Lost
	case had:
		k = Moved
	}
	n.changes = append(n.changes, Change{k, e.Neighbour, mac})
}

// lose forgets e.
func (n *Neighbours) lose(l *link, e *entry) {
	l.settle(e)
	delete(l.hosts, e.Addr)
	e.gone = true
	n.setMAC(e, 0)
}

// Tick does what is due at now and returns what to ask, which the caller owns,
// and when Tick wants to be called next: 0 when nothing is due by itself.
func (n *Neighbours) Tick(now int64) (probes []Probe, next int64) {
	for len(n.timers) > 0 && n.timers[0].due <= now {
		t := heap.Pop(&n.timers).(timer)
		if e := t.e; !e.gone && e.due == t.due {
			n.expire(n.links[e.VNI], e, now)
		}
	}
	probes, n.probes = n.probes, nil
	if len(n.timers) > 0 {
		next = n.timers[0].due
	}
	return probes, next
}

// expire does what is due about e.
func (n *Neighbours) expire(l *link, e *entry, now int64) {
	mac, _ := e.MAC()
	switch {
	case e.state == Permanent:
		return
	case e.state == Reachable && now < n.until(e):
		n.at(e, n.until(e)) // it has said something since
		return
	case e.state == Reachable:
		e.state, e.tried = Probing, 0
	case e.tried >= tries && e.held && e.state == Probing:
		n.forget(l, e, now)
		return
	case e.tried >= tries && e.held:
		n.probes = append(n.probes, Probe{VNI: e.VNI, Addr: e.Addr})
		n.at(e, now+insist)
		return
	case e.tried >= tries:
		n.lose(l, e)
		return
	}
	e.tried++
	n.probes = append(n.probes, Probe{VNI: e.VNI, Addr: e.Addr, MAC: mac})
	n.at(e, now+retransmit)
}

// TakeChanges returns what became of neighbours since the last call, in order.
func (n *Neighbours) TakeChanges() []Change {
	c := n.changes
	n.changes = nil
	return c
}

// Flush loses the learned neighbours of vni that doomed wants away and returns
// how many. Held ones are asked for anew.
func (n *Neighbours) Flush(vni table.VNI, now int64, doomed func(netip.Addr) bool) (flushed int) {
	l := n.links[vni]
	if l == nil {
		return 0
	}
	for _, e := range l.sorted() {
		if e.state == Permanent || e.state == Incomplete || !doomed(e.Addr) {
			continue
		}
		flushed++
		if e.held {
			n.forget(l, e, now)
		} else {
			n.lose(l, e)
		}
	}
	return flushed
}

// Line is a neighbour as people see it.
type Line struct {
	VNI   table.VNI
	Addr  netip.Addr
	MAC   table.MAC // 0: not known
	State State
	Seen  int64 // ns since start; 0: never
}

// All yields the neighbours of vni by address.
func (n *Neighbours) All(vni table.VNI) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		l := n.links[vni]
		if l == nil {
			return
		}
		for _, e := range l.sorted() {
			mac, _ := e.MAC()
			if !yield(Line{VNI: vni, Addr: e.Addr, MAC: mac, State: e.state, Seen: e.seen}) {
				return
			}
		}
	}
}

// sorted returns the hosts by address: what is logged and tested has an order.
func (l *link) sorted() []*entry {
	out := make([]*entry, 0, len(l.hosts))
	for _, e := range l.hosts {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int { return cmp.Or(a.Addr.Compare(b.Addr)) })
	return out
}

func (l *link) holds(a netip.Addr) bool {
	return slices.ContainsFunc(l.cfg.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

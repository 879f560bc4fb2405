package bfd

import (
	"errors"
	"fmt"
	"net/netip"
)

// Arrival is a datagram that came to one of BFD's ports.
type Arrival struct {
	From    netip.Addr
	TTL     uint8  // or hop limit
	Port    uint16 // that it came to: SingleHopPort or MultihopPort
	Payload []byte
}

// Out is a packet to be sent, with TTL 255, from the session's own source port.
type Out struct {
	Session *Session
	Packet  []byte
}

// Event is a change of a session's state.
type Event struct {
	Name     string
	Remote   netip.Addr
	From, To State
	Diag     Diag
	// Independent says that neither side's BFD dies with its control plane (C):
	// then a failure is one of forwarding, and no restart of control excuses it
	// (RFC 5882 section 4.3).
	Independent bool
	// TheirAdmin says that the other side has switched the session off, which is
	// no failure (RFC 5882 section 3.2; known second-hand).
	TheirAdmin bool
}

// Failed reports whether the event is a failure of the path: the session was up,
// and nobody has switched it off.
func (e *Event) Failed() bool { return e.From == Up && e.To == Down && !e.TheirAdmin }

// Table is the sessions of a node. One goroutine at a time. What Receive, Tick and
// Apply return is valid until the next call.
type Table struct {
	rand    func() uint32
	now     int64
	order   []*Session
	byName  map[string]*Session
	byDiscr map[uint32]*Session
	byPeer  map[peerKey]*Session
	out     []Out
	events  []Event
	stats   Stats // of packets with no session
}

// peerKey finds the session of a packet that names none (RFC 5881 section 3, RFC
// 5883 section 4): there is one for each address and kind.
type peerKey struct {
	remote netip.Addr
	port   uint16
}

// NewTable returns an empty table. rand gives random numbers.
func NewTable(rand func() uint32) *Table {
	return &Table{
		rand: rand, byName: map[string]*Session{}, byDiscr: map[uint32]*Session{}, byPeer: map[peerKey]*Session{},
	}
}

// begin prepares for a call at now.
func (t *Table) begin(now int64) {
	t.now = now
	t.out = t.out[:0]
}

// packet returns room for a packet.
func (t *Table) packet(n int) []byte { return make([]byte, n) }

func (t *Table) event(s *Session, from State) {
	t.events = append(t.events, Event{
		Name: s.conf.Name, Remote: s.conf.Remote, From: from, To: s.state, Diag: s.diag,
		Independent: s.remote.independent, TheirAdmin: s.remote.state == AdminDown,
	})
}

// TakeEvents returns what happened since the last call, in order.
func (t *Table) TakeEvents() []Event {
	e := t.events
	t.events = nil
	return e
}

// Apply makes the sessions those of cs. Sessions that stay keep their state; those
// that go tell the other side that they are switched off. On an error nothing
// has changed.
func (t *Table) Apply(now int64, cs []Config) ([]Out, error) {
	names, peers := map[string]bool{}, map[peerKey]bool{}
	var errs []error
	for i := range cs {
		c := &cs[i]
		errs = append(errs, c.Validate())
		k := peerKey{c.Remote.Unmap(), c.Port()}
		if names[c.Name] || peers[k] {
			errs = append(errs, fmt.Errorf("bfd: session %q: its name, or its address %v, is there twice", c.Name, c.Remote))
		}
		names[c.Name], peers[k] = true, true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t.begin(now)
	order := make([]*Session, 0, len(cs))
	old := t.byName
	t.byName = make(map[string]*Session, len(cs))
	var fresh []Config
	for _, c := range cs {
		c.Remote = c.Remote.Unmap()
		s := old[c.Name]
		if s == nil || !s.conf.same(&c) {
			fresh = append(fresh, c)
			order = append(order, nil)
			continue
		}
		delete(old, c.Name)
		if s.conf.Tx != c.Tx || s.conf.Rx != c.Rx || s.conf.Mult != c.Mult || s.conf.Down != c.Down {
			s.reconfigure(now, c)
		}
		t.byName[c.Name] = s
		order = append(order, s)
	}
	for _, s := range t.order { // in order, so that every run is alike
		if old[s.conf.Name] == s {
			s.depart(now, AdminDown, DiagAdmin)
			delete(t.byDiscr, s.discr)
			delete(t.byPeer, peerKey{s.conf.Remote, s.conf.Port()})
		}
	}
	for i := range order {
		if order[i] != nil {
			continue
		}
		s := newSession(t, fresh[0], t.discriminator(), now)
		fresh = fresh[1:]
		order[i] = s
		t.byName[s.conf.Name], t.byDiscr[s.discr] = s, s
		t.byPeer[peerKey{s.conf.Remote, s.conf.Port()}] = s
	}
	t.order = order
	return t.out, nil
}

// discriminator returns one that no session has, never 0.
func (t *Table) discriminator() uint32 {
	for {
		if d := t.rand(); d != 0 && t.byDiscr[d] == nil {
			return d
		}
	}
}

// Leave takes all sessions down, as when the node ends: the other sides act at
// once, not after their detection times. Every session is told by one packet.
func (t *Table) Leave(now int64) []Out {
	t.begin(now)
	for _, s := range t.order {
		if s.state != AdminDown {
			s.depart(now, Down, DiagPath)
		}
	}
	return t.out
}

// Next returns when Tick has something to do, ns; never when there are no
// sessions.
func (t *Table) Next() int64 {
	at := never
	for _, s := range t.order {
		at = min(at, s.due())
	}
	return at
}

// NextExpiry returns when the first detection time is over if nothing comes.
func (t *Table) NextExpiry() int64 {
	at := never
	for _, s := range t.order {
		if s.state == Up {
			at = min(at, s.expires())
		}
	}
	return at
}

// NextTx returns when the next periodic packet is due.
func (t *Table) NextTx() int64 {
	at := never
	for _, s := range t.order {
		at = min(at, s.nextTx())
	}
	return at
}

// Transmit sends the periodic packets that are due, and leaves detection times to
// Tick.
func (t *Table) Transmit(now int64) []Out {
	t.begin(now)
	for _, s := range t.order {
		if now >= s.nextTx() {
			s.periodic(now)
		}
	}
	return t.out
}

// Tick does what is due at now.
func (t *Table) Tick(now int64) []Out {
	t.begin(now)
	for _, s := range t.order {
		s.tick(now)
	}
	return t.out
}

// Receive takes a datagram. It returns what is to be sent for it, and what it was
// counted as.
func (t *Table) Receive(now int64, a *Arrival) ([]Out, Stat) {
	t.begin(now)
	from := a.From.Unmap()
	var p Packet
	whole, fault := p.Decode(a.Payload)
	s := t.byPeer[peerKey{from, a.Port}]
	if fault == 0 && p.Yours != 0 {
		by := t.byDiscr[p.Yours]
		switch {
		case by == nil:
			fault = RefusedUnknown
		case by != s:
			fault = RefusedSource
		}
	}
	if fault == 0 && s == nil {
		fault = RefusedStranger
	}
	if fault == 0 && a.TTL < s.conf.leastTTL() {
		fault = RefusedTTL
	}
	switch {
	case fault == 0:
		fault = s.receive(now, &p, whole)
		s.stats[fault]++
	case s != nil:
		s.stats[fault]++
	default:
		t.stats[fault]++
	}
	return t.out, fault
}

// Failed counts that a packet of s was not sent.
func (t *Table) Failed(s *Session) { s.stats[SendFailed]++ }

// Stats returns the counters of packets that belong to no session.
func (t *Table) Stats() Stats { return t.stats }

// Status is how a session is. Times are ns.
type Status struct {
	Name        string
	Local       netip.Addr // invalid: the stack's choice
	Remote      netip.Addr
	Hops        uint8
	Auth        AuthType
	State       State
	Diag        Diag  // why it left Up last
	Since       int64 // time of the last change of State
	Mine, Yours uint32
	TheirState  State
	TheirDiag   Diag
	Independent bool  // the C bit of the other side
	Tx          int64 // between packets sent now, before jitter; 0: none are
	Detection   int64 // 0: nothing was heard yet
	TheirTx     int64 // what the other side desires and requires
	TheirRx     int64
	Mult        uint8
	TheirMult   uint8
	Heard       int64 // when; 0: nothing within the detection time
	Poll        bool  // a poll sequence is under way
	Stats       Stats
}

// Status returns all sessions in the order of their configuration.
func (t *Table) Status() []Status {
	out := make([]Status, 0, len(t.order))
	for _, s := range t.order {
		out = append(out, Status{
			Name: s.conf.Name, Local: s.conf.Local, Remote: s.conf.Remote, Hops: s.conf.Hops, Auth: s.conf.Auth.Type,
			State: s.state, Diag: s.lastDown, Since: s.since, Mine: s.discr, Yours: s.remote.discr,
			TheirState: s.remote.state, TheirDiag: s.remote.diag, Independent: s.remote.independent,
			Tx: s.interval(), Detection: s.detection(), TheirTx: s.remote.desiredTx, TheirRx: s.remote.requiredRx,
			Mult: s.conf.Mult, TheirMult: s.remote.mult, Heard: s.heard, Poll: s.poll, Stats: s.stats,
		})
	}
	return out
}

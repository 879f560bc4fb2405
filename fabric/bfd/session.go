package bfd

// never is a time that does not come.
const never = int64(1<<63 - 1)

// Session is one end of a session. Its names follow the state variables of RFC
// 5880 section 6.8.1.
type Session struct {
	conf  Config
	table *Table

	state      State
	diag       Diag // why it is in its state
	lastDown   Diag // why it left Up last
	since      int64
	discr      uint32
	remote     remote
	desiredTx  int64 // as it is announced, ns
	requiredRx int64
	usedTx     int64 // as it is kept to: a change may have to wait for the other side
	usedRx     int64
	poll       bool // the P bit is set until the other side has answered
	asked      bool // a packet with it was sent
	pollAgain  bool // announced times changed after that

	txAt   int64 // when the next periodic packet is due
	sentAt int64 // when the last one was sent; 0: never
	heard  int64 // when the last packet came; 0: none within the detection time
	known  int64 // when the last packet came, ever
	auth   authState
	last   Packet // sent last
	stats  Stats
}

// remote is what the other side has said of itself last.
type remote struct {
	state       State
	diag        Diag
	discr       uint32
	desiredTx   int64 // ns
	requiredRx  int64 // ns; 0: it wants no packets
	mult        uint8
	demand      bool
	independent bool
}

// newSession returns a session that is down and has its first packet due.
func newSession(t *Table, c Config, discr uint32, now int64) *Session {
	s := &Session{conf: c, table: t, discr: discr, state: Down, since: now, requiredRx: c.Rx, usedRx: c.Rx}
	s.remote = remote{state: Down, requiredRx: microsecond}
	s.desiredTx = max(c.Tx, slow)
	s.usedTx = s.desiredTx
	s.auth.xmit = t.rand()
	// Not all sessions of a node at once.
	s.txAt = now + int64(t.rand()%100)*millisecond
	if c.Down {
		s.state, s.diag = AdminDown, DiagAdmin
	}
	return s
}

// Config returns what the session was made from.
func (s *Session) Config() Config { return s.conf }

// State returns the session's state.
func (s *Session) State() State { return s.state }

// detection returns the detection time (RFC 5880 section 6.8.4), ns; 0 before
// anything was heard.
func (s *Session) detection() int64 {
	return int64(s.remote.mult) * max(s.usedRx, s.remote.desiredTx)
}

// expires returns when the detection time is over.
func (s *Session) expires() int64 {
	if s.heard == 0 {
		return never
	}
	return s.heard + s.detection()
}

// interval returns the time between periodic packets, ns, before jitter; 0 when
// none are to be sent (RFC 5880 section 6.8.7).
func (s *Session) interval() int64 {
	switch {
	case s.remote.requiredRx == 0:
		return 0
	case s.remote.demand && s.state == Up && s.remote.state == Up && !s.poll:
		return 0 // section 6.8.6: demand mode of the other side
	}
	return max(s.usedTx, s.remote.requiredRx)
}

// jittered returns d less 0 to 25 %, or, with a multiplier of 1, less 10 to 25 %.
func (s *Session) jittered(d int64) int64 {
	part := int64(s.table.rand()%1000) * 25 / 100 // 0 to 249 thousandths
	if s.conf.Mult == 1 {
		part = 100 + int64(s.table.rand()%1000)*15/100
	}
	return d - d/1000*part
}

// due returns when the session has something to do.
func (s *Session) due() int64 { return min(s.nextTx(), s.expires()) }

func (s *Session) nextTx() int64 {
	if s.interval() == 0 {
		return never
	}
	return s.txAt
}

// tick does what is due.
func (s *Session) tick(now int64) {
	if now >= s.expires() {
		s.heard = 0
		s.remote.discr = 0
		if s.state == Init || s.state == Up {
			s.enter(now, Down, DiagExpired)
		}
	}
	if now >= s.nextTx() {
		s.periodic(now)
	}
}

// periodic sends a periodic packet and sets the time of the next.
func (s *Session) periodic(now int64) {
	s.send(now, false)
	s.sentAt = now
	if d := s.interval(); d > 0 {
		s.txAt = now + s.jittered(d)
	}
}

// enter changes the state, and tells it: to whoever asks for events, and to the
// other side at once (RFC 5880 section 6.8.7, last paragraph but one).
func (s *Session) enter(now int64, to State, why Diag) {
	from := s.state
	if from == to {
		return
	}
	s.state, s.since, s.diag = to, now, why
	switch {
	case to == Up:
		s.stats[WentUp]++
		s.announce(s.conf.Tx, s.conf.Rx)
	case from == Up:
		s.stats[WentDown]++
		s.lastDown = why
		fallthrough
	default:
		s.announce(max(s.conf.Tx, slow), s.conf.Rx)
	}
	s.table.event(s, from)
	switch next := s.sentAt + LeastInterval; {
	case s.interval() == 0:
	case s.sentAt == 0 || now >= next:
		s.periodic(now)
	default:
		// Packets that overtake each other must not have two sides change their
		// states as fast as the path carries.
		s.txAt = min(s.txAt, next)
	}
}

// depart tells the other side for the last time how the session is.
func (s *Session) depart(now int64, to State, why Diag) {
	s.enter(now, to, why)
	if s.sentAt != now && s.interval() > 0 {
		s.periodic(now)
	}
}

// announce changes the intervals that are told to the other side, and asks it by a
// poll sequence to confirm them (RFC 5880 section 6.8.3). While the session is up,
// packets that become rarer do so only when it has, and so does what is expected
// of it when it may send less often than before.
func (s *Session) announce(tx, rx int64) {
	if tx == s.desiredTx && rx == s.requiredRx {
		return
	}
	if tx < s.desiredTx || s.state != Up {
		s.usedTx = tx
	}
	if rx > s.requiredRx || s.state != Up {
		s.usedRx = rx
	}
	s.desiredTx, s.requiredRx = tx, rx
	if s.poll && s.asked {
		s.pollAgain = true
	}
	s.poll = true
	// A shorter interval counts from the last packet.
	if d := s.interval(); d > 0 && s.sentAt != 0 {
		s.txAt = min(s.txAt, s.table.now+s.jittered(d))
	}
}

// answered ends a poll sequence: the other side has the intervals.
func (s *Session) answered() {
	if !s.poll || !s.asked {
		return
	}
	s.asked = false
	if s.pollAgain {
		s.pollAgain = false
		return
	}
	s.poll = false
	s.usedTx, s.usedRx = s.desiredTx, s.requiredRx
}

// send queues a packet; final answers a poll and is no periodic one.
func (s *Session) send(now int64, final bool) {
	p := Packet{
		Diag: s.diag, State: s.state, Final: final, Poll: s.poll && !final,
		// It forwards and speaks BFD in one: while BFD lives, so does forwarding,
		// whatever control does (RFC 5880 section 4.1, C).
		Independent: true,
		Auth:        s.conf.Auth.Type != NoAuth,
		Mult:        s.conf.Mult, Mine: s.discr, Yours: s.remote.discr,
		DesiredTx: uint32(s.desiredTx / microsecond), RequiredRx: uint32(s.requiredRx / microsecond),
	}
	s.asked = s.asked || p.Poll
	size := headerSize
	if p.Auth {
		size += authSize
	}
	b := s.table.packet(size)
	p.put(b, size)
	if p.Auth {
		// RFC 5880 section 6.7.4: for each packet, or when the content changes.
		if s.conf.Auth.Type == MeticulousSHA1 || p != s.last {
			s.auth.xmit++
		}
		s.conf.Auth.sign(b, s.auth.xmit)
	}
	s.last = p
	s.stats[Sent]++
	s.table.out = append(s.table.out, Out{Session: s, Packet: b})
}

// receive takes a packet that has passed the checks that need no session (RFC 5880
// section 6.8.6, from the authentication on). whole is the packet's bytes.
func (s *Session) receive(now int64, p *Packet, whole []byte) Stat {
	a := &s.conf.Auth
	switch {
	case p.Auth && a.Type == NoAuth:
		return RefusedAuthSurplus
	case !p.Auth && a.Type != NoAuth:
		return RefusedAuthMissing
	case p.Auth:
		if now-s.known >= 2*s.detection() {
			s.auth.known = false // section 6.8.1, bfd.AuthSeqKnown
		}
		if fault := s.auth.verify(a, whole, s.conf.Mult); fault != 0 {
			return fault
		}
	}
	s.remote = remote{
		state: p.State, diag: p.Diag, discr: p.Mine, mult: p.Mult, demand: p.Demand, independent: p.Independent,
		desiredTx: int64(p.DesiredTx) * microsecond, requiredRx: int64(p.RequiredRx) * microsecond,
	}
	if p.Final {
		s.answered()
	}
	s.heard, s.known = now, now
	if s.state == AdminDown {
		return IgnoredAdminDown
	}
	s.follow(now, p.State)
	if p.Poll {
		s.send(now, true)
	}
	// The other side may have come to want packets more often, or at all.
	if d := s.interval(); d > 0 && s.txAt > now+d {
		s.txAt = now + s.jittered(d)
	}
	return Received
}

// follow changes the state by that of the other side (RFC 5880 section 6.8.6).
func (s *Session) follow(now int64, theirs State) {
	switch {
	case theirs == AdminDown:
		if s.state != Down {
			s.enter(now, Down, DiagSignaled)
		}
	case s.state == Down && theirs == Down:
		s.enter(now, Init, s.diag)
	case s.state == Down && theirs == Init, s.state == Init && theirs >= Init:
		s.enter(now, Up, DiagNone)
	case s.state == Up && theirs == Down:
		s.enter(now, Down, DiagSignaled)
	}
}

// reconfigure takes new times, a new multiplier, or the switch.
func (s *Session) reconfigure(now int64, c Config) {
	was := s.conf
	s.conf = c
	switch {
	case c.Down && !was.Down:
		s.enter(now, AdminDown, DiagAdmin)
	case !c.Down && was.Down:
		s.enter(now, Down, DiagNone)
	case s.state == Up:
		s.announce(c.Tx, c.Rx)
	default:
		s.announce(max(c.Tx, slow), c.Rx)
	}
}

package wireguard

// The timers of one peer, whitepaper section 6. Each due function returns the
// time at which its timer fires, never when it does not run.

// zeroDue: forget all keys when no new ones came for 3 * REJECT_AFTER_TIME.
func (c *control) zeroDue() int64 {
	if c.zeroAt == 0 {
		return never
	}
	return c.zeroAt
}

// retransmitDue: repeat the initiation after REKEY_TIMEOUT and jitter.
func (c *control) retransmitDue() int64 {
	if c.ours.retransmit == 0 {
		return never
	}
	return c.ours.retransmit
}

// initiateDue: begin a series of initiations, when one is needed and none under
// way, at most one each REKEY_TIMEOUT.
func (c *control) initiateDue(now int64) int64 {
	if c.ours.retransmit != 0 || c.peer.endpoint.Load() == nil {
		return never
	}
	at := c.needed(now)
	if at != never && c.ours.sent != 0 {
		at = max(at, c.ours.sent+int64(c.peer.node.params.RekeyTimeout))
	}
	return at
}

// needed returns from when on a new session is needed, 0 for "now".
func (c *control) needed(now int64) int64 {
	if c.ours.force || c.peer.wants.Load()&wantHandshake != 0 || c.peer.down.Load() {
		return 0
	}
	if !c.alwaysOn() {
		return never
	}
	s := c.peer.session.Load()
	switch {
	case !usable(s, now) || s.Sealed() > s.rekeyAfter:
		return 0
	case s.initiator:
		return s.renewAt
	}
	// The other side renews; if it does not, we do in time.
	return s.created + c.peer.node.params.lastMinute()
}

// silenceDue: begin a handshake when packets were sent and nothing at all came
// back for KEEPALIVE_TIMEOUT + REKEY_TIMEOUT.
func (c *control) silenceDue() int64 {
	since := c.peer.traffic.unanswered.Load()
	if since == 0 {
		return never
	}
	p := &c.peer.node.params
	return since + int64(p.KeepaliveTimeout+p.RekeyTimeout) + c.silenceJitter
}

// passiveDue: answer packets with a keepalive when nothing was sent back for
// KEEPALIVE_TIMEOUT.
func (c *control) passiveDue() int64 {
	since := c.peer.traffic.unacked.Load()
	if since == 0 {
		return never
	}
	return since + int64(c.peer.node.params.KeepaliveTimeout)
}

// persistentDue: the configured keepalive, when nothing went either way.
func (c *control) persistentDue() int64 {
	if c.cfg.Keepalive <= 0 {
		return never
	}
	t := &c.peer.traffic
	last := max(t.lastTx.Load(), t.lastRx.Load(), c.traversal, c.keepaliveAt)
	if last == 0 {
		return 0 // nothing went yet: open the session
	}
	return last + int64(c.cfg.Keepalive)
}

// livenessDue: say that we are here, each interval in which no data did.
func (c *control) livenessDue(now int64) int64 {
	if c.cfg.Liveness.Interval <= 0 || !c.canSend(now) {
		return never
	}
	return c.peer.traffic.lastTx.Load() + int64(c.cfg.Liveness.Interval)
}

// downDue: the peer said nothing for multiplier intervals.
func (c *control) downDue() int64 {
	l := c.cfg.Liveness
	if l.Interval <= 0 || c.peer.down.Load() {
		return never
	}
	return max(c.peer.traffic.lastRx.Load(), c.livenessSince) + int64(l.Multiplier)*int64(l.Interval)
}

// anchorDue: data was sent, by whatever port, and nothing from the main one.
func (c *control) anchorDue(now int64) int64 {
	if c.cfg.Anchor <= 0 || c.peer.traffic.lastTx.Load() <= c.anchorAt || !c.canSend(now) {
		return never
	}
	return c.anchorAt + int64(c.cfg.Anchor)
}

// canSend reports whether a keepalive could be sent at now.
func (c *control) canSend(now int64) bool {
	return usable(c.peer.session.Load(), now) && c.peer.endpoint.Load() != nil
}

// due returns when tick has something to do next. now is only for what can't be
// foreseen: whether a session is usable.
func (c *control) due(now int64) int64 {
	d := min(c.peer.lingerDue(), c.zeroDue(), c.retransmitDue(), c.initiateDue(now), c.silenceDue(), c.passiveDue(),
		c.persistentDue(), c.livenessDue(now), c.downDue(), c.anchorDue(now))
	if c.peer.wants.Load()&^wantHandshake != 0 || c.reportedDown && !c.peer.down.Load() {
		d = 0 // news
	}
	return d
}

// tick does what is due and what the workers asked for.
func (c *control) tick(now int64, out []Out) []Out {
	p := c.peer
	c.settle(now)
	p.linger(now)
	if now >= c.zeroDue() {
		c.zeroAt = 0
		p.zero(false)
		c.dropPending()
	}
	if now >= c.downDue() {
		c.goDown(now)
	}
	if now >= c.persistentDue() {
		c.keepaliveAt = now
		out = c.keepalive(now, out)
	}
	// Each of these sees what the one before sent.
	if now >= c.passiveDue() {
		out = c.keepalive(now, out)
	}
	if now >= c.livenessDue(now) {
		out = c.keepalive(now, out)
	}
	if now >= c.anchorDue(now) {
		out = c.keepalive(now, out)
	}
	if since := p.traffic.unanswered.Load(); now >= c.silenceDue() {
		p.traffic.unanswered.CompareAndSwap(since, 0)
		c.silenceJitter = p.node.jitter()
		c.ours.force = true
	}
	switch {
	case now >= c.retransmitDue():
		if now-c.ours.began >= int64(p.node.params.RekeyAttemptTime) {
			c.giveUp(now)
		} else {
			out = c.initiate(now, true, out)
		}
	case now >= c.initiateDue(now):
		out = c.initiate(now, false, out)
	}
	return out
}

// settle takes note of what workers did, and drops their wishes that were
// fulfilled meanwhile.
func (c *control) settle(now int64) {
	p := c.peer
	w := p.wants.Load()
	if w&sawFirst != 0 {
		p.wants.And(^uint32(sawFirst))
		c.complete()
		p.node.event(p, SessionUp)
	}
	if w&sawUp != 0 {
		p.wants.And(^uint32(sawUp))
	}
	if w&moved != 0 {
		p.wants.And(^uint32(moved))
		p.node.event(p, EndpointChanged)
	}
	p.refill()
	if down := p.down.Load(); !down && c.reportedDown {
		c.reportedDown = false
		p.node.stats[PeerWentUp].Add(1)
		p.node.event(p, PeerUp)
	}
	s := p.session.Load()
	if w&wantSession != 0 && usable(s, now) {
		p.wants.And(^uint32(wantSession))
	}
	if w&wantRenewal != 0 && (s == nil || now < s.renewAt && now < s.lastMinute && s.Sealed() <= s.rekeyAfter) {
		p.wants.And(^uint32(wantRenewal))
	}
}

// goDown declares the peer down, unless a worker hears it at this very moment.
func (c *control) goDown(now int64) {
	p := c.peer
	p.down.Store(true)
	if p.traffic.lastRx.Load()+int64(c.cfg.Liveness.Multiplier)*int64(c.cfg.Liveness.Interval) > now {
		p.down.Store(false)
		return
	}
	c.reportedDown = true
	p.node.stats[PeerWentDown].Add(1)
	p.node.event(p, PeerDown)
}

// Rekey makes the node initiate a new handshake with the peer at the next Tick,
// REKEY_TIMEOUT after the last one at the earliest. The current session goes on
// meanwhile. ErrNoPeer.
func (n *Node) Rekey(public PublicKey) error {
	p := n.peers[public]
	if p == nil {
		return ErrNoPeer
	}
	p.control.ours.force = true
	n.schedule.change(p)
	return nil
}

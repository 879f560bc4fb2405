package wireguard

import (
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/wireguard/noise"
)

// control is the state machine of one peer: its timers and its handshake. Control
// goroutine only. Times are ns since start, 0 for "not set".
//
// Each timer is one function in timer.go that returns when it is due, computed
// from what happened. Tick fires those that are due and NextDeadline is the least
// of them, so the two can't disagree.
type control struct {
	peer   *Peer
	cfg    PeerConfig // without PSK
	remote *noise.Remote
	jar    *noise.Jar

	ours   attempt
	theirs struct {
		stamp noise.Timestamp // greatest time stamp accepted
		at    int64           // when
	}

	traversal     int64 // last handshake message, either way
	zeroAt        int64 // when all keys are forgotten
	keepaliveAt   int64 // when the persistent keepalive last fired
	anchorAt      int64 // last message from the main port
	livenessSince int64 // liveness counts from here
	silenceJitter int64 // ns, part of the timer for data without an answer
	reportedDown  bool  // what the last event said

	place place
}

// attempt is our own handshake with the peer: a series of initiations.
type attempt struct {
	pending    *noise.Pending // waits for a response; nil when none does
	index      uint32         // of pending
	began      int64          // first initiation of the series; valid iff retransmit != 0
	retransmit int64          // when to send the next one; 0 when no series is under way
	sent       int64          // last initiation, or response to one of theirs
	stamp      noise.Timestamp
	force      bool // begin one, whatever the sessions are
}

// configure takes over c.
func (c *control) configure(now int64, cfg PeerConfig) {
	had := c.cfg.Liveness.Interval > 0
	has := cfg.Liveness.Interval > 0
	cfg.PSK = secret.Key32{}
	c.cfg = cfg
	switch {
	case has && !had:
		// Until something authenticated comes, the peer is not there.
		c.livenessSince = now
		first := c.peer.traffic.lastRx.Load() == 0
		c.peer.down.Store(first)
		c.reportedDown = first
	case had && !has:
		c.peer.down.Store(false)
		c.reportedDown = false
	}
}

// alwaysOn reports whether the peer gets a session without traffic.
func (c *control) alwaysOn() bool { return c.cfg.AlwaysOn || c.cfg.Liveness.Interval > 0 }

// usable reports whether s can seal.
func usable(s *Session, now int64) bool { return s != nil && !s.Expired(now) && !s.exhausted() }

// initiate sends an initiation, the first of a series or, with retry, the next.
// Nothing is sent when there is nowhere to send it to.
func (c *control) initiate(now int64, retry bool, out []Out) []Out {
	n, p, a := c.peer.node, c.peer, &c.ours
	to := p.endpoint.Load()
	if to == nil {
		n.stats[NoEndpoint].Add(1)
		a.retransmit = 0
		return out
	}
	if !retry {
		a.began = now
	}
	a.sent = now
	a.retransmit = now + int64(n.params.RekeyTimeout) + n.jitter()
	c.dropPending()

	index, err := n.index.Reserve()
	if err != nil {
		n.stats[RefusedIndexTable].Add(1)
		return out
	}
	stamp := noise.TimestampOf(n.wall())
	if !stamp.After(a.stamp) { // the wall clock stood still or went back
		stamp = a.stamp.Next()
	}
	msg := make([]byte, noise.InitiationSize)
	pending, err := n.id.Initiate(msg, c.remote, index, stamp, n.random)
	if err != nil {
		n.index.Release(index)
		n.stats[InternalError].Add(1)
		return out
	}
	a.pending, a.index, a.stamp = pending, index, stamp
	n.pending[index] = p
	c.jar.Put(now, msg)
	n.stats[InitiationSent].Add(1)
	c.sentHandshake(now)
	return append(out, Out{Peer: p, To: to, Msg: msg})
}

// dropPending forgets the handshake that waits for a response.
func (c *control) dropPending() {
	a := &c.ours
	if a.pending == nil {
		return
	}
	a.pending.Wipe()
	delete(c.peer.node.pending, a.index)
	c.peer.node.index.Release(a.index)
	a.pending, a.index = nil, 0
}

// sentHandshake notes that an authenticated message other than data was sent.
func (c *control) sentHandshake(now int64) {
	c.traversal, c.anchorAt = now, now
	c.peer.traffic.unacked.Store(0)
}

// heardHandshake notes that an initiation or response authenticated.
func (c *control) heardHandshake(now int64) {
	c.traversal = now
	c.peer.traffic.unanswered.Store(0)
}

// derived notes that new session keys exist.
func (c *control) derived(now int64) { c.zeroAt = now + 3*int64(c.peer.node.params.RejectAfterTime) }

// complete ends our series of initiations: a session is up, whoever began it.
func (c *control) complete() {
	c.ours.retransmit = 0
	c.ours.force = false
	c.peer.wants.And(^uint32(wantHandshake))
}

// giveUp ends the series without a session. The next packet begins another.
func (c *control) giveUp(now int64) {
	n := c.peer.node
	n.stats[HandshakeGivenUp].Add(1)
	n.event(c.peer, HandshakeFailed)
	c.complete()
	c.dropPending()
	if c.zeroAt == 0 {
		c.derived(now) // for what is left of older keys
	}
}

// keepalive sends an empty data message; without a session it asks for one.
func (c *control) keepalive(now int64, out []Out) []Out {
	p := c.peer
	s, to := p.session.Load(), p.endpoint.Load()
	p.traffic.unacked.Store(0)
	if to == nil || !usable(s, now) {
		p.wants.Or(wantSession)
		return out
	}
	counter, ok := s.reserve(1)
	if !ok {
		return out
	}
	msg := make([]byte, Overhead)
	s.Seal(msg, counter, 0, 0)
	p.Sent(now, s, 1, Overhead, false)
	c.anchorAt = now
	p.node.stats[KeepaliveSent].Add(1)
	return append(out, Out{Peer: p, To: to, Msg: msg})
}

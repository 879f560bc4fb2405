package wireguard

import (
	"net/netip"

	"github.com/ztos/ztos/wireguard/noise"
)

// HandleMessage takes an initiation, a response or a cookie reply that came from
// src at now, and returns what to send. Data messages are the workers'; they and
// everything malformed are refused. msg is borrowed during the call.
//
// The order is the whitepaper's section 5.3: MAC1 before anything costs, MAC2 and
// the rate of the source when under load, and only then public-key operations.
func (n *Node) HandleMessage(now int64, src netip.AddrPort, msg []byte) []Out {
	src = unmap(src)
	t := noise.Classify(msg)
	switch t {
	case noise.TypeCookieReply:
		n.handleCookie(now, src, msg)
		return nil
	case noise.TypeInitiation, noise.TypeResponse:
	default:
		n.stats[RefusedMalformed].Add(1)
		return nil
	}
	if !n.checker.MAC1OK(msg) {
		n.stats[RefusedMAC1].Add(1)
		return nil
	}
	if n.load.note(now) {
		// A cookie shows that the sender receives at src. So a flood from
		// spoofed addresses costs us one keyed hash and one small reply a
		// message, and one from real addresses its rate each.
		var buf [32]byte
		who := sourceBytes(buf[:0], src)
		if !n.checker.MAC2OK(now, msg, who) {
			return n.sendCookie(now, src, msg, who)
		}
		if !n.limiter.allow(now, src.Addr()) {
			n.stats[RefusedRate].Add(1)
			return nil
		}
	}
	if t == noise.TypeInitiation {
		return n.handleInitiation(now, src, msg)
	}
	return n.handleResponse(now, src, msg)
}

// UnderLoad reports whether handshake messages are answered with cookies at now.
func (n *Node) UnderLoad(now int64) bool { return now < n.load.until }

// sourceBytes appends address and port: what a cookie is bound to.
func sourceBytes(b []byte, src netip.AddrPort) []byte {
	a := src.Addr().As16()
	b = append(b, a[:]...)
	return append(b, byte(src.Port()>>8), byte(src.Port()))
}

// sendCookie answers a message with a cookie instead of an answer.
func (n *Node) sendCookie(now int64, src netip.AddrPort, msg, who []byte) []Out {
	out := make([]byte, noise.CookieReplySize)
	if err := n.checker.Reply(now, out, msg, who, n.random); err != nil {
		n.stats[InternalError].Add(1)
		return nil
	}
	n.stats[CookieSent].Add(1)
	return []Out{{To: n.newEndpoint(src), Msg: out}}
}

// handleCookie keeps a cookie for the next initiation; it does not cause one.
func (n *Node) handleCookie(now int64, src netip.AddrPort, msg []byte) {
	// A cookie answers our last initiation, by the index of the pending
	// handshake, or our last response, by that of the session it made.
	index := noise.CookieReply(msg).Receiver()
	p := n.pending[index]
	if p == nil {
		if s := n.index.Lookup(index); s != nil {
			p = s.peer
		}
	}
	switch {
	case p == nil:
		n.stats[RefusedCookie].Add(1)
	case !p.pinned.Load().Allows(src):
		n.stats[RefusedPinned].Add(1)
	case !p.control.jar.Take(now, msg):
		n.stats[RefusedCookie].Add(1)
	default:
		n.stats[CookieAccepted].Add(1)
	}
}

// handleInitiation answers an initiation with a response and a new session that
// waits for the peer's first message.
func (n *Node) handleInitiation(now int64, src netip.AddrPort, msg []byte) []Out {
	q, err := n.id.Accept(msg)
	if err != nil {
		n.stats[RefusedAuth].Add(1)
		return nil
	}
	defer q.Wipe()
	p := n.peers[q.Remote()]
	if p == nil {
		n.stats[RefusedPeer].Add(1)
		return nil
	}
	c := &p.control
	n.schedule.change(p)
	stamp, err := q.Verify(c.remote)
	if err != nil {
		n.stats[RefusedAuth].Add(1)
		return nil
	}
	// Authentic. Whether it counts: nothing is changed before all is asked.
	switch {
	case !p.pinned.Load().Allows(src):
		n.stats[RefusedPinned].Add(1)
		return nil
	case !stamp.After(c.theirs.stamp):
		n.stats[RefusedReplay].Add(1)
		return nil
	case c.theirs.at != 0 && now-c.theirs.at < int64(n.params.InitiationInterval):
		n.stats[RefusedFlood].Add(1)
		return nil
	}
	index, err := n.index.Reserve()
	if err != nil {
		n.stats[RefusedIndexTable].Add(1)
		return nil
	}
	c.theirs.stamp, c.theirs.at = stamp, now
	out := make([]byte, noise.ResponseSize)
	remoteIndex := q.Sender()
	keys, err := q.Respond(out, c.remote, index, n.random)
	if err != nil {
		n.index.Release(index)
		n.stats[InternalError].Add(1)
		return nil
	}
	// The session must be there before the response leaves: the peer seals
	// with it at once.
	s, err := newSession(p, keys, index, remoteIndex, false, now)
	if err != nil || !p.install(now, s) {
		n.index.Release(index)
		n.stats[InternalError].Add(1)
		return nil
	}
	c.jar.Put(now, out)
	c.heardHandshake(now)
	p.refill()
	p.move(src)
	c.ours.sent = now // we do not initiate for a RekeyTimeout now
	c.derived(now)
	c.sentHandshake(now)
	n.stats[InitiationAccepted].Add(1)
	n.stats[ResponseSent].Add(1)
	return []Out{{Peer: p, To: p.endpoint.Load(), Msg: out}}
}

// handleResponse finishes our handshake: the new session is used at once, and a
// keepalive shows the peer that we have it.
func (n *Node) handleResponse(now int64, src netip.AddrPort, msg []byte) []Out {
	m := noise.Response(msg)
	p := n.pending[m.Receiver()]
	if p == nil {
		n.stats[RefusedResponse].Add(1)
		return nil
	}
	c := &p.control
	n.schedule.change(p)
	if !p.pinned.Load().Allows(src) {
		n.stats[RefusedPinned].Add(1)
		return nil
	}
	keys, err := c.ours.pending.Finish(msg)
	if err != nil {
		n.stats[RefusedAuth].Add(1)
		return nil
	}
	// The index goes from the handshake to the session.
	index := c.ours.index
	delete(n.pending, index)
	c.ours.pending, c.ours.index = nil, 0
	s, err := newSession(p, keys, index, m.Sender(), true, now)
	if err != nil || !p.install(now, s) {
		n.index.Release(index)
		n.stats[InternalError].Add(1)
		return nil
	}
	p.traffic.lastRx.Store(now)
	c.heardHandshake(now)
	p.refill()
	p.move(src)
	c.derived(now)
	c.complete()
	p.down.Store(false)
	n.stats[ResponseAccepted].Add(1)
	n.event(p, SessionUp)
	return c.keepalive(now, nil)
}

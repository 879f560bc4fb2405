package relay

import (
	"bufio"
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztos/ztos/bgp/scrub"
)

// pair is a connection to the peer, joined with one to GoBGP.
type pair struct {
	remote  net.Conn
	since   time.Time
	inbound bool // the peer opened it

	// A KEEPALIVE was heard from the peer, and sent to it: the session is
	// established when both were (RFC 4271 section 8.2.2).
	heard, sent atomic.Bool

	done chan struct{} // closed by close

	mu     sync.Mutex
	local  net.Conn // nil while GoBGP has not taken an inbound one
	closed bool
}

func newPair(remote net.Conn, inbound bool) *pair {
	return &pair{remote: &wholeConn{Conn: remote}, since: time.Now(), inbound: inbound, done: make(chan struct{})}
}

// take joins c with a connection to GoBGP, which it owns from then on. When c has
// ended it closes local and reports false.
func (c *pair) take(local net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		local.Close()
		return false
	}
	c.local = local
	return true
}

// gobgp returns the connection to GoBGP, nil before take.
func (c *pair) gobgp() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.local
}

// close ends both connections. It may be called again.
func (c *pair) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	close(c.done)
	c.remote.Close()
	if c.local != nil {
		c.local.Close()
	}
}

// ended reports whether both connections have been closed.
func (c *pair) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// note sets seen when msg is a KEEPALIVE.
func (c *pair) note(msg []byte, seen *atomic.Bool) {
	if scrub.Type(msg) == scrub.Keepalive {
		seen.Store(true)
	}
}

func (c *pair) established() bool { return c.heard.Load() && c.sent.Load() }

// holder returns the connection that the peer has, nil when there is none. One that
// has ended is none, also before its goroutines are through with it.
func (p *Peer) holder() *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.ended() {
		return nil
	}
	return p.now
}

// live returns the connection that is joined with GoBGP, nil when there is none.
func (p *Peer) live() *pair {
	if c := p.holder(); c != nil && c.gobgp() != nil {
		return c
	}
	return nil
}

// claim makes c the peer's connection unless there is one, or the peer has been
// closed.
func (p *Peer) claim(c *pair) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && !p.now.ended() || p.ctx.Err() != nil {
		return false
	}
	p.now = c
	return true
}

// leave ends c, and makes room for another.
func (p *Peer) leave(c *pair) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == c {
		p.now = nil
	}
}

// What is waited for while a connection of the peer meets another.
const (
	// settled: a connection of this age is a session, not one of two that
	// crossed.
	settled = 5 * time.Second
	// openWait is how long a peer that connects may take until its OPEN.
	openWait = 3 * time.Second
	// rivalFor is how often the other connection is looked at again.
	rivalFor = 4
)

// admit makes c, which the peer has opened and r reads, the peer's connection, in
// place of another if that has to give way, or has ended soon.
func (p *Peer) admit(c *pair, r *bufio.Reader) bool {
	for range rivalFor {
		if p.claim(c) {
			return true
		}
		rival := p.holder()
		if rival == nil {
			continue
		}
		switch p.collide(rival, c, r) {
		case newer:
			p.leave(rival)
			continue
		case older:
			say(c.remote, collisionResolution)
			return false
		}
		select {
		case <-rival.done:
		case <-p.ctx.Done():
			return false
		case <-time.After(offerEvery):
		}
	}
	return p.claim(c)
}

// collisionResolution is the subcode of Cease for the one that goes (RFC 4486 section
// 4).
const collisionResolution = 7

// winner is which of two connections stays.
type winner uint8

const (
	undecided winner = iota
	newer
	older
)

// collide decides between the connection that the peer has and c, which it has
// opened since. Two that crossed are decided as RFC 4271 section 6.8 has it: the one
// stays that the side with the greater BGP identifier opened. It is decided here
// because GoBGP 4.8.0 may hold on to both, each side waiting for the other on
// another one: so it gets to see only one.
func (p *Peer) collide(rival, c *pair, r *bufio.Reader) winner {
	switch {
	case time.Since(rival.since) > settled:
		// The peer has begun anew and its old connection is an orphan, unless
		// that can't be told.
		if p.conf.Restart || !rival.established() {
			return newer
		}
		return undecided
	case rival.established():
		return undecided
	case rival.inbound:
		if rival.gobgp() == nil {
			return newer // GoBGP has not taken that one, and nobody reads it
		}
		return undecided
	}
	id, ok := identifier(c, r)
	switch {
	case !ok:
		return older
	case rival.established():
		return undecided // meanwhile
	case id > p.relay.id:
		return newer
	case id < p.relay.id:
		return older
	}
	// The same identifier, in two autonomous systems: both sides know the addresses.
	own, theirs := addrOf(c.remote.LocalAddr()), addrOf(c.remote.RemoteAddr())
	if bytes.Compare(own.AsSlice(), theirs.AsSlice()) < 0 {
		return newer
	}
	return older
}

// identifier returns the BGP identifier in the OPEN with which the peer begins, and
// leaves that to be read.
func identifier(c *pair, r *bufio.Reader) (id uint32, ok bool) {
	if c.remote.SetReadDeadline(time.Now().Add(openWait)) != nil {
		return 0, false
	}
	head, err := r.Peek(scrub.IdentifierEnd)
	if err != nil || c.remote.SetReadDeadline(time.Time{}) != nil {
		return 0, false
	}
	return scrub.Identifier(head)
}

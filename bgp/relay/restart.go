package relay

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/ztos/ztos/bgp/scrub"
)

// quiet is how long GoBGP must have sent a peer no routes until they count as
// delivered.
const quiet = time.Second

// Collect has the relay say, in the name of GoBGP, that the node began again and
// forwards as before, and hold End-of-RIB back from the peers until Collected: they
// keep what they have of the node meanwhile (RFC 4724 section 4.1). Routes are not
// held. For a relay without peers yet.
func (r *Relay) Collect() { r.collected = make(chan struct{}) }

// Collected has peers be told End-of-RIB, each as soon as the routes before it are
// delivered. It may be called again.
func (r *Relay) Collected() {
	r.collect.Do(func() {
		if r.collected != nil {
			close(r.collected)
		}
	})
}

// collecting reports whether Collect was called and Collected was not.
func (r *Relay) collecting() bool {
	if r.collected == nil {
		return false
	}
	select {
	case <-r.collected:
		return false
	default:
		return true
	}
}

// restart is what a connection to a peer owes it while the relay collects.
type restart struct {
	mu      sync.Mutex
	over    bool      // nothing is held any more
	owed    []byte    // End-of-RIB messages
	update  time.Time // of the last message with routes, or of the last write
	writing bool      // messages are on their way
}

// delivery is the way of messages to the peer; they are not delivered before a write is
// over, which may wait for the peer.
type delivery struct {
	c  *restart
	to net.Conn
}

// writer returns the way of messages to the peer.
func (c *restart) writer(to net.Conn) io.Writer { return delivery{c, to} }

// Write implements io.Writer.
func (d delivery) Write(b []byte) (int, error) {
	d.c.deliver(true)
	defer d.c.deliver(false)
	return d.to.Write(b)
}

func (c *restart) deliver(writing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.writing, c.update = writing, time.Now()
	}
}

// out rewrites a message from GoBGP, as s does.
func (c *restart) out(s *scrub.Scrubber, out, msg []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
	case scrub.EndOfRIB(msg):
		c.owed = append(c.owed, msg...)
		return scrub.AppendKeepalive(out)
	case scrub.Type(msg) == scrub.Open:
		n := len(out)
		out = s.Out(out, msg)
		scrub.MarkRestarting(out[n:])
		return out
	case scrub.Type(msg) == scrub.Update:
		c.update = time.Now()
	}
	return s.Out(out, msg)
}

// pay sends to the peer what is owed when that is time, after collected; it returns
// then, or when done is closed.
func (c *restart) pay(to net.Conn, collected, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-collected:
	}
	// What the last of them told is on its way through GoBGP.
	c.mu.Lock()
	c.update = time.Now()
	c.mu.Unlock()
	for {
		wait := c.settle(to)
		if wait <= 0 {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(wait):
		}
	}
}

// settle sends what is owed, or returns how long that must wait.
func (c *restart) settle(to net.Conn) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return quiet
	}
	if wait := quiet - time.Since(c.update); wait > 0 {
		return wait
	}
	if len(c.owed) > 0 {
		// When it fails the connection has ended, and the pumps see that too.
		_, _ = to.Write(c.owed)
	}
	c.over, c.owed = true, nil
	return 0
}

// wholeConn is a connection to which several goroutines write messages: each call
// of Write is one piece.
type wholeConn struct {
	net.Conn
	mu sync.Mutex
}

// Write implements io.Writer.
func (c *wholeConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.Write(b)
}

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ztos/ztos/bgp/scrub"
)

// PeerConfig is a peer as the relay needs it.
type PeerConfig struct {
	Addr    netip.AddrPort // where it listens; its connections come from the address
	Local   netip.Addr     // to connect from; invalid: the kernel's choice
	Guard   Guard
	Passive bool // never dial it
	// Restart: it may come back by a new connection while the old one still
	// seems to live (RFC 4724 section 5).
	Restart bool
}

// Stats says what a peer's connections went through.
type Stats struct {
	Counts    scrub.Counts // routes that were kept from GoBGP
	Dials     uint64       // attempts to reach the peer
	Accepted  uint64       // connections that came from it
	LastError string       // of the last attempt that failed; empty after success
}

// Peer is a peer of a Relay.
type Peer struct {
	relay *Relay
	conf  PeerConfig
	loop  netip.Addr // by which GoBGP knows the peer
	ln    Listener   // for GoBGP to dial

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	pairs map[*pair]struct{}
	stats Stats
}

// pair is a connection to the peer joined with one to GoBGP.
type pair struct {
	remote, local net.Conn
	since         time.Time
	inbound       bool
	end           sync.Once
}

func (c *pair) close() {
	c.end.Do(func() {
		c.remote.Close()
		c.local.Close()
	})
}

// Loop returns where GoBGP finds the peer.
func (p *Peer) Loop() netip.AddrPort {
	return netip.AddrPortFrom(p.loop, uint16(p.ln.Addr().(*net.TCPAddr).Port))
}

// Stats returns a copy.
func (p *Peer) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Cut closes the peer's connections. With a subcode of Cease both sides are told
// so first (RFC 4486); with 0 it looks like a failure of the network, after which
// graceful restart keeps the routes.
func (p *Peer) Cut(subcode byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		if subcode != 0 {
			// Best effort: whoever does not read it sees the end.
			msg := scrub.AppendCease(nil, subcode)
			for _, side := range []net.Conn{c.local, c.remote} {
				if side.SetWriteDeadline(time.Now().Add(100*time.Millisecond)) == nil {
					_, _ = side.Write(msg)
				}
			}
		}
		c.close()
	}
}

// serve takes the connections that GoBGP opens.
func (p *Peer) serve() {
	defer p.wg.Done()
	for {
		local, err := p.ln.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Add(1)
		go func() {
			defer p.wg.Done()
			p.outgoing(local)
		}()
	}
}

// outgoing carries a connection that GoBGP has opened to the peer.
func (p *Peer) outgoing(local net.Conn) {
	defer local.Close()
	if addrOf(local.RemoteAddr()) != p.relay.gobgp.Addr() || p.conf.Passive || p.live() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	remote, err := p.relay.transport.Dial(ctx, p.conf.Local, p.conf.Addr, p.conf.Guard)
	p.mu.Lock()
	p.stats.Dials++
	p.mu.Unlock()
	p.note(err)
	if err != nil {
		return
	}
	p.join(remote, local, bufio.NewReaderSize(local, bufSize), false)
}

// Waiting for GoBGP to take a connection of the peer: it takes none for 5 s after
// a session has ended, while the peer may be back already.
const (
	offerEvery = 300 * time.Millisecond
	offerFor   = 20 * time.Second
	// settled: a connection of this age is a session, not one of two that
	// crossed.
	settled = 5 * time.Second
)

// incoming carries a connection that the peer has opened to GoBGP.
func (p *Peer) incoming(remote net.Conn) {
	defer remote.Close()
	p.mu.Lock()
	p.stats.Accepted++
	p.mu.Unlock()
	if err := p.relay.transport.Guard(remote, p.conf.Guard); err != nil {
		p.note(err)
		return
	}
	if c := p.live(); c != nil && p.conf.Restart && time.Since(c.since) > settled {
		// The peer has begun anew and its old connection is an orphan.
		c.close()
	}
	others := 0
	for deadline := time.Now().Add(offerFor); time.Now().Before(deadline); {
		local, r, err := p.offer()
		if err == nil {
			p.join(remote, local, r, true)
			return
		}
		// When GoBGP has another connection it prefers that one, unless that
		// is about to end.
		if p.live() == nil {
			others = 0
		} else if others++; others > 3 {
			return
		}
		select {
		case <-p.ctx.Done():
			return
		case <-time.After(offerEvery):
		}
	}
	p.note(errors.New("bgp/relay: GoBGP takes no connection of the peer"))
}

// offer opens a connection to GoBGP in the peer's name and waits until GoBGP
// speaks, as it does at once when it takes the connection.
func (p *Peer) offer() (net.Conn, *bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	local, err := Kernel{}.Dial(ctx, p.loop, p.relay.gobgp, Guard{Password: p.relay.key})
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(p.ctx, func() { local.Close() })
	defer stop()
	r := bufio.NewReaderSize(local, bufSize)
	if _, err := r.Peek(1); err != nil {
		local.Close()
		return nil, nil, err
	}
	return local, r, nil
}

// join pumps between the two connections until one ends, and closes both. from
// reads local.
func (p *Peer) join(remote, local net.Conn, from *bufio.Reader, inbound bool) {
	c := &pair{remote: remote, local: local, since: time.Now(), inbound: inbound}
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		c.close()
		return
	}
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		c.close()
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
	}()

	out := scrub.Scrubber{Self: addrOf(remote.LocalAddr()), Relay: p.relay.gobgp.Addr()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer c.close()
		// Ends are not errors here: GoBGP and the peer say why they end.
		_ = pump(remote, from, out.Out)
	}()
	var in scrub.Scrubber
	_ = pump(local, bufio.NewReaderSize(remote, bufSize), func(out, msg []byte) []byte {
		out = in.In(out, msg)
		if in.Counts.Total != 0 {
			p.mu.Lock()
			p.stats.Counts.Add(&in.Counts)
			p.mu.Unlock()
			in.Counts = scrub.Counts{}
		}
		return out
	})
	c.close()
	<-done
}

// live returns a connection that is joined, nil when there is none.
func (p *Peer) live() *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		return c
	}
	return nil
}

// Session returns the two ends of the connection that lives; ok is false when
// there is none.
func (p *Peer) Session() (local, remote netip.AddrPort, ok bool) {
	c := p.live()
	if c == nil {
		return local, remote, false
	}
	at := func(a net.Addr) netip.AddrPort {
		ap, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return at(c.remote.LocalAddr()), at(c.remote.RemoteAddr()), true
}

// note remembers how the last attempt ended.
func (p *Peer) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.LastError = ""
	if err != nil {
		p.stats.LastError = err.Error()
	}
}

// lastWords is how long a connection may take to deliver what GoBGP has sent
// before it closed: a NOTIFICATION.
const lastWords = time.Second

// close ends the peer's goroutines and connections. Unless it is at once, GoBGP
// has ended its sessions, and what it said last is delivered.
func (p *Peer) close(atOnce bool) {
	p.cancel()
	p.ln.Close()
	if !atOnce {
		for end := time.Now().Add(lastWords); p.live() != nil && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	p.Cut(0)
	p.wg.Wait()
}

// String names the peer by its address and the one it has inside.
func (p *Peer) String() string { return fmt.Sprintf("peer %v (%v)", p.conf.Addr, p.loop) }

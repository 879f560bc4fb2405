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
	Addr  netip.AddrPort // where it listens; its connections come from the address
	Local netip.Addr     // to connect from; invalid: the kernel's choice
	// NextHop stands for GoBGP's own next hop in what the peer is told; invalid:
	// the address of the connection.
	NextHop netip.Addr
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
	now   *pair // the one connection that there is; nil: none
	stats Stats
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

// Cease tells the peer that its session ends, with a subcode of Cease (RFC 4486).
// GoBGP ends it afterwards: what it says itself does not always get out before it
// closes the connection.
func (p *Peer) Cease(subcode byte) {
	if c := p.live(); c != nil {
		say(c.remote, subcode)
	}
}

// Cut closes the peer's connection. With a subcode of Cease both sides are told so
// first; with 0 it looks like a failure of the network, after which graceful restart
// keeps the routes.
func (p *Peer) Cut(subcode byte) {
	if c := p.live(); c != nil && subcode != 0 {
		say(c.gobgp(), subcode)
		say(c.remote, subcode)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.close()
	}
}

// say writes the NOTIFICATION Cease, as far as the connection takes it at once:
// whoever does not read it sees the end.
func say(to net.Conn, subcode byte) {
	if to.SetWriteDeadline(time.Now().Add(100*time.Millisecond)) == nil {
		_, _ = to.Write(scrub.AppendCease(nil, subcode))
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

// outgoing carries a connection that GoBGP has opened to the peer. When the peer has
// come meanwhile nothing is said on it.
func (p *Peer) outgoing(local net.Conn) {
	defer local.Close()
	if addrOf(local.RemoteAddr()) != p.relay.gobgp.Addr() || p.conf.Passive || p.holder() != nil {
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
	c := newPair(remote, false)
	defer p.leave(c)
	if p.claim(c) && c.take(local) {
		p.join(c, bufio.NewReaderSize(remote, bufSize), bufio.NewReaderSize(local, bufSize))
	}
}

// Waiting for GoBGP to take a connection of the peer: it takes none for 5 s after
// a session has ended, while the peer may be back already.
const (
	offerEvery = 300 * time.Millisecond
	offerFor   = 20 * time.Second
)

// incoming carries a connection that the peer has opened to GoBGP.
func (p *Peer) incoming(remote net.Conn) {
	c := newPair(remote, true)
	defer p.leave(c)
	p.mu.Lock()
	p.stats.Accepted++
	p.mu.Unlock()
	if err := p.relay.transport.Guard(remote, p.conf.Guard); err != nil {
		p.note(err)
		return
	}
	r := bufio.NewReaderSize(remote, bufSize)
	stop := context.AfterFunc(p.ctx, c.close)
	admitted := p.admit(c, r)
	if !stop() || !admitted {
		return
	}
	for deadline := time.Now().Add(offerFor); time.Now().Before(deadline); {
		local, from, err := p.offer()
		if err == nil {
			if c.take(local) {
				p.join(c, r, from)
			}
			return
		}
		select {
		case <-c.done:
			return
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
	stop := context.AfterFunc(ctx, func() { local.Close() })
	r := bufio.NewReaderSize(local, bufSize)
	if _, err := r.Peek(1); err != nil || !stop() {
		local.Close()
		return nil, nil, errors.Join(err, ctx.Err())
	}
	return local, r, nil
}

// join pumps between the two connections of c, the peer's, until one ends, and closes
// both. r reads the peer, from reads GoBGP.
func (p *Peer) join(c *pair, r, from *bufio.Reader) {
	remote, local := c.remote, c.gobgp()
	out := scrub.Scrubber{Self: p.conf.NextHop, Relay: p.relay.gobgp.Addr()}
	if !out.Self.IsValid() {
		out.Self = addrOf(remote.LocalAddr())
	}
	held := restart{over: !p.relay.collecting()}
	done, end := make(chan struct{}), make(chan struct{})
	var paying sync.WaitGroup
	if !held.over {
		paying.Go(func() { held.pay(remote, p.relay.collected, end) })
	}
	go func() {
		defer close(done)
		defer c.close()
		// Ends are not errors here: GoBGP and the peer say why they end.
		_ = pump(held.writer(remote), from, func(o, msg []byte) []byte {
			c.note(msg, &c.sent)
			return held.out(&out, o, msg)
		})
	}()
	var in scrub.Scrubber
	_ = pump(local, r, func(out, msg []byte) []byte {
		c.note(msg, &c.heard)
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
	close(end)
	paying.Wait()
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

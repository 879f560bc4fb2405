package relay

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/ztos/ztos/crypto/secret"
)

// Relay carries the sessions of one GoBGP server.
type Relay struct {
	transport Transport
	gobgp     netip.AddrPort // where GoBGP listens
	key       secret.Key
	id        uint32 // BGP identifier of the node

	collected chan struct{} // closed by Collected; nil without Collect
	collect   sync.Once

	mu        sync.Mutex
	peers     map[netip.Addr]*Peer // by the peer's address, with zone
	used      map[netip.Addr]bool  // loopback addresses
	next      int                  // of loops, where to look for a free one
	listeners []Listener
	wg        sync.WaitGroup
	closed    bool
	strangers uint64
}

// GoBGP is the loopback address at which GoBGP listens and from which it dials.
// 127.179/16 is for no one else; 179 is BGP's port.
var GoBGP = netip.AddrFrom4([4]byte{127, 179, 0, 1})

// New returns a relay to the GoBGP server that listens on port at GoBGP and has the
// BGP identifier id. key, of 1 to 80 bytes, signs what goes over loopback.
func New(t Transport, port uint16, id netip.Addr, key secret.Key) *Relay {
	four := id.As4()
	return &Relay{
		id:        binary.BigEndian.Uint32(four[:]),
		transport: t,
		gobgp:     netip.AddrPortFrom(GoBGP, port),
		key:       key,
		peers:     make(map[netip.Addr]*Peer),
		used:      make(map[netip.Addr]bool),
	}
}

// Listen accepts the peers' connections at an address. Peers that are added
// later are let in as well.
func (r *Relay) Listen(at netip.AddrPort, device string) error {
	l, err := r.transport.Listen(at, device)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.peers {
		if err := protect(l, p); err != nil {
			l.Close()
			return err
		}
	}
	r.listeners = append(r.listeners, l)
	r.wg.Add(1)
	go r.accept(l)
	return nil
}

// protect lets p in at l as its configuration says, if it can come there at all.
func protect(l Listener, p *Peer) error {
	at := addrOf(l.Addr())
	if !p.conf.Guard.Password.Valid() || at.IsValid() && at.Is4() != p.conf.Addr.Addr().Is4() {
		return nil
	}
	return l.Protect(p.conf.Addr.Addr(), p.conf.Guard.Password)
}

func (r *Relay) accept(l Listener) {
	defer r.wg.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		r.mu.Lock()
		p := r.peers[addrOf(c.RemoteAddr())]
		if p == nil || r.closed {
			r.strangers++
			r.mu.Unlock()
			c.Close()
			continue
		}
		p.wg.Add(1)
		r.mu.Unlock()
		go func() {
			defer p.wg.Done()
			p.incoming(c)
		}()
	}
}

// Strangers returns how many connections came from addresses of no peer.
func (r *Relay) Strangers() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.strangers
}

// Add makes a peer known. Its address must be new.
func (r *Relay) Add(conf PeerConfig) (*Peer, error) {
	addr := conf.Addr.Addr().Unmap()
	conf.Addr = netip.AddrPortFrom(addr, conf.Addr.Port())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, net.ErrClosed
	}
	if r.peers[addr] != nil {
		return nil, fmt.Errorf("bgp/relay: two peers with address %v", addr)
	}
	loop, ok := r.free()
	if !ok {
		return nil, fmt.Errorf("bgp/relay: no room for another peer: there are %d", len(r.peers))
	}
	ln, err := Kernel{}.Listen(netip.AddrPortFrom(loop, 0), "")
	if err != nil {
		return nil, fmt.Errorf("bgp/relay: the loopback device must be up: %w", err)
	}
	if err := ln.Protect(GoBGP, r.key); err != nil {
		ln.Close()
		return nil, err
	}
	p := &Peer{relay: r, conf: conf, loop: loop, ln: ln}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for _, l := range r.listeners {
		if err := protect(l, p); err != nil {
			ln.Close()
			return nil, err
		}
	}
	r.peers[addr], r.used[loop] = p, true
	p.wg.Add(1)
	go p.serve()
	return p, nil
}

// loops is how many loopback addresses there are for peers: 127.179.0.2 and up.
const loops = 1<<16 - 3

// free returns a loopback address that no peer has, and none had lately: what GoBGP
// has yet to say of one that was removed is not to be taken for another's.
func (r *Relay) free() (netip.Addr, bool) {
	base := GoBGP.As4()
	for range loops {
		n := 2 + r.next
		r.next = (r.next + 1) % loops
		a := netip.AddrFrom4([4]byte{base[0], base[1], byte(n >> 8), byte(n)})
		if !r.used[a] {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// Remove forgets a peer that GoBGP has forgotten, and ends its connections.
func (r *Relay) Remove(p *Peer) {
	r.mu.Lock()
	if r.peers[p.conf.Addr.Addr()] == p {
		delete(r.peers, p.conf.Addr.Addr())
		for _, l := range r.listeners {
			if p.conf.Guard.Password.Valid() {
				// At worst the address stays closed to those without it.
				_ = l.Protect(p.conf.Addr.Addr(), secret.Key{})
			}
		}
	}
	r.mu.Unlock()
	p.close(false)
	r.mu.Lock()
	delete(r.used, p.loop)
	r.mu.Unlock()
}

// Close ends everything, and returns when all goroutines have. GoBGP has ended
// its sessions before, unless it is at once: then the peers see connections that
// break.
func (r *Relay) Close(atOnce bool) {
	r.mu.Lock()
	r.closed = true
	peers := make([]*Peer, 0, len(r.peers))
	for _, p := range r.peers {
		peers = append(peers, p)
	}
	clear(r.peers)
	for _, l := range r.listeners {
		l.Close()
	}
	r.mu.Unlock()
	for _, p := range peers {
		p.close(atOnce)
	}
	r.wg.Wait()
}

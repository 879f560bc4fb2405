package control

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/fabric/bfd"
	"github.com/ztos/ztos/fabric/bfdnet"
	"github.com/ztos/ztos/fabric/hoststack"
	"github.com/ztos/ztos/wireguard"
)

// bfdService is BFD inside the node. Flows leave a peer where its failure is found,
// by the service's goroutine, which waits for nobody: neither for an apply nor for
// the loop. The loop does what may wait: it logs, asks for a handshake, tells BGP,
// and lets flows back.
type bfdService struct {
	log  *slog.Logger
	poke func()
	now  func() int64                  // the node's clock
	lost func(name string, grace bool) // a BGP neighbour
	run  *bfdnet.Service

	mu      sync.Mutex
	configs []bfd.Config        // as applied last
	links   map[string]*bfdLink // by session
	holdUp  int64               // ns
	news    []bfd.Event         // for the loop
}

// bfdLink is what hangs on a session.
type bfdLink struct {
	peer   *wireguard.Peer // left by flows when the session fails; nil: none
	bgp    string          // the neighbour that is told; empty: none
	vtep   bool            // whose routes lead to itself
	failed bool            // flows are kept away
	back   int64           // when they are let back; 0: not yet
	grace  bool            // BGP may keep what it knows
	dead   int64           // when BGP is told; 0: not at all
}

// confirm is how long a session must stay down until BGP is told, ns. Flows that
// leave a peer for a moment cost nothing; a BGP session that ends is away for
// seconds, and so are the routes of a VTEP, everywhere. A neighbour that had no
// processor for a moment is up again at once (RFC 5882 section 3.1, hysteresis;
// known second-hand).
const confirm = int64(100 * time.Millisecond)

// newBFD returns a service without sessions.
func newBFD(n *Node, t bfdnet.Transport) *bfdService {
	b := &bfdService{log: n.log, poke: n.poke, now: n.now, links: map[string]*bfdLink{}, lost: func(string, bool) {}}
	if n.bgp != nil {
		b.lost = n.bgp.lost
	}
	b.run = bfdnet.New(t, b.hear)
	return b
}

// hear acts on changes of sessions.
func (b *bfdService) hear(es []bfd.Event) {
	b.mu.Lock()
	for i := range es {
		e := &es[i]
		l := b.links[e.Name]
		switch {
		case l == nil:
		case e.Failed():
			l.failed, l.back = true, 0
			if l.peer != nil {
				l.peer.Withhold(true)
			}
			// RFC 5882 section 4.3: where BFD may have died with control, as in a
			// graceful restart, the failure does not end the restart. What a
			// reflector told of others is as good as before.
			l.dead, l.grace = b.now()+confirm, !l.vtep || !e.Independent
			b.relieve()
		case l.failed && e.To == bfd.Up:
			l.dead, l.back = 0, b.now()+b.holdUp
			b.relieve()
		case l.failed && (e.To == bfd.AdminDown || e.TheirAdmin):
			l.dead, l.back = 0, b.now() // nobody says any more that the path is dead
		}
	}
	b.news = append(b.news, es...)
	b.mu.Unlock()
	b.poke()
}

// relieve lets flows back at once to peers that are up again, when another one is
// dead: a path that may fail again is better than one that has. b.mu is held.
func (b *bfdService) relieve() {
	for _, dead := range b.links {
		if dead.peer == nil || !dead.failed || dead.back != 0 {
			continue
		}
		for _, l := range b.links {
			if l.back != 0 {
				l.release()
			}
		}
		return
	}
}

// work does what may wait, and returns when there is more, on the node's clock; 0:
// nothing is planned. failed is called for sessions that have failed, and dead for
// those that BGP is told of.
func (b *bfdService) work(now int64, failed, dead func(*bfdLink)) (next int64) {
	b.mu.Lock()
	news := b.news
	b.news = nil
	links := make([]*bfdLink, len(news))
	for i := range news {
		links[i] = b.links[news[i].Name]
	}
	var gone []*bfdLink
	for _, l := range b.links {
		if l.dead != 0 && l.dead <= now {
			l.dead = 0
			gone = append(gone, l)
		}
		if l.back != 0 && l.back <= now {
			l.release()
		}
		for _, at := range []int64{l.dead, l.back} {
			if at != 0 && (next == 0 || at < next) {
				next = at
			}
		}
	}
	b.mu.Unlock()
	// Not under the lock: whoever reads the log may be slow.
	for i := range news {
		e := &news[i]
		args := []any{"neighbour", e.Name, "address", e.Remote, "reason", e.Diag}
		switch {
		case e.Failed():
			b.log.Warn("bfd: session "+e.To.String(), args...)
		case e.From == bfd.Up || e.To == bfd.Up || e.To == bfd.AdminDown:
			b.log.Info("bfd: session "+e.To.String(), args...)
		}
		if links[i] != nil && e.Failed() {
			failed(links[i])
		}
	}
	for _, l := range gone {
		if l.bgp != "" {
			b.lost(l.bgp, l.grace)
		}
		dead(l)
	}
	return next
}

// release lets flows back to the peer.
func (l *bfdLink) release() {
	l.failed, l.back = false, 0
	if l.peer != nil {
		l.peer.Withhold(false)
	}
}

// bind says what hangs on the sessions of cfg. Flows are let back to a peer that has
// no session any more.
func (b *bfdService) bind(cfg *config.Node, peers map[string]*peerState, isVTEP func(netip.Addr) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.links
	b.links = make(map[string]*bfdLink, len(cfg.BFD.Neighbors))
	b.holdUp = int64(cfg.BFD.HoldUp.D())
	for i := range cfg.BFD.Neighbors {
		x := &cfg.BFD.Neighbors[i]
		l := &bfdLink{vtep: isVTEP(x.Address)}
		if name, ok := cfg.HostPeer(x.Address); ok && x.Hops == 1 {
			l.peer = peers[name].wg
		}
		if y := cfg.Watched(x); y != nil {
			l.bgp = y.Name
		}
		if was := old[x.Name]; was != nil && was.peer == l.peer {
			l.failed, l.back, l.grace, l.dead = was.failed, was.back, was.grace, was.dead
		}
		b.links[x.Name] = l
	}
	for name, was := range old {
		if l := b.links[name]; was.failed && (l == nil || l.peer != was.peer) {
			was.release()
		}
	}
}

// apply makes the sessions those of cs.
func (b *bfdService) apply(cs []bfd.Config) error {
	if err := b.run.Apply(cs); err != nil {
		return err
	}
	b.mu.Lock()
	b.configs = cs
	b.mu.Unlock()
	return nil
}

func (b *bfdService) applied() []bfd.Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.configs
}

// bfdTransport returns how BFD reaches its neighbours: as BGP does.
func bfdTransport(cfg *config.Node, h fabric.Host) bfdnet.Transport {
	s, ok := h.(*hoststack.Netstack)
	if !ok || cfg.BFD.Transport != config.BGPFabric {
		return bfdnet.Kernel
	}
	return func(at netip.AddrPort) (bfdnet.Socket, error) {
		u, err := s.OpenUDP(at)
		if err != nil {
			return nil, err // not a nil pointer in a Socket
		}
		return u, nil
	}
}

// loadBFD reads the keys of BFD sessions.
func (k *keyring) loadBFD(b *config.BFD, fault func(string, error)) {
	if b == nil {
		return
	}
	for i := range b.Neighbors {
		x := &b.Neighbors[i]
		if x.KeyFile == "" {
			continue
		}
		key, err := secret.LoadPassword(x.KeyFile, bfd.MaxKey)
		if err != nil {
			fault(fmt.Sprintf("bfd.neighbors[%d].key-file", i), err)
			continue
		}
		k.bfd[x.Name] = key
	}
}

// bfdConfigs returns the sessions of cfg.
func bfdConfigs(cfg *config.Node, keys *keyring) []bfd.Config {
	if cfg.BFD == nil {
		return nil
	}
	var out []bfd.Config
	for i := range cfg.BFD.Neighbors {
		x := &cfg.BFD.Neighbors[i]
		c := bfd.Config{
			Name: x.Name, Local: cfg.LocalFor(x.Address), Remote: x.Address, Hops: uint8(x.Hops),
			Tx: int64(x.TxInterval), Rx: int64(x.RxInterval), Mult: uint8(x.Multiplier), Down: x.Shutdown.On(),
		}
		if x.KeyFile != "" {
			c.Auth = bfd.Auth{Type: x.Authentication.Type(), KeyID: *x.KeyID, Key: keys.bfd[x.Name]}
		}
		out = append(out, c)
	}
	return out
}

// openBFD starts the sessions of cfg, the configuration in force, as openBGP does.
func (n *Node) openBFD(cfg *config.Node, keys *keyring) error {
	if cfg.BFD == nil {
		return nil
	}
	b := newBFD(n, bfdTransport(cfg, n.env.Host))
	n.mu.Lock()
	n.bindBFD(b)
	n.bfd = b
	n.mu.Unlock()
	if err := b.apply(bfdConfigs(cfg, keys)); err != nil {
		return fmt.Errorf("control: BFD: %w", err)
	}
	return nil
}

// bindBFD gives b what hangs on its sessions, by the configuration in force. n.mu is
// held.
func (n *Node) bindBFD(b *bfdService) {
	b.bind(n.cfg, n.peers, func(a netip.Addr) bool { return n.overlay != nil && n.overlay.Grants(a) })
}

// prepareBFD brings the sessions to what cfg wants, and back when the apply fails.
// Sessions that did not change, or only in their times, stay up.
func (n *Node) prepareBFD(p *plan, cfg *config.Node, keys *keyring) error {
	if n.bfd == nil { // the first apply: openBFD follows
		return nil
	}
	old := n.bfd.applied()
	if err := n.bfd.apply(bfdConfigs(cfg, keys)); err != nil {
		return config.Faults{{Path: "bfd", Problem: err.Error()}}
	}
	p.undo = append(p.undo, func() {
		if err := n.bfd.apply(old); err != nil {
			n.log.Error("BFD sessions not brought back", "err", err)
		}
	})
	return nil
}

// bfdWork does what failures of BFD lead to and may wait, and shortens next to when
// there is more. n.mu is held.
func (n *Node) bfdWork(next time.Duration) time.Duration {
	if n.bfd == nil {
		return next
	}
	now := n.now()
	at := n.bfd.work(now, func(l *bfdLink) {
		if l.peer == nil {
			return
		}
		// The peer may have begun anew and know our session no more.
		if err := n.wg.Rekey(l.peer.PublicKey()); err != nil {
			n.log.Debug("no handshake after a failure", "err", err)
		}
	}, func(l *bfdLink) {
		if !l.grace || !l.vtep {
			n.tunnelDown(now)
		}
	})
	if at != 0 {
		next = min(next, max(time.Duration(at-now), time.Millisecond))
	}
	return next
}

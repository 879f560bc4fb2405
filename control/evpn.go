package control

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
)

// bgpDepth is how many messages of BGP wait for the loop before the speaker does.
const bgpDepth = 64

// hearMost is how many routes are taken before the tables follow, some ms of work:
// WireGuard's timers and learning wait no longer.
const hearMost = 8192

// bgpMessage is one thing that a BGP session brought, in the order in which it
// did.
type bgpMessage struct {
	kind    bgpKind
	peer    evpn.Peer // ID is valid always, the rest iff bgpUp
	keep    bool      // iff bgpDown: a graceful restart began
	updates []evpn.Update
}

type bgpKind uint8

const (
	bgpUp bgpKind = iota + 1
	bgpDown
	bgpUpdates
	bgpEndOfRIB
	bgpLongLived
)

// openOverlay makes the node ready for EVPN.
func (n *Node) openOverlay() {
	n.overlay = overlay.New(overlayTables{n.learner, n}, n.now, n.log)
	n.overlay.SetNeighbours(proxyNeighbours{n})
	n.overlay.RouteBy(newOverlayRouter(n))
	n.learner.SetArbiter(n.overlay.Admit)
	n.bgpIn = make(chan bgpMessage, bgpDepth)
	n.bgp = newBGP(n.log)
}

// openBGP starts the sessions of cfg, the configuration in force. The node forwards
// already, and nobody knows it yet: the lock is not held, so that handshakes do not
// wait for BGP.
func (n *Node) openBGP(cfg *config.Node, keys *keyring) error {
	if n.bgp == nil {
		return nil
	}
	if err := n.bgp.start(bgpConfig(cfg, keys, n.linkLocals(cfg)), transport(cfg, n.env.Host), n.bgpIn); err != nil {
		return fmt.Errorf("control: BGP: %w", err)
	}
	return nil
}

// found returns the VTEPs that EVPN adds to the flood list of bd.
func (n *Node) found(bd *config.BridgeDomain) []netip.Addr {
	if n.overlay == nil || bd.EVPN == nil {
		return nil
	}
	return n.overlay.FloodList(bd.VNI)
}

// evpnConfig derives from cfg what EVPN works by; nil without BGP.
func evpnConfig(cfg *config.Node) (*evpn.Config, config.Faults) {
	if cfg.BGP == nil {
		return nil, nil
	}
	c := overlay.Configuration(cfg)
	if err := c.Validate(); err != nil {
		return nil, config.Faults{{Path: "bgp", Problem: err.Error()}}
	}
	return &c, nil
}

// prepareBGP brings the sessions to what cfg wants, and back when the apply fails.
// Sessions that did not change stay up.
func (n *Node) prepareBGP(p *plan, cfg *config.Node, keys *keyring) error {
	if n.bgp == nil || n.bgp.running() == nil { // the first apply: openBGP follows
		return nil
	}
	old := n.bgp.applied()
	if err := n.bgp.apply(bgpConfig(cfg, keys, n.linkLocals(cfg))); err != nil {
		return config.Faults{{Path: "bgp", Problem: err.Error()}}
	}
	p.undo = append(p.undo, func() {
		if err := n.bgp.apply(old); err != nil {
			n.log.Error("BGP sessions not brought back", "err", err)
		}
	})
	return nil
}

// configureOverlay makes what p has of EVPN what it works by. What follows from it
// is applied by the loop.
func (n *Node) configureOverlay(p *plan) {
	if n.overlay == nil || p.evpn == nil {
		return
	}
	names := make(map[table.VNI]string, len(n.cfg.BridgeDomains))
	for i := range n.cfg.BridgeDomains {
		names[n.cfg.BridgeDomains[i].VNI] = n.cfg.BridgeDomains[i].Name
	}
	n.setSegments()
	if err := n.overlay.Configure(*p.evpn, names); err != nil {
		n.log.Error("EVPN not configured", "err", fmt.Errorf("a checked configuration: %w", err))
	}
	n.overlay.Replay(p.replay...)
	for _, st := range n.vrfs {
		n.announcePrefixes(st)
	}
	n.poke()
}

// tunnelDown ends the sessions with VTEPs to which no way is left: liveness finds
// that out long before the hold timer. A route reflector that is no VTEP keeps its
// session's grace: what it told of others is as good as before. So does an unnumbered
// neighbour: it is a peer, and not known by a VTEP.
func (n *Node) tunnelDown(now int64) {
	if n.bgp == nil {
		return
	}
	routes := n.tables.Load().Routes
	for i := range n.cfg.BGP.Neighbors {
		p := &n.cfg.BGP.Neighbors[i]
		if !n.overlay.Grants(p.Address) {
			continue
		}
		if r, ok := routes.Lookup(p.Address); ok && !r.Usable(now) {
			n.log.Warn("bgp: no way is left to a peer", "peer", p.Name)
			n.bgp.lost(p.Name, false)
		}
	}
}

// hear takes m and what else waits, bounded so that a full table does not keep
// timers waiting.
func (n *Node) hear(m bgpMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for routes := 0; ; {
		routes += len(m.updates)
		switch m.kind {
		case bgpUp:
			n.overlay.PeerUp(m.peer)
		case bgpDown:
			n.overlay.PeerDown(m.peer.ID, m.keep)
		case bgpUpdates:
			n.overlay.Update(m.updates)
		case bgpLongLived:
			n.overlay.LongLived(m.peer.ID)
		case bgpEndOfRIB:
			n.overlay.EndOfRIB(m.peer.ID)
		}
		if routes >= hearMost {
			return
		}
		select {
		case m = <-n.bgpIn:
		default:
			return
		}
	}
}

// syncOverlay brings the tables in line with EVPN. It returns what is to be
// announced, and shortens next to when EVPN has something to do.
func (n *Node) syncOverlay(next time.Duration) (overlay.Outcome, time.Duration) {
	if n.overlay == nil {
		return overlay.Outcome{}, next
	}
	now := n.now()
	if at, ok := n.overlay.Next(); ok && at <= now {
		n.overlay.Tick()
	}
	out := n.overlay.Apply()
	n.guard(out.Members)
	if at, ok := n.overlay.Next(); ok {
		next = min(next, max(time.Duration(at-now), time.Millisecond))
	}
	return out, next
}

// announce hands what a batch led to on to BGP. Not under n.mu: only the loop
// calls it, so the order is that of the batches.
func (n *Node) announce(out overlay.Outcome) {
	if n.bgp != nil && (out.Interest != nil || len(out.Routes) > 0) {
		n.bgp.announce(out)
	}
}

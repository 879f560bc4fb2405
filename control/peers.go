package control

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/wireguard"
)

// anchor is how often the main port is heard of while data leaves by further
// source ports: less than the 2 s for which a peer believes in a silent port.
const anchor = time.Second

// peerState is a peer that lives across snapshots.
type peerState struct {
	cfg    config.Peer
	counts *fabric.PeerCounters
	wg     *wireguard.Peer // nil for a plain carrier
	entry  *fabric.Peer    // of the snapshot in force
}

// peerConfig returns what wireguard wants to know of p, whose link-local address is
// link, if it has one.
func (n *Node) peerConfig(cfg *config.Node, p *config.Peer, link netip.Addr, keys *keyring) wireguard.PeerConfig {
	c := wireguard.PeerConfig{
		PublicKey:  wireguard.PublicKey(p.PublicKey),
		ID:         handle(n.ids.peers, p.Name),
		PSK:        keys.psk[p.Name],
		Endpoint:   p.Endpoint,
		AllowedIPs: p.AllowedIPs,
		Keepalive:  p.Keepalive.D(),
		AlwaysOn:   p.Endpoint.IsValid(),
	}
	if link.IsValid() { // which no other peer may use
		c.AllowedIPs = append(slices.Clone(p.AllowedIPs), netip.PrefixFrom(link, link.BitLen()))
	}
	if len(p.PinnedEndpoints) > 0 {
		c.Pinned = wireguard.NewPinned(p.PinnedEndpoints, nil)
	}
	if l := p.Liveness; l != nil {
		c.Liveness = wireguard.Liveness{Interval: l.Interval.D(), Multiplier: l.Multiplier}
	}
	if sourcePorts(&cfg.Underlay, underlayQueues(&cfg.Underlay)) > 0 {
		c.Anchor = anchor
	}
	return c
}

// planPeers makes the peers of cfg and returns them with undo, which takes back
// what was added, and finish, which removes those that are gone. Peers that stay
// are updated by commit.
func (n *Node) planPeers(cfg *config.Node, keys *keyring) (peers map[string]*peerState, undo, commit, finish func(), err error) {
	peers = map[string]*peerState{}
	var added []wireguard.PublicKey
	var updates []wireguard.PeerConfig
	undo = func() {
		for _, k := range added {
			n.wg.RemovePeer(k)
		}
	}
	links := n.linkLocals(cfg).peers
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		st := &peerState{cfg: *p, counts: &fabric.PeerCounters{}}
		old := n.peers[p.Name]
		if old != nil {
			st.counts = old.counts
		}
		peers[p.Name] = st
		st.entry = &fabric.Peer{
			ID: handle(n.ids.peers, p.Name), Name: p.Name, Counts: st.counts,
			Sources: map[netip.Addr]struct{}{},
		}
		for _, v := range p.SourceVTEPs() {
			st.entry.Sources[v] = struct{}{}
		}
		st.entry.LinkLocal = links[p.Name]
		if p.Carrier == config.CarrierPlain {
			if old != nil && reflect.DeepEqual(old.cfg, *p) {
				st.entry = old.entry
				continue
			}
			st.entry.PlainAddr = p.Endpoint.Addr()
			st.entry.PlainEndpoint = underlay.NewEndpoint(netip.AddrPortFrom(p.Endpoint.Addr(), cfg.Underlay.VXLANPort))
			continue
		}
		c := n.peerConfig(cfg, p, st.entry.LinkLocal, keys)
		if old != nil && old.wg != nil && old.wg.PublicKey() == c.PublicKey {
			st.wg = old.wg
			updates = append(updates, c)
			if reflect.DeepEqual(old.cfg, *p) && old.entry.LinkLocal == st.entry.LinkLocal {
				// Routes and adjacencies that lead there stay as they are.
				st.entry = old.entry
				continue
			}
		} else {
			st.wg, err = n.wg.AddPeer(n.now(), c)
			if err != nil {
				undo()
				return nil, nil, nil, nil, config.Faults{{Path: fmt.Sprintf("peers[%d]", i), Problem: err.Error()}}
			}
			added = append(added, c.PublicKey)
		}
		st.entry.WireGuard = st.wg
	}
	commit = func() {
		for _, c := range updates {
			if err := n.wg.UpdatePeer(n.now(), c); err != nil {
				n.log.Error("peer not updated", "err", err)
			}
		}
	}
	before := n.peers
	finish = func() {
		stays := make(map[*wireguard.Peer]bool, len(peers))
		for _, st := range peers {
			stays[st.wg] = true
		}
		for _, old := range before {
			if old.wg != nil && !stays[old.wg] {
				n.wg.RemovePeer(old.wg.PublicKey())
			}
		}
	}
	return peers, undo, commit, finish, nil
}

// outerRoutes returns the routes of cfg. Those that are as in the snapshot in
// force are the same objects, and if all are, so is the table.
func (n *Node) outerRoutes(cfg *config.Node, peers map[string]*peerState) (*fib.Table[*fabric.Route], error) {
	want := routes(cfg, peers)
	var old *fib.Table[*fabric.Route]
	if s := n.tables.Load(); s != nil {
		old = s.Routes
	}
	kept := 0
	for pfx, r := range want {
		if o, ok := old.Get(pfx); ok && slices.Equal(o.Paths, r.Paths) {
			want[pfx] = o
			kept++
		}
	}
	if kept == len(want) && kept == old.Len() && kept > 0 {
		return old, nil
	}
	return fib.Of(want)
}

// routes turns allowed IPs into outer routes: peers with the same prefix share
// its flows, in the order of their names so that every restart spreads alike.
func routes(cfg *config.Node, peers map[string]*peerState) map[netip.Prefix]*fabric.Route {
	out := map[netip.Prefix]*fabric.Route{}
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		prefixes := slices.Clone(p.AllowedIPs)
		if p.Carrier == config.CarrierPlain {
			a := p.Endpoint.Addr()
			prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
		}
		for _, pfx := range prefixes {
			pfx = pfx.Masked()
			r := out[pfx]
			if r == nil {
				r = &fabric.Route{}
				out[pfx] = r
			}
			r.Paths = append(r.Paths, peers[p.Name].entry)
		}
	}
	for _, r := range out {
		slices.SortFunc(r.Paths, func(a, b *fabric.Peer) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		r.Paths = slices.Compact(r.Paths)
	}
	return out
}

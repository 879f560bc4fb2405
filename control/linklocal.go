package control

import (
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/wireguard"
)

// linkLocals are the addresses of unnumbered sessions, without zones.
type linkLocals struct {
	own   netip.Addr            // the node's; invalid without such sessions
	peers map[string]netip.Addr // by name, of those that are neighbours
}

// linkLocals returns the link-local addresses of cfg.
func (n *Node) linkLocals(cfg *config.Node) linkLocals {
	l := linkLocals{own: n.linkLocal(cfg)}
	if !l.own.IsValid() {
		return l
	}
	l.peers = make(map[string]netip.Addr, len(cfg.BGP.Neighbors))
	for i := range cfg.BGP.Neighbors {
		if name := cfg.BGP.Neighbors[i].Peer; name != "" {
			l.peers[name] = netip.Addr{}
		}
	}
	for i := range cfg.Peers {
		p := &cfg.Peers[i]
		if _, ok := l.peers[p.Name]; ok {
			l.peers[p.Name] = wireguard.PublicKey(p.PublicKey).LinkLocal()
		}
	}
	return l
}

// linkLocal returns the node's own link-local address; the zero Addr when no
// neighbour is unnumbered.
func (n *Node) linkLocal(cfg *config.Node) netip.Addr {
	if n.wg == nil || !cfg.BGP.Unnumbered() {
		return netip.Addr{}
	}
	return n.wg.PublicKey().LinkLocal()
}

// zoned returns a as the stack has it that runs the sessions of cfg: the kernel's
// with the device as zone, the node's own, which has one link, without.
func zoned(cfg *config.Node, a netip.Addr) netip.Addr {
	if cfg.Host.Mode == config.HostTUN && a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(cfg.Host.Device)
	}
	return a
}

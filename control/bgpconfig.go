package control

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/fabric/hoststack"
)

// transport returns how BGP reaches its neighbours: inside WireGuard by the node's
// own IP stack, or by the kernel's, which has the device ztos0; on the bare
// underlay by the kernel's.
func transport(cfg *config.Node, h fabric.Host) relay.Transport {
	if s, ok := h.(*hoststack.Netstack); ok && cfg.BGP.Transport == config.BGPFabric {
		return relay.Stack{IPStack: s}
	}
	return relay.Kernel{}
}

// bgpPeers returns how many BGP sessions are configured.
func bgpPeers(cfg *config.Node) int {
	if cfg.BGP == nil {
		return 0
	}
	return len(cfg.BGP.Neighbors)
}

// maxPassword is what TCP MD5 signatures take, bytes.
const maxPassword = 80

// loadBGP reads the passwords of BGP sessions.
func (k *keyring) loadBGP(g *config.BGP, fault func(string, error)) {
	if g == nil {
		return
	}
	for i := range g.Neighbors {
		x := &g.Neighbors[i]
		if x.PasswordFile == "" {
			continue
		}
		key, err := secret.LoadPassword(x.PasswordFile, maxPassword)
		if err != nil {
			fault(fmt.Sprintf("bgp.neighbors[%d].password-file", i), err)
			continue
		}
		k.bgp[x.Name] = key
	}
}

// bgpConfig returns what the speaker is to do; l has the link-local addresses.
func bgpConfig(cfg *config.Node, keys *keyring, l linkLocals) bgp.Config {
	g := cfg.BGP
	c := bgp.Config{ASN: g.ASN, RouterID: g.RouterID}
	inside := g.Transport == config.BGPFabric
	if !inside {
		// Two sockets: one for IPv6 hears no IPv4.
		for _, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			c.Listen = append(c.Listen, bgp.Listen{At: netip.AddrPortFrom(a, g.Port)})
		}
	} else {
		for _, a := range []netip.Addr{cfg.Self.Address, cfg.Self.Address6, l.own} {
			if a.IsValid() {
				c.Listen = append(c.Listen, bgp.Listen{At: netip.AddrPortFrom(zoned(cfg, a), g.Port)})
			}
		}
	}
	if g.Reflect.On() {
		// A leaf has lost what it knew; a spine forwards by its grants.
		c.Collect = min(g.RestartTime.D()/2, guardGrace)
	}
	for i := range g.Neighbors {
		x := &g.Neighbors[i]
		p := bgp.Peer{
			Name: x.Name, Addr: x.Address, Port: g.Port, ASN: x.ASN, Client: g.Client(x),
			AllowOwnAS: x.AllowOwnAS, Passive: x.Passive.On(),
			Families: []bgp.Family{{AFI: bgp.EVPN, MaxRoutes: x.MaxRoutes, WarnPercent: x.WarnPercent}},
			Guard:    relay.Guard{Password: keys.bgp[x.Name], Hops: x.TTLSecurity},
			Timers:   bgp.Timers{Hold: x.HoldTime.D()},
		}
		if x.RTConstraint.On() {
			p.Families = append(p.Families, bgp.Family{AFI: bgp.RTInterest})
		}
		if t := g.RestartTime.D(); t > 0 {
			p.Restart = bgp.Restart{Enabled: true, Time: t, LongLived: g.LongLivedTime.D()}
		}
		if inside { // else the kernel chooses
			p.Local = cfg.Self.Address
			if x.Address.Is6() && cfg.Self.Address6.IsValid() {
				p.Local = cfg.Self.Address6
			}
		}
		if x.Peer != "" {
			// EVPN's next hop is the VTEP as ever.
			p.Addr, p.Local, p.NextHop = zoned(cfg, l.peers[x.Peer]), zoned(cfg, l.own), cfg.Self.Address
		}
		c.Peers = append(c.Peers, p)
	}
	return c
}

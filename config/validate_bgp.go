package config

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2/mtu"
)

func (g *BGP) check(c checker) {
	if g.ASN == 0 || g.ASN == 1<<32-1 {
		c.at("asn").fault("give the node's AS number, 1 to 4294967294", "%d is no AS number", g.ASN)
	}
	switch {
	case !g.RouterID.IsValid():
		c.at("router-id").fault("give an IPv4 address that no other node has", "no router id, and `node.address` is not IPv4")
	case !g.RouterID.Is4() || g.RouterID.IsUnspecified() || g.RouterID.IsMulticast():
		c.at("router-id").fault("give an IPv4 address that no other node has", "%s is no router id", g.RouterID)
	}
	if t := g.RestartTime; t != nil && *t != 0 {
		checkSeconds(c.at("restart-time"), *t, "1s", "4095s")
	}
	if g.LongLivedTime != 0 {
		checkSeconds(c.at("long-lived-time"), g.LongLivedTime, "1s", "16777215s")
		if g.RestartTime != nil && *g.RestartTime == 0 {
			c.at("long-lived-time").fault("remove it, or give a restart-time", "graceful restart is off")
		}
	}
	if len(g.Neighbors) == 0 {
		c.at("neighbors").fault("list the spines, or the leaves, by peer or address", "no neighbour: nothing would be learned")
	}
	names, addrs, peers := map[string]int{}, map[netip.Addr]int{}, map[string]int{}
	for i := range g.Neighbors {
		x, at := &g.Neighbors[i], c.at("neighbors[%d]", i)
		x.check(at)
		if x.Name != "" {
			unique(at.at("name"), names, x.Name, i, "bgp.neighbors")
		}
		if x.Address.IsValid() {
			unique(at.at("address"), addrs, x.Address, i, "bgp.neighbors")
		}
		if x.Peer != "" {
			unique(at.at("peer"), peers, x.Peer, i, "bgp.neighbors")
		}
	}
}

func (x *Neighbor) check(c checker) {
	switch {
	case x.Peer == "":
		checkVTEP(c.at("address"), x.Address)
	case x.Address.IsValid():
		c.at("peer").fault("remove one of them", "the session goes to the peer's link-local address, or to %s", x.Address)
	}
	if x.Peer != "" || x.Address.IsValid() {
		checkName(c.at("name"), x.Name)
	}
	if x.ASN == 1<<32-1 {
		c.at("asn").fault("give the neighbour's AS number, 1 to 4294967294", "%d is no AS number", x.ASN)
	}
	checkGuard(c, x.PasswordFile, x.TTLSecurity)
	switch {
	case x.WarnPercent > 100:
		c.at("warn-percent").fault("use 1 to 100, or 0 for off", "%d is out of range", x.WarnPercent)
	case x.WarnPercent > 0 && x.MaxRoutes == 0:
		c.at("warn-percent").fault("remove it, or give max-routes", "there is no limit to warn of")
	}
	checkSeconds(c.at("hold-time"), x.HoldTime, "3s", "65535s")
	checkRange(c.at("allow-own-as"), int(x.AllowOwnAS), 0, 10)
}

// checkGuard looks at how a session is protected on the wire.
func checkGuard(c checker, passwordFile string, ttlSecurity uint8) {
	if passwordFile != "" {
		checkFile(c.at("password-file"), passwordFile)
	}
	if ttlSecurity == 255 {
		c.at("ttl-security").fault("use 1 to 254, or 0 for any distance", "255 is out of range")
	}
}

// checkSeconds wants whole seconds, lo <= d <= hi: BGP's messages hold no more.
func checkSeconds(c checker, d Duration, lo, hi string) {
	var second Duration = 1e9
	if d%second != 0 {
		c.fault("use whole seconds", "%s is not whole seconds", d)
		return
	}
	checkSpan(c, d, lo, hi, "")
}

// crossBGP looks at what BGP needs of the other sections.
func (n *Node) crossBGP(c checker) {
	g := n.BGP
	if g == nil {
		for i := range n.BridgeDomains {
			if n.BridgeDomains[i].EVPN != nil {
				c.at("bridge-domains[%d].evpn", i).fault("add a `bgp` section, or remove it", "there is no BGP to announce it")
			}
		}
		return
	}
	if g.Transport == BGPFabric && n.Host.Mode == HostNone {
		c.at("bgp.transport").fault("say host.mode: netstack or tun, or transport: underlay", "host.mode is none: no stack in the fabric that BGP could use")
	}
	for i := range g.Neighbors {
		n.crossNeighbor(c.at("bgp.neighbors[%d]", i), &g.Neighbors[i])
	}
	n.crossEVPN(c)
}

func (n *Node) crossNeighbor(c checker, x *Neighbor) {
	const fix = "say host.mode: tun, or bgp.transport: underlay, or remove it: inside WireGuard the neighbour is proven"
	if x.Address.IsValid() && n.Self.Has(x.Address) {
		c.at("address").fault("give the address of another node", "%s is this node's own address", x.Address)
	}
	if n.BGP.Transport != BGPFabric {
		if x.Peer != "" {
			c.at("peer").fault("give the neighbour's address, or say bgp.transport: fabric", "an unnumbered session runs inside WireGuard, and transport is underlay")
		}
		return
	}
	if n.Host.Mode == HostNetstack {
		if x.PasswordFile != "" {
			c.at("password-file").fault(fix, "host.mode netstack cannot sign TCP segments")
		}
		if x.TTLSecurity != 0 {
			c.at("ttl-security").fault(fix, "host.mode netstack has no TTL security")
		}
	}
	if x.Peer != "" {
		n.crossUnnumbered(c, x)
		return
	}
	if !x.Address.IsValid() || n.Self.Has(x.Address) {
		return
	}
	for i := range n.Peers {
		if n.Peers[i].Reaches(x.Address) {
			return
		}
	}
	c.at("address").fault("add it to a peer's allowed-ips, or say bgp.transport: underlay", "no peer reaches %s", x.Address)
}

// crossUnnumbered wants a peer with a key, from which the addresses follow.
func (n *Node) crossUnnumbered(c checker, x *Neighbor) {
	i := slices.IndexFunc(n.Peers, func(p Peer) bool { return p.Name == x.Peer })
	if i < 0 {
		c.at("peer").fault("add it to `peers`, or name one that is there", "there is no peer %q", x.Peer)
		return
	}
	if n.Peers[i].Carrier == CarrierPlain {
		c.at("peer").fault("give the neighbour's address, or say carrier: wireguard at the peer", "peer %s is plain: it has no key, and no session that BGP could run inside", x.Peer)
		return
	}
	const least = 1280 // RFC 8200 section 5
	if inside := n.Underlay.MTU - mtu.IPv6 - mtu.UDP - mtu.WireGuard; n.Underlay.MTU != 0 && inside < least {
		c.at("peer").fault("give the neighbour's IPv4 address, or a larger underlay.mtu", "%d bytes are left inside WireGuard, and IPv6 needs %d", inside, least)
	}
}

// crossEVPN wants what could not be derived, and distinguishers that differ.
func (n *Node) crossEVPN(c checker) {
	rds := map[RD]int{}
	for i := range n.BridgeDomains {
		b, at := &n.BridgeDomains[i], c.at("bridge-domains[%d].evpn", i)
		e := b.EVPN
		if e == nil || n.BGP.ASN == 0 || !n.BGP.RouterID.Is4() {
			continue // said already
		}
		if b.VNI == 0 || b.VNI > table.MaxVNI {
			continue // said already
		}
		if e.RD == (RD{}) {
			at.at("rd").fault("give one, as ROUTER-ID:NUMBER", "none follows from VNI %d, which is above 65535", b.VNI)
		} else {
			unique(at.at("rd"), rds, e.RD, i, "bridge-domains")
		}
		if len(e.Export) == 0 || len(e.Import) == 0 {
			at.fault("give export and import", "no route target follows from AS %d and VNI %d: two octets are left for the VNI", n.BGP.ASN, b.VNI)
		}
	}
}

package config

import (
	"net/netip"

	"github.com/ztos/ztos/l3/dhcp"
)

// check looks at r, the relay of gateway g, alone.
func (r *DHCPRelay) check(c checker, g *Gateway) {
	if len(r.Servers) == 0 {
		c.at("servers").fault("list the DHCP servers, or remove dhcp-relay", "a relay without servers")
	}
	seen := map[netip.Addr]bool{}
	count := map[bool]int{}
	for i, s := range r.Servers {
		at := c.at("servers[%d]", i)
		checkUnicast(at, s)
		if !s.IsValid() {
			continue
		}
		count[s.Is4()]++
		switch {
		case s.IsLoopback() || s.IsLinkLocalUnicast():
			at.fault("give an address that the VRF routes to", "%s is loopback or link-local", s)
		case seen[s]:
			at.fault("keep one", "%s twice", s)
		case g.owns(s):
			at.fault("give the server's address", "%s is the gateway's own", s)
		case !g.First(s.Is4()).IsValid():
			at.fault("give the gateway one, or remove the server", "the gateway has no %s address to name its subnet by", familyOf(s))
		case count[s.Is4()] == dhcp.MaxServers+1:
			at.fault("keep the nearest", "more than %d %s servers", dhcp.MaxServers, familyOf(s))
		}
		seen[s] = true
	}
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// checkLoopbacks looks at the loopbacks of v alone.
func (v *VRF) checkLoopbacks(c checker) {
	for i, a := range v.Loopbacks {
		at := c.at("loopbacks[%d]", i)
		checkVTEP(at, a)
		for j, o := range v.Loopbacks[:i] {
			if a.IsValid() && o.IsValid() && o.Is4() == a.Is4() {
				at.fault("keep one", "loopbacks[%d] is %s too", j, familyOf(a))
			}
		}
	}
}

// crossLoopbacks wants the loopbacks of v apart from what else has addresses.
func (n *Node) crossLoopbacks(c checker, v *VRF) {
	for i, a := range v.Loopbacks {
		at := c.at("loopbacks[%d]", i)
		if !a.IsValid() {
			continue
		}
		if b := n.subnetOf(v.Name, a); b != nil {
			at.fault("give an address of this leaf alone, outside of the subnets", "%s is in a subnet of bridge domain %s", a, b.Name)
		}
		for j := range v.Routes {
			if p := v.Routes[j].Prefix; p.IsSingleIP() && p.Addr() == a {
				at.fault("keep one", "routes[%d] leads to it", j)
			}
		}
	}
}

// crossRelays wants every DHCP server where the VRF of the relay can reach it, and
// the relay an address by which the server finds this leaf.
func (n *Node) crossRelays(c checker) {
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		if b.Gateway == nil || b.Gateway.DHCPRelay == nil {
			continue
		}
		v := n.vrf(b.VRF)
		if v == nil {
			continue // said elsewhere
		}
		for j, s := range b.Gateway.DHCPRelay.Servers {
			at := c.at("bridge-domains[%d].gateway.dhcp-relay", i).at("servers[%d]", j)
			if !s.IsValid() {
				continue
			}
			if !v.Loopback(s.Is4()).IsValid() {
				at.fault("give the VRF a loopback of its own on each leaf: the gateway is on all of them, so a reply to it could come to any",
					"VRF %s has no %s loopback to which the server could reply", v.Name, familyOf(s))
			}
			if !n.routes(v, s) {
				at.fault("add a route to it, or use a server in a subnet of the VRF", "VRF %s has no way to %s", v.Name, s)
			}
		}
	}
}

// routes reports whether v has, or may learn, a way to a.
func (n *Node) routes(v *VRF, a netip.Addr) bool {
	if n.BGP != nil && v.L3VNI != 0 || n.subnetOf(v.Name, a) != nil {
		return true
	}
	best, found := -1, false
	for i := range v.Routes {
		if r := &v.Routes[i]; r.Prefix.Contains(a) && r.Prefix.Bits() > best {
			best, found = r.Prefix.Bits(), !r.Blackhole
		}
	}
	return found
}

func (n *Node) vrf(name string) *VRF {
	for i := range n.VRFs {
		if n.VRFs[i].Name == name {
			return &n.VRFs[i]
		}
	}
	return nil
}

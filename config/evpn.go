package config

import (
	"net/netip"
	"slices"
)

// Remotes returns all VTEPs that may send frames of the VNI and be sent them:
// `vteps`, and with EVPN those that it may find. Each once.
func (b *BridgeDomain) Remotes() []netip.Addr {
	if b.EVPN == nil {
		return b.VTEPs
	}
	out := slices.Clone(b.VTEPs)
	seen := make(map[netip.Addr]bool, len(out))
	for _, v := range out {
		seen[v] = true
	}
	add := func(v netip.Addr) {
		if v.IsValid() && !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	for _, v := range b.EVPN.VTEPs {
		add(v)
	}
	if b.MACsec != nil {
		for i := range b.MACsec.Peers {
			add(b.MACsec.Peers[i].VTEP)
		}
	}
	return out
}

// check checks the section for itself.
func (e *EVPN) check(c checker) {
	for i, rt := range e.Import {
		if slices.Contains(e.Import[:i], rt) {
			c.at("import[%d]", i).fault("keep one", "%s twice", rt)
		}
	}
	for i, rt := range e.Export {
		if slices.Contains(e.Export[:i], rt) {
			c.at("export[%d]", i).fault("keep one", "%s twice", rt)
		}
	}
	checkAddrs(c.at("vteps"), e.VTEPs)
}

// crossAnnounced wants BGP where a spine's guard goes by what is announced.
func (n *Node) crossAnnounced(c checker) {
	for i := range n.VRFs {
		if n.VRFs[i].Announced && n.BGP == nil {
			c.at("vrfs[%d].announced", i).fault("add a `bgp` section, or remove it", "without BGP nothing is announced")
		}
	}
}

// Shared returns what all sessions of a node have in common, and what can't change
// while it runs: the section without the rest. nil for a node without BGP.
func (g *BGP) Shared() any {
	if g == nil {
		return nil
	}
	return [...]any{g.ASN, g.RouterID, g.Transport, g.Port}
}

// Client reports whether routes are reflected to and from x.
func (g *BGP) Client(x *Neighbor) bool { return g.Reflect.On() && x.ASN == g.ASN }

package config

import (
	"fmt"
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

// maxBindings is the most that a limit of bindings may be.
const maxBindings = 1 << 20

// checkSuppress checks what goes with suppress.
func (b *BridgeDomain) checkSuppress(c checker) {
	if !b.Suppress {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"suppress-unknown", b.SuppressUnknown != 0}, {"binding-limit", b.BindingLimit != 0},
			{"port-binding-limit", b.PortBindingLimit != 0},
		} {
			if f.set {
				c.at("%s", f.name).fault("add `suppress: true`, or remove it", "without suppress it says nothing")
			}
		}
		return
	}
	if b.BindingLimit > maxBindings {
		c.at("binding-limit").fault(fmt.Sprintf("use 1 to %d", maxBindings), "%d is out of range", b.BindingLimit)
	}
	if b.PortBindingLimit > maxBindings {
		c.at("port-binding-limit").fault(fmt.Sprintf("use 1 to %d", maxBindings), "%d is out of range", b.PortBindingLimit)
	}
}

// crossSuppress wants EVPN where a bridge domain answers for hosts of other leaves.
func (n *Node) crossSuppress(c checker) {
	for i := range n.BridgeDomains {
		if b := &n.BridgeDomains[i]; b.Suppress && b.EVPN == nil {
			c.at("bridge-domains[%d].suppress", i).fault("add a `bgp` section, or remove it", "without EVPN nobody says which hosts others have")
		}
	}
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
	return [...]any{g.ASN, g.RouterID, g.Transport, g.Port, g.Unnumbered()}
}

// Unnumbered reports whether a neighbour is a peer and not an address, so that the
// node has a link-local address. A nil g has none.
func (g *BGP) Unnumbered() bool {
	return g != nil && slices.ContainsFunc(g.Neighbors, func(x Neighbor) bool { return x.Peer != "" })
}

// Client reports whether routes are reflected to and from x.
func (g *BGP) Client(x *Neighbor) bool { return g.Reflect.On() && x.ASN == g.ASN }

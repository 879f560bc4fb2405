package config

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

func (v *VRF) check(c checker) {
	checkName(c.at("name"), v.Name)
	for i, vni := range v.VNIs {
		checkVNI(c.at("vnis[%d]", i), vni)
	}
	checkAddrs(c.at("vteps"), v.VTEPs)
	if v.L3VNI != 0 {
		checkVNI(c.at("l3vni"), v.L3VNI)
	}
	if v.RouterMAC.IsMulticast() {
		c.at("router-mac").fault("give a unicast MAC", "%s is a group address", v.RouterMAC)
	}
	v.checkLoopbacks(c)
	seen := map[netip.Prefix]bool{}
	for i := range v.Routes {
		r, at := &v.Routes[i], c.at("routes[%d]", i)
		checkPrefix(at.at("prefix"), r.Prefix)
		if r.Prefix.IsValid() && seen[r.Prefix] {
			at.at("prefix").fault("keep one, with all next hops", "%s twice", r.Prefix)
		}
		seen[r.Prefix] = true
		r.check(at)
	}
	if v.External != nil {
		v.External.check(c.at("external"))
	}
}

func (r *StaticRoute) check(c checker) {
	switch {
	case r.Blackhole && len(r.NextHops) > 0:
		c.at("blackhole").fault("keep one", "blackhole and next hops exclude each other")
	case !r.Blackhole && len(r.NextHops) == 0:
		c.at("next-hops").fault("say where packets go, or blackhole: true", "no next hop")
	}
	seen := map[NextHop]bool{}
	for i, h := range r.NextHops {
		if r.Advertise && h.VTEP.IsValid() {
			c.at("advertise").fault("announce it at that leaf, or remove it", "next hop %d is another leaf", i)
		}
		at := c.at("next-hops[%d]", i)
		switch {
		case !h.Address.IsValid() && !h.VTEP.IsValid():
			at.fault("say where packets go", "neither address nor vtep")
		case h.Address.IsValid() && h.VTEP.IsValid():
			at.fault("keep one", "both address and vtep")
		case h.Address.IsValid():
			checkUnicast(at.at("address"), h.Address)
			if r.Prefix.IsValid() && h.Address.Is4() != r.Prefix.Addr().Is4() {
				at.at("address").fault("use one of its family", "%s is of another family than %s", h.Address, r.Prefix)
			}
			if h.RouterMAC != 0 {
				at.at("router-mac").fault("remove it", "a router MAC belongs to a vtep")
			}
		case h.RouterMAC.IsMulticast():
			at.at("router-mac").fault("give a unicast MAC", "%s is a group address", h.RouterMAC)
		}
		if seen[h] {
			at.fault("keep one", "the same next hop twice")
		}
		seen[h] = true
	}
}

// checkGateway checks what b says of routing.
func (b *BridgeDomain) checkGateway(c checker) {
	g := b.Gateway
	switch {
	case g == nil && len(b.StaticNeighbours) > 0:
		c.at("static-neighbours").fault("add a gateway, or remove it", "only a gateway has neighbours")
	case g == nil && b.VRF != "":
		c.at("gateway").fault("add a gateway, or remove vrf", "a bridge domain in VRF %q without a gateway", b.VRF)
	case g != nil && b.VRF == "":
		c.at("vrf").fault("name a VRF of `vrfs`", "a gateway without a VRF")
	}
	if g == nil {
		return
	}
	at := c.at("gateway")
	if g.MAC.IsMulticast() {
		at.at("mac").fault("give a unicast MAC", "%s is a group address", g.MAC)
	}
	if len(g.Addresses) == 0 {
		at.at("addresses").fault("give the gateway's addresses as ADDRESS/BITS", "a gateway without addresses")
	}
	for i, p := range g.Addresses {
		a := at.at("addresses[%d]", i)
		checkUnicast(a, p.Addr())
		if p.IsValid() && (p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast()) {
			a.fault("give one that hosts route to; the gateway has a link-local address anyway", "%s is loopback or link-local", p.Addr())
		}
		if p.Addr().Is4() && p.Bits() < 31 && (p.Addr() == p.Masked().Addr() || p.Addr() == lastOf(p)) {
			a.fault("give a host's address", "%s is the network or broadcast address of its subnet", p.Addr())
		}
		for j, o := range g.Addresses[:i] {
			if o.Addr() == p.Addr() {
				a.fault("keep one", "%s is addresses[%d] too", p.Addr(), j)
			}
		}
	}
	if g.DHCPRelay != nil {
		g.DHCPRelay.check(at.at("dhcp-relay"), g)
	}
	for _, s := range b.StaticMACs {
		if s.MAC == g.MAC && g.MAC != 0 {
			at.at("mac").fault("give each its own", "%s is one of static-macs", g.MAC)
		}
	}
	seen := map[netip.Addr]bool{}
	for i, s := range b.StaticNeighbours {
		n := c.at("static-neighbours[%d]", i)
		switch {
		case !g.holds(s.Address):
			n.at("address").fault("use an address of the gateway's subnets", "%v is in no subnet of VNI %d", s.Address, b.VNI)
		case g.owns(s.Address):
			n.at("address").fault("remove it", "%s is the gateway's own", s.Address)
		case seen[s.Address]:
			n.at("address").fault("keep one", "%s twice", s.Address)
		}
		seen[s.Address] = true
		if s.MAC == 0 || s.MAC.IsMulticast() {
			n.at("mac").fault("give a unicast MAC", "%s is not one host's", s.MAC)
		}
	}
}

func (g *Gateway) holds(a netip.Addr) bool {
	for _, p := range g.Addresses {
		if p.Masked().Contains(a) {
			return true
		}
	}
	return false
}

func (g *Gateway) owns(a netip.Addr) bool {
	for _, p := range g.Addresses {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// lastOf returns the last address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

func (n *Node) crossVRFs(c checker, reach *Reach) {
	names := map[string]int{}
	vnis := map[table.VNI]string{}
	l3 := map[table.VNI]int{}
	for i := range n.VRFs {
		v, at := &n.VRFs[i], c.at("vrfs[%d]", i)
		unique(at.at("name"), names, v.Name, i, "vrfs")
		n.crossMembers(at, v, vnis, reach)
		n.crossLeafVRF(at, v, l3, i)
	}
	for i := range n.BridgeDomains {
		b, at := &n.BridgeDomains[i], c.at("bridge-domains[%d]", i)
		if _, ok := names[b.VRF]; !ok && b.VRF != "" {
			at.at("vrf").fault("add it to `vrfs`, or correct the name", "there is no VRF %q", b.VRF)
		}
	}
	n.crossSubnets(c)
	n.crossRelays(c)
}

// crossMembers checks what a spine reads of v.
func (n *Node) crossMembers(at checker, v *VRF, vnis map[table.VNI]string, reach *Reach) {
	const fix = "add spine to node.roles, or remove it"
	spine := n.Self.Is(Spine)
	switch {
	case !spine && len(v.VNIs) > 0:
		at.at("vnis").fault(fix, "only a spine has VNIs in a VRF; a leaf's bridge domains name it")
	case spine && len(v.VNIs) == 0:
		at.at("vnis").fault("list the VNIs of the VRF", "no VNI")
	}
	switch {
	case !spine && len(v.VTEPs) > 0:
		at.at("vteps").fault(fix, "only a spine has VTEPs in a VRF; a leaf's L3VNI has them")
	case spine && len(v.VTEPs) == 0:
		at.at("vteps").fault("list the VTEPs that are members", "no VTEP: nothing in this VRF would be forwarded")
	}
	for j, vni := range v.VNIs {
		if by, dup := vnis[vni]; dup {
			at.at("vnis[%d]", j).fault("a VNI belongs to one VRF", "VNI %d is in VRF %s already", vni, by)
		}
		vnis[vni] = v.Name
	}
	for j, a := range v.VTEPs {
		if a.IsValid() && !n.Self.Has(a) && !reach.Any(a) {
			at.at("vteps[%d]", j).fault("add it to the allowed-ips of the peer that leads there", "no peer leads to VTEP %s", a)
		}
	}
}

// crossLeafVRF checks what a leaf reads of v, number i; l3 maps L3VNIs to VRFs.
func (n *Node) crossLeafVRF(at checker, v *VRF, l3 map[table.VNI]int, i int) {
	if !n.Self.Is(Leaf) && len(n.Self.Roles) > 0 {
		if v.L3VNI != 0 || len(v.Routes) > 0 || len(v.Loopbacks) > 0 || v.External != nil {
			at.fault("remove l3vni, loopbacks, routes and external, or add leaf to node.roles", "only a leaf routes for tenants")
		}
		return
	}
	var l3vni *BridgeDomain
	if v.L3VNI != 0 {
		l3vni = n.bridgeDomain(v.L3VNI)
		c := at.at("l3vni")
		if first, dup := l3[v.L3VNI]; dup {
			c.fault("give each VRF its own", "VNI %d is the L3VNI of vrfs[%d] too", v.L3VNI, first)
		}
		l3[v.L3VNI] = i
		switch {
		case l3vni == nil:
			c.fault("add a bridge domain of that VNI with the VTEPs and their keys", "there is no bridge domain of VNI %d", v.L3VNI)
		case len(l3vni.Attach) > 0 || l3vni.Gateway != nil || l3vni.VRF != "" || len(l3vni.StaticMACs) > 0:
			c.fault("remove attach, vrf, gateway and static-macs there", "bridge domain %s is not an L3VNI: it has more than VTEPs and keys", l3vni.Name)
		}
	}
	n.crossLoopbacks(at, v)
	n.crossExternal(at.at("external"), v)
	for j := range v.Routes {
		if r := at.at("routes[%d].advertise", j); v.Routes[j].Advertise && n.BGP == nil {
			r.fault("add a `bgp` section, or remove it", "there is no BGP to announce it")
		} else if v.Routes[j].Advertise && v.L3VNI == 0 {
			r.fault("give the VRF an l3vni, or remove it", "VRF %s has no L3VNI by which others could send", v.Name)
		}
		for k, h := range v.Routes[j].NextHops {
			n.crossNextHop(at.at("routes[%d].next-hops", j).at("[%d]", k), v, l3vni, h)
		}
	}
}

func (n *Node) crossNextHop(c checker, v *VRF, l3vni *BridgeDomain, h NextHop) {
	switch {
	case h.VTEP.IsValid() && v.L3VNI == 0:
		c.at("vtep").fault("give the VRF an l3vni", "VRF %s has no L3VNI to send by", v.Name)
	case h.VTEP.IsValid() && l3vni != nil && !hasAddr(l3vni.Remotes(), h.VTEP):
		c.at("vtep").fault("add it to `vteps` of the L3VNI", "%s is not a VTEP of VNI %d", h.VTEP, v.L3VNI)
	case h.Address.IsValid() && !h.VTEP.IsValid():
		b := n.subnetOf(v.Name, h.Address)
		switch {
		case b == nil:
			c.at("address").fault("use a host of a bridge domain of the VRF", "%s is in no subnet of VRF %s", h.Address, v.Name)
		case b.Gateway.owns(h.Address):
			c.at("address").fault("use another host", "%s is the gateway's own address", h.Address)
		}
	}
}

func (n *Node) bridgeDomain(vni table.VNI) *BridgeDomain {
	for i := range n.BridgeDomains {
		if n.BridgeDomains[i].VNI == vni {
			return &n.BridgeDomains[i]
		}
	}
	return nil
}

// subnetOf returns the bridge domain of the VRF that has a in a subnet, nil when
// there is none.
func (n *Node) subnetOf(vrf string, a netip.Addr) *BridgeDomain {
	for i := range n.BridgeDomains {
		if b := &n.BridgeDomains[i]; b.VRF == vrf && b.Gateway != nil && b.Gateway.holds(a) {
			return b
		}
	}
	return nil
}

// crossSubnets wants the subnets of a VRF's bridge domains apart: what overlaps
// could not be routed.
func (n *Node) crossSubnets(c checker) {
	type subnet struct {
		prefix netip.Prefix
		at     string
		bd     int
	}
	seen := map[string][]subnet{}
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		if b.Gateway == nil || b.VRF == "" {
			continue
		}
		for j, p := range b.Gateway.Addresses {
			if !p.IsValid() {
				continue
			}
			for _, o := range seen[b.VRF] {
				if o.bd != i && o.prefix.Overlaps(p.Masked()) {
					c.at("bridge-domains[%d].gateway.addresses", i).at("[%d]", j).fault(
						"give each bridge domain of a VRF its own subnets", "%s overlaps %s of %s", p.Masked(), o.prefix, o.at)
				}
			}
			seen[b.VRF] = append(seen[b.VRF], subnet{p.Masked(), fmt.Sprintf("bridge-domains[%d]", i), i})
		}
	}
}

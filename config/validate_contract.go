package config

import (
	"fmt"
	"net/netip"
)

// maxLeaked is the most prefixes that a side of a contract has.
const maxLeaked = 64

func (k *Contract) check(c checker) {
	checkName(c.at("name"), k.Name)
	checkLeaked(c.at("prefixes"), k.Prefixes)
	checkLeaked(c.at("return"), k.Return)
	for i, p := range k.Prefixes {
		if o, ok := overlap(k.Return, p); ok {
			c.at("prefixes[%d]", i).fault("use addresses that only one of the VRFs has", "%s overlaps %s of return", p, o)
		}
	}
	for _, v6 := range []bool{false, true} {
		there, back := hasFamily(k.Prefixes, v6), hasFamily(k.Return, v6)
		family := "IPv4"
		if v6 {
			family = "IPv6"
		}
		switch {
		case len(k.Prefixes) == 0 || len(k.Return) == 0:
		case there && !back:
			c.at("return").fault("add those of the senders, which need a way back", "no %s prefix, and prefixes has some", family)
		case back && !there:
			c.at("prefixes").fault("add what they may reach, or remove those of return", "no %s prefix, and return has some", family)
		}
	}
}

// checkLeaked checks one side of a contract.
func checkLeaked(c checker, ps []netip.Prefix) {
	switch {
	case len(ps) == 0:
		c.fault("list the prefixes that may take part; both directions are said", "no prefix")
	case len(ps) > maxLeaked:
		c.fault("name wider prefixes, or fewer", "%d prefixes, and each packet is held against them: at most %d", len(ps), maxLeaked)
	}
	for i, p := range ps {
		at := c.at("[%d]", i)
		checkPrefix(at, p)
		if a := p.Addr(); p.IsValid() && (a.IsMulticast() || a.IsLoopback() || a.IsLinkLocalUnicast()) {
			at.fault("use unicast prefixes", "%s is not routed", p)
		}
		if o, ok := overlap(ps[:i], p); ok {
			at.fault("keep one", "%s overlaps %s", p, o)
		}
	}
}

// overlap returns the first of ps that overlaps p.
func overlap(ps []netip.Prefix, p netip.Prefix) (netip.Prefix, bool) {
	for _, o := range ps {
		if o.Overlaps(p) {
			return o, true
		}
	}
	return netip.Prefix{}, false
}

func hasFamily(ps []netip.Prefix, v6 bool) bool {
	for _, p := range ps {
		if p.IsValid() && p.Addr().Is6() == v6 {
			return true
		}
	}
	return false
}

// owned is a prefix that a VRF has, and why.
type owned struct {
	prefix netip.Prefix
	by     string
}

// crossContracts wants the VRFs of contracts to be routed here, and each imported
// prefix to be nothing that its VRF has already: which of two a packet meant, no
// table could tell.
func (n *Node) crossContracts(c checker) {
	if len(n.Contracts) == 0 {
		return
	}
	if !n.Self.Is(Leaf) {
		if len(n.Self.Roles) > 0 {
			c.at("contracts").fault("add leaf to node.roles, or remove it", "only a leaf routes for tenants")
		}
		return
	}
	vrfs := map[string]*VRF{}
	for i := range n.VRFs {
		vrfs[n.VRFs[i].Name] = &n.VRFs[i]
	}
	has := n.ownedPrefixes()
	names := map[string]int{}
	for i := range n.Contracts {
		k, at := &n.Contracts[i], c.at("contracts[%d]", i)
		unique(at.at("name"), names, k.Name, i, "contracts")
		from, to := crossParty(at.at("from"), vrfs, k.From), crossParty(at.at("to"), vrfs, k.To)
		if from == nil || to == nil {
			continue
		}
		if from == to {
			at.at("to").fault("name two; within a VRF no contract is needed", "VRF %s is both sides", k.To)
			continue
		}
		crossImport(at.at("prefixes"), k.Prefixes, k.From, has[k.From])
		crossImport(at.at("return"), k.Return, k.To, has[k.To])
		by := fmt.Sprintf("contract %s", k.Name)
		for _, p := range k.Prefixes {
			has[k.From] = append(has[k.From], owned{p, by})
		}
		for _, p := range k.Return {
			has[k.To] = append(has[k.To], owned{p, by})
		}
		switch {
		case k.Advertise && n.BGP == nil:
			at.at("advertise").fault("add a `bgp` section, or remove it", "there is no BGP to announce it")
		case k.Advertise && from.L3VNI == 0 && to.L3VNI == 0:
			at.at("advertise").fault("give a VRF an l3vni, or remove it", "neither VRF has an L3VNI by which others could send")
		}
	}
}

// crossParty returns the VRF that a contract names, nil when this leaf does not
// route for it.
func crossParty(c checker, vrfs map[string]*VRF, name string) *VRF {
	switch v := vrfs[name]; {
	case name == "":
		c.fault("name a VRF of `vrfs`", "no VRF")
	case v == nil:
		c.fault("add it to `vrfs`, or correct the name", "there is no VRF %q", name)
	case v.URPF == 0: // Defaults: it has neither gateway, nor L3VNI, nor routes, nor loopbacks
		c.fault("give it a bridge domain with a gateway, or an l3vni", "VRF %s routes nothing on this leaf", name)
	case v.URPF == URPFOff:
		c.fault("use urpf strict or loose in VRF "+name, "a contract goes by source addresses, which VRF %s does not check", name)
	default:
		return v
	}
	return nil
}

func crossImport(c checker, ps []netip.Prefix, vrf string, has []owned) {
	for i, p := range ps {
		if !p.IsValid() {
			continue
		}
		for _, o := range has {
			if o.prefix.Overlaps(p) {
				c.at("[%d]", i).fault("leak prefixes that the importing VRF does not have", "%s overlaps %s, which VRF %s has by %s", p, o.prefix, vrf, o.by)
				break
			}
		}
	}
}

// ownedPrefixes returns what each VRF has of its own: subnets of gateways, loopbacks,
// and static routes but default routes, which are for what nothing else leads to.
func (n *Node) ownedPrefixes() map[string][]owned {
	has := map[string][]owned{}
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		if b.Gateway == nil {
			continue
		}
		for _, p := range b.Gateway.Addresses {
			if p.IsValid() {
				has[b.VRF] = append(has[b.VRF], owned{p.Masked(), fmt.Sprintf("bridge-domains[%d].gateway", i)})
			}
		}
	}
	for i := range n.VRFs {
		for j, a := range n.VRFs[i].Loopbacks {
			if a.IsValid() {
				has[n.VRFs[i].Name] = append(has[n.VRFs[i].Name], owned{netip.PrefixFrom(a, a.BitLen()), fmt.Sprintf("vrfs[%d].loopbacks[%d]", i, j)})
			}
		}
		for j, r := range n.VRFs[i].Routes {
			if r.Prefix.IsValid() && r.Prefix.Bits() > 0 {
				has[n.VRFs[i].Name] = append(has[n.VRFs[i].Name], owned{r.Prefix, fmt.Sprintf("vrfs[%d].routes[%d]", i, j)})
			}
		}
	}
	return has
}

package config

import "github.com/ztos/ztos/bgp/evpn"

// maxDiscriminator is the greatest number that an identifier of type 3 holds.
const maxDiscriminator = 1<<24 - 1

// defaultPreference is that of RFC 9785 section 3.
const defaultPreference = 32767

// segmentDefaults is Defaults for the segments.
func (n *Node) segmentDefaults() {
	for i := range n.EthernetSegments {
		s := &n.EthernetSegments[i]
		set(&s.Mode, AllActive)
		set(&s.DF.Algorithm, DFModulo)
		if s.DF.Algorithm == DFPreference {
			setPtr(&s.DF.Preference, defaultPreference)
		}
	}
}

func (s *EthernetSegment) check(c checker) {
	checkName(c.at("name"), s.Name)
	if s.Port == "" {
		c.at("port").fault("name a port of `ports`", "no port")
	}
	s.checkIdentifier(c)
	if s.DF.Algorithm != DFPreference {
		const fix = "remove it, or say algorithm: preference"
		if s.DF.Preference != nil {
			c.at("df.preference").fault(fix, "%s does not go by preference", s.DF.Algorithm)
		}
		if s.DF.NonRevertive {
			c.at("df.non-revertive").fault(fix, "%s is revertive", s.DF.Algorithm)
		}
	}
}

// checkIdentifier wants one of the ways to say it.
func (s *EthernetSegment) checkIdentifier(c checker) {
	const one = "give one of esi, discriminator and lacp-key"
	ways := 0
	for _, set := range []bool{s.ESI != (ESI{}), s.Discriminator != 0, s.LACPKey != 0} {
		if set {
			ways++
		}
	}
	switch {
	case ways == 0:
		c.at("esi").fault(one, "no identifier")
	case ways > 1:
		c.at("esi").fault(one, "the identifier is said in %d ways", ways)
	case s.ESI != (ESI{}) && s.SystemMAC != 0:
		c.at("system-mac").fault("remove it, or esi", "the identifier is given, not derived")
	}
	if s.Discriminator > maxDiscriminator {
		c.at("discriminator").fault("use 1 to 16777215", "%d is out of range", s.Discriminator)
	}
	if s.ESI == (ESI{}) && ways > 0 && (s.SystemMAC == 0 || s.SystemMAC.IsMulticast()) {
		c.at("system-mac").fault("give the unicast MAC that all leaves of the segment say", "no MAC to derive the identifier from")
	}
}

// crossSegments looks at segments beside each other, ports and bridge domains.
func (n *Node) crossSegments(c checker) {
	if len(n.EthernetSegments) == 0 {
		return
	}
	if len(n.Self.Roles) > 0 && !n.Self.Is(Leaf) {
		c.at("ethernet-segments").fault("add leaf to node.roles, or remove it", "only a leaf has segments")
		return
	}
	if n.BGP == nil {
		c.at("ethernet-segments").fault("add a `bgp` section, or remove it", "without BGP no other leaf hears of a segment")
	}
	ports := map[string]bool{}
	for i := range n.Ports {
		ports[n.Ports[i].Name] = true
	}
	names, taken, esis := map[string]int{}, map[string]int{}, map[evpn.ESI]int{}
	for i := range n.EthernetSegments {
		s, at := &n.EthernetSegments[i], c.at("ethernet-segments[%d]", i)
		unique(at.at("name"), names, s.Name, i, "ethernet-segments")
		if s.Port != "" {
			unique(at.at("port"), taken, s.Port, i, "ethernet-segments")
			if !ports[s.Port] {
				at.at("port").fault("add it to `ports`, or correct the name", "there is no port %q", s.Port)
			}
		}
		if id := s.Identifier(); !id.IsZero() {
			unique(at.at("esi"), esis, id, i, "ethernet-segments")
		}
	}
	for i := range n.BridgeDomains {
		n.BridgeDomains[i].crossSegments(c.at("bridge-domains[%d]", i), taken)
	}
}

// crossSegments refuses in a bridge domain what does not go with a segment; ports
// are those that lead to one.
func (b *BridgeDomain) crossSegments(c checker, ports map[string]int) {
	seen := map[string]bool{}
	for i := range b.Attach {
		port := b.Attach[i].Port
		if _, ok := ports[port]; !ok {
			continue
		}
		if seen[port] {
			c.at("attach[%d]", i).fault("attach one VLAN of it, or put the others into bridge domains of their own",
				"port %s leads to an Ethernet segment, which has one circuit in a bridge domain", port)
		}
		seen[port] = true
	}
	if len(seen) == 0 {
		return
	}
	const fix = "remove it, or the port of the segment"
	if b.Gateway != nil {
		c.at("gateway").fault(fix, "a gateway in a bridge domain with an Ethernet segment is not supported")
	}
	if b.Suppress {
		c.at("suppress").fault(fix, "suppress in a bridge domain with an Ethernet segment is not supported")
	}
	for i, m := range b.StaticMACs {
		if seen[m.Port] {
			c.at("static-macs[%d]", i).fault("remove it: the MAC is learnt", "a static MAC behind an Ethernet segment, which may be at another leaf, is not supported")
		}
	}
	if len(b.VTEPs) > 0 {
		c.at("vteps").fault("remove it: the keys, or `evpn.vteps`, say whom EVPN may find", "a bridge domain with an Ethernet segment finds its VTEPs by EVPN alone")
	}
}

package config

import (
	"net/netip"
	"slices"
	"time"
)

// External is the BGP of a VRF with routers outside the fabric: what they announce is
// routed in the VRF, and what the VRF has is announced to them.
type External struct {
	// Autonomous system that the routers see, 1 to 4294967294. Default `bgp.asn`;
	// required without.
	ASN uint32 `yaml:"asn"`
	// BGP identifier, an IPv4 address. Default `bgp.router-id`, or `node.address` if
	// that is IPv4; otherwise required.
	RouterID netip.Addr `yaml:"router-id"`
	// The routers. Required.
	Neighbors []ExternalNeighbor `yaml:"neighbors"`
}

// ExternalNeighbor is a router outside the fabric: a host of a bridge domain with a
// gateway, which speaks BGP to the gateway's address.
type ExternalNeighbor struct {
	// Its address, in a subnet of a gateway of the VRF: IPv4 prefixes are spoken of
	// over IPv4, IPv6 ones over IPv6. It is attached to this leaf. Required.
	Address netip.Addr `yaml:"address"`
	// Its autonomous system, another than `asn`. Required.
	ASN uint32 `yaml:"asn"`
	// The prefixes that it may announce, and what lies in them, at most 64; 0.0.0.0/0
	// and ::/0 are all. Others are ignored and counted. Required.
	Accept []netip.Prefix `yaml:"accept"`
	// Waits for the router to connect. Default false.
	Passive Switch `yaml:"passive"`
	// Most routes that it may announce, 1 to 1000000; the session ends at more.
	// Default 10000.
	MaxRoutes uint32 `yaml:"max-routes"`
	// Time without a message after which it is dead, whole seconds, 3s to 65535s.
	// Default 90s.
	HoldTime Duration `yaml:"hold-time"`
	// File with a password that signs the TCP segments (MD5), mode 0600, 1 to 80
	// bytes. A change begins a new session. Optional.
	PasswordFile string `yaml:"password-file"`
	// Most hops to the router (GTSM), 1 to 254, of which a router in the subnet is 1;
	// packets from further are dropped. 0 is any. Default 0.
	TTLSecurity uint8 `yaml:"ttl-security"`
}

const (
	externalHold      = Duration(90 * time.Second) // as RFC 4271 section 10 suggests: not all routers are ours
	externalMaxRoutes = 10000
	externalMostMax   = 1_000_000
)

// defaults fills in what e leaves open; those of n.BGP are there.
func (e *External) defaults(n *Node) {
	if n.BGP != nil {
		set(&e.ASN, n.BGP.ASN)
		if n.BGP.RouterID.IsValid() {
			set(&e.RouterID, n.BGP.RouterID)
		}
	}
	if n.Self.Address.Is4() {
		set(&e.RouterID, n.Self.Address)
	}
	for i := range e.Neighbors {
		x := &e.Neighbors[i]
		set(&x.Passive, Off)
		set(&x.MaxRoutes, externalMaxRoutes)
		set(&x.HoldTime, externalHold)
	}
}

func (e *External) equal(o *External) bool {
	if e == nil || o == nil {
		return e == o
	}
	return e.ASN == o.ASN && e.RouterID == o.RouterID && slices.EqualFunc(e.Neighbors, o.Neighbors, func(a, b ExternalNeighbor) bool {
		return a.Address == b.Address && a.ASN == b.ASN && slices.Equal(a.Accept, b.Accept) && a.Passive == b.Passive &&
			a.MaxRoutes == b.MaxRoutes && a.HoldTime == b.HoldTime && a.PasswordFile == b.PasswordFile && a.TTLSecurity == b.TTLSecurity
	})
}

func (e *External) check(c checker) {
	if e.ASN == 0 || e.ASN == 1<<32-1 {
		c.at("asn").fault("give the AS number that the routers see, 1 to 4294967294", "%d is no AS number", e.ASN)
	}
	switch {
	case !e.RouterID.IsValid():
		c.at("router-id").fault("give an IPv4 address that no other router has", "no router id, and `node.address` is not IPv4")
	case !e.RouterID.Is4() || e.RouterID.IsUnspecified() || e.RouterID.IsMulticast():
		c.at("router-id").fault("give an IPv4 address that no other router has", "%s is no router id", e.RouterID)
	}
	if len(e.Neighbors) == 0 {
		c.at("neighbors").fault("list the routers, or remove external", "no neighbour")
	}
	addrs := map[netip.Addr]int{}
	for i := range e.Neighbors {
		x, at := &e.Neighbors[i], c.at("neighbors[%d]", i)
		x.check(at)
		switch {
		case x.ASN == 0 || x.ASN == 1<<32-1:
			at.at("asn").fault("give the router's AS number, 1 to 4294967294", "%d is no AS number", x.ASN)
		case x.ASN == e.ASN:
			at.at("asn").fault("give the router's own AS number: only eBGP is spoken here", "%d is this side's", x.ASN)
		}
		if x.Address.IsValid() {
			unique(at.at("address"), addrs, x.Address, i, "external.neighbors")
		}
	}
}

func (x *ExternalNeighbor) check(c checker) {
	checkUnicast(c.at("address"), x.Address)
	switch {
	case len(x.Accept) == 0:
		c.at("accept").fault("list the prefixes that it may announce; 0.0.0.0/0 or ::/0 is all", "no prefix: nothing would be taken")
	case len(x.Accept) > maxLeaked:
		c.at("accept").fault("name wider prefixes, or fewer", "%d prefixes, at most %d", len(x.Accept), maxLeaked)
	}
	for i, p := range x.Accept {
		at := c.at("accept[%d]", i)
		checkPrefix(at, p)
		if p.IsValid() && x.Address.IsValid() && p.Addr().Is4() != x.Address.Is4() {
			at.fault("use prefixes of its family: IPv4 over IPv4, IPv6 over IPv6", "%s is of another family than %s", p, x.Address)
		}
	}
	checkRange(c.at("max-routes"), int(x.MaxRoutes), 1, externalMostMax)
	checkSeconds(c.at("hold-time"), x.HoldTime, "3s", "65535s")
	checkGuard(c, x.PasswordFile, x.TTLSecurity)
}

// crossExternal wants every router in a subnet of the VRF, on a circuit of this leaf.
func (n *Node) crossExternal(c checker, v *VRF) {
	if v.External == nil {
		return
	}
	for i := range v.External.Neighbors {
		a := v.External.Neighbors[i].Address
		at := c.at("neighbors[%d].address", i)
		if !a.IsValid() {
			continue
		}
		b := n.subnetOf(v.Name, a)
		switch {
		case b == nil:
			at.fault("use a router in a subnet of a gateway of the VRF", "%s is in no subnet of VRF %s", a, v.Name)
		case b.Gateway.owns(a):
			at.fault("use the router's address", "%s is the gateway's own address", a)
		case len(b.Attach) == 0:
			at.fault("attach the router's port there", "bridge domain %s has no circuit on this leaf", b.Name)
		}
	}
}

// SpeakerFor returns the address of g to which the router at a speaks: that of the
// subnet that it is in; invalid when it is in none.
func (g *Gateway) SpeakerFor(a netip.Addr) netip.Prefix {
	for _, p := range g.Addresses {
		if p.Masked().Contains(a) {
			return p
		}
	}
	return netip.Prefix{}
}

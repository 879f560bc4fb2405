package config

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// VRF is a routing domain. On a spine it says which VNIs and which VTEPs belong
// together; on a leaf, how the bridge domains that name it are routed.
type VRF struct {
	// The VRF's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// Its VNIs, an L3VNI among them; each belongs to one VRF. spine only;
	// required there.
	VNIs []table.VNI `yaml:"vnis"`
	// The member VTEPs: only they may send to, and be sent, these VNIs. spine
	// only; required there.
	VTEPs []netip.Addr `yaml:"vteps"`
	// Further limits the members of each VNI to the VTEPs that announce it by BGP.
	// spine only. Default false.
	Announced bool `yaml:"announced"`
	// The VNI by which leaves send routed packets to each other. It is a bridge
	// domain of this node without circuits and gateway, which has the VTEPs and
	// the keys; with `bgp`, its `evpn` is how the VRF appears in EVPN. leaf only; 0
	// is none. Default 0.
	L3VNI table.VNI `yaml:"l3vni"`
	// The MAC by which other leaves send routed packets here. leaf only. Default:
	// made from `node.address`.
	RouterMAC table.MAC `yaml:"router-mac"`
	// Check of source addresses: strict (the route back leads to where the packet
	// came from), loose (there is one) or off. leaf only. Default strict.
	URPF URPF `yaml:"urpf"`
	// Addresses of this leaf alone in the VRF, one of a family: by which it speaks
	// to DHCP servers, and answers ping. With `bgp` they are announced; otherwise
	// other leaves need static routes to them. leaf only.
	Loopbacks []netip.Addr `yaml:"loopbacks"`
	// Static routes. leaf only.
	Routes []StaticRoute `yaml:"routes"`
	// BGP with routers outside the fabric. leaf only. Optional.
	External *External `yaml:"external"`
}

// StaticRoute is a route of a VRF.
type StaticRoute struct {
	// Destination. Required.
	Prefix netip.Prefix `yaml:"prefix"`
	// Where packets go; several share the flows (ECMP). Required unless
	// blackhole.
	NextHops []NextHop `yaml:"next-hops"`
	// Drops the packets. Default false.
	Blackhole bool `yaml:"blackhole"`
	// Announces the prefix to other leaves by EVPN, while a next hop is resolved.
	// Needs `bgp`, an l3vni, and next hops that are hosts. Default false.
	Advertise bool `yaml:"advertise"`
}

// NextHop is a host of a bridge domain, or another leaf.
type NextHop struct {
	// A host in a subnet of the VRF. One of address and vtep.
	Address netip.Addr `yaml:"address"`
	// Another leaf: a VTEP of the L3VNI. One of address and vtep.
	VTEP netip.Addr `yaml:"vtep"`
	// The leaf's router MAC. With vtep only. Default: made from vtep, as that
	// leaf does from its `node.address`.
	RouterMAC table.MAC `yaml:"router-mac"`
}

// Gateway is the anycast gateway of a bridge domain: the same on every leaf.
type Gateway struct {
	// Its MAC, unicast. Default: made from the VNI, 02:5a:54 and the VNI.
	MAC table.MAC `yaml:"mac"`
	// Its addresses with the lengths of their subnets, IPv4 and IPv6. Required.
	Addresses []netip.Prefix `yaml:"addresses"`
	// Sends IPv6 router advertisements: hosts find the gateway, and make
	// addresses in /64 prefixes. Default false.
	RouterAdvertisements bool `yaml:"router-advertisements"`
	// Sends hosts' DHCP messages to servers elsewhere in the VRF, and nowhere else.
	// Default: they are flooded in the bridge domain.
	DHCPRelay *DHCPRelay `yaml:"dhcp-relay"`
}

// StaticNeighbour says which MAC a host of a bridge domain has.
type StaticNeighbour struct {
	// The host's address, in a subnet of the gateway. Required.
	Address netip.Addr `yaml:"address"`
	// Its MAC, unicast. Required.
	MAC table.MAC `yaml:"mac"`
}

// URPF is how source addresses of routed packets are checked. The zero value means that the document does not say.
type URPF uint8

// The values of URPF.
const (
	URPFStrict URPF = iota + 1 // the route to the source leads to where the packet came from
	URPFLoose                  // the source has a route
	URPFOff                    // not checked
)

var urpfWords = []string{"strict", "loose", "off"}

// ParseURPF returns the URPF that s names.
func ParseURPF(s string) (URPF, error) {
	v, err := parseEnum("uRPF mode", s, urpfWords)
	return URPF(v), err
}

// String returns the word of the document, empty for the zero value.
func (v URPF) String() string { return enumString(uint8(v), urpfWords) }

// MarshalText returns String.
func (v URPF) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v by ParseURPF.
func (v *URPF) UnmarshalText(b []byte) (err error) {
	*v, err = ParseURPF(string(b))
	return err
}

// Equal reports whether v and o say the same.
func (v *VRF) Equal(o *VRF) bool {
	return v.Name == o.Name && slices.Equal(v.VNIs, o.VNIs) && slices.Equal(v.VTEPs, o.VTEPs) &&
		v.L3VNI == o.L3VNI && v.RouterMAC == o.RouterMAC && v.URPF == o.URPF && slices.Equal(v.Loopbacks, o.Loopbacks) &&
		slices.EqualFunc(v.Routes, o.Routes, func(a, b StaticRoute) bool {
			return a.Prefix == b.Prefix && a.Blackhole == b.Blackhole && a.Advertise == b.Advertise && slices.Equal(a.NextHops, b.NextHops)
		}) && v.External.equal(o.External)
}

func (g *Gateway) equal(o *Gateway) bool {
	if g == nil || o == nil {
		return g == o
	}
	return g.MAC == o.MAC && slices.Equal(g.Addresses, o.Addresses) && g.RouterAdvertisements == o.RouterAdvertisements &&
		g.DHCPRelay.equal(o.DHCPRelay)
}

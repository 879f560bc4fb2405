package config

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
)

// BGP is the `bgp` section: with it the node learns VTEPs, MACs and prefixes from
// its neighbours by EVPN.
type BGP struct {
	// Autonomous system of the node, 1 to 4294967294. Required.
	ASN uint32 `yaml:"asn"`
	// BGP identifier, an IPv4 address, unique in the fabric. Default:
	// `node.address` if that is IPv4; otherwise required.
	RouterID netip.Addr `yaml:"router-id"`
	// Reflects routes between neighbours of the same AS. Default true on a
	// spine, false elsewhere.
	Reflect Switch `yaml:"reflect"`
	// Where sessions run: fabric (inside WireGuard, from `node.address`, in the
	// stack that `host.mode` names) or underlay (the host's network, bare).
	// Default fabric.
	Transport BGPTransport `yaml:"transport"`
	// TCP port that the node listens on and dials. Default 179.
	Port uint16 `yaml:"port"`
	// Graceful restart: how long neighbours keep the node's routes while its BGP
	// is away, 1s to 4095s; 0 is off. Default 120s.
	RestartTime *Duration `yaml:"restart-time"`
	// How long they keep them after that, as the last choice (long-lived
	// graceful restart), whole seconds to 16777215s; 0 is off. Default 0.
	LongLivedTime Duration `yaml:"long-lived-time"`
	// The neighbours. Required.
	Neighbors []Neighbor `yaml:"neighbors"`
}

// Neighbor is a BGP session.
type Neighbor struct {
	// The neighbour's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Default:
	// the peer that is named or whose host route the address is, or the address
	// with hyphens.
	Name string `yaml:"name"`
	// Its address. Required, unless there is a peer.
	Address netip.Addr `yaml:"address"`
	// The WireGuard peer that it is, in place of an address: unnumbered, between
	// link-local addresses that follow from the two public keys, inside that
	// peer's WireGuard session alone. The first such neighbour, and none any
	// more, take a restart.
	Peer string `yaml:"peer"`
	// Its autonomous system. Default the node's own.
	ASN uint32 `yaml:"asn"`
	// Waits for the neighbour to connect. Default false.
	Passive Switch `yaml:"passive"`
	// File with a password that signs the TCP segments (MD5), mode 0600, 1 to 80
	// bytes. Needs host.mode tun, or transport underlay. Optional.
	PasswordFile string `yaml:"password-file"`
	// Most hops to the neighbour (GTSM), 1 to 254; packets from further are
	// dropped. 0 is any. Needs host.mode tun, or transport underlay. Default 0.
	TTLSecurity uint8 `yaml:"ttl-security"`
	// Most routes that the neighbour may announce; the session ends at more. 0
	// is no limit. Default 0.
	MaxRoutes uint32 `yaml:"max-routes"`
	// Percentage of max-routes that is reported, 1 to 100; 0 is off. Default 80
	// where there is a limit.
	WarnPercent uint8 `yaml:"warn-percent"`
	// Time without a message after which the neighbour is dead, whole seconds,
	// 3s to 65535s. Default 9s.
	HoldTime Duration `yaml:"hold-time"`
	// How often the node's own AS may stand in the path of a route, 0 to 10.
	// Default 0.
	AllowOwnAS uint8 `yaml:"allow-own-as"`
	// Tells the neighbour which route targets the node imports, so that it sends
	// no others (RFC 4684). Default true.
	RTConstraint Switch `yaml:"rt-constraint"`
}

// EVPN is how a bridge domain appears in EVPN, or, on an L3VNI, its VRF.
type EVPN struct {
	// Route distinguisher, "ASN:NUMBER" or "ADDRESS:NUMBER". Default
	// ROUTER-ID:VNI, for which the VNI must be at most 65535.
	RD RD `yaml:"rd"`
	// Route targets of what is announced. Default [ASN:VNI].
	Export []RT `yaml:"export"`
	// Route targets that are taken in; "*:NUMBER" is any administrator's.
	// Default [ASN:VNI].
	Import []ImportRT `yaml:"import"`
	// VTEPs that may announce the VNI and be sent its frames, beside `vteps` and
	// those of `macsec.peers`; what another announces is refused.
	VTEPs []netip.Addr `yaml:"vteps"`
}

// RD is a route distinguisher. The zero value means that the document does not
// say.
type RD struct{ evpn.RD }

// MarshalText returns its form in the document.
func (r RD) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets r.
func (r *RD) UnmarshalText(b []byte) (err error) {
	r.RD, err = evpn.ParseRD(string(b))
	return err
}

// RT is a route target.
type RT struct{ evpn.RT }

// MarshalText returns its form in the document.
func (t RT) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText sets t.
func (t *RT) UnmarshalText(b []byte) (err error) {
	t.RT, err = evpn.ParseRT(string(b))
	return err
}

// ImportRT is a route target, or those of all administrators with a number.
type ImportRT struct{ evpn.Import }

// MarshalText returns its form in the document.
func (i ImportRT) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText sets i.
func (i *ImportRT) UnmarshalText(b []byte) (err error) {
	i.Import, err = evpn.ParseImport(string(b))
	return err
}

// BGPTransport says where BGP sessions run. The zero value means that the
// document does not say.
type BGPTransport uint8

// The values of BGPTransport.
const (
	BGPFabric   BGPTransport = iota + 1 // inside WireGuard
	BGPUnderlay                         // the host's network
)

var bgpTransportWords = []string{"fabric", "underlay"}

// String returns the word of the document, empty for the zero value.
func (v BGPTransport) String() string { return enumString(uint8(v), bgpTransportWords) }

// MarshalText returns String.
func (v BGPTransport) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText sets v.
func (v *BGPTransport) UnmarshalText(b []byte) error {
	n, err := parseEnum("transport of BGP", string(b), bgpTransportWords)
	*v = BGPTransport(n)
	return err
}

const (
	bgpRestart = Duration(120 * time.Second)
	// bgpHold is short, as data centres have it: it is the last to notice.
	bgpHold = Duration(9 * time.Second)
)

// bgpDefaults fills in the section and the bridge domains' part in EVPN.
func (n *Node) bgpDefaults() {
	g := n.BGP
	if g == nil {
		return
	}
	if n.Self.Address.Is4() {
		set(&g.RouterID, n.Self.Address)
	}
	set(&g.Reflect, SwitchOf(n.Self.Is(Spine)))
	set(&g.Transport, BGPFabric)
	set(&g.Port, 179)
	setPtr(&g.RestartTime, bgpRestart)
	for i := range g.Neighbors {
		x := &g.Neighbors[i]
		set(&x.Name, x.Peer)
		set(&x.Name, n.neighborName(x.Address))
		set(&x.ASN, g.ASN)
		set(&x.Passive, Off)
		set(&x.HoldTime, bgpHold)
		set(&x.RTConstraint, On)
		if x.MaxRoutes > 0 {
			set(&x.WarnPercent, 80)
		}
	}
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		if b.EVPN == nil {
			b.EVPN = new(EVPN)
		}
		b.EVPN.derive(g, uint32(b.VNI))
	}
}

// derive fills in what can be derived from the VNI: RFC 7432 section 7.9 for the
// RD. What does not fit is left for validation to report.
func (e *EVPN) derive(g *BGP, vni uint32) {
	if g.RouterID.Is4() && vni <= 0xffff {
		set(&e.RD, RD{evpn.NewRD(g.RouterID, uint16(vni))})
	}
	rt, ok := evpn.NewRT(g.ASN, vni)
	if !ok || g.ASN == 0 {
		return
	}
	if len(e.Export) == 0 {
		e.Export = []RT{{rt}}
	}
	if len(e.Import) == 0 {
		e.Import = []ImportRT{{evpn.Exact(rt)}}
	}
}

// neighborName returns the name of the peer whose only address a is, or a name
// made of a.
func (n *Node) neighborName(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	for i := range n.Peers {
		for _, pfx := range n.Peers[i].AllowedIPs {
			if pfx.IsSingleIP() && pfx.Addr() == a {
				return n.Peers[i].Name
			}
		}
	}
	b := []byte(a.String())
	for i, c := range b {
		if c == '.' || c == ':' {
			b[i] = '-'
		}
	}
	if len(b) > 32 {
		return ""
	}
	return string(b)
}

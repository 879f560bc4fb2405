package config

import (
	"net/netip"
)

// Node is the whole document of one ztos-engine.
type Node struct {
	// Who the node is.
	Self Self `yaml:"node"`
	// Where the node's API listens.
	API API `yaml:"api"`
	// The UDP sockets that carry the tunnels.
	Underlay Underlay `yaml:"underlay"`
	// Who answers packets that are addressed to the node itself.
	Host Host `yaml:"host"`
	// The node's own WireGuard identity.
	WireGuard WireGuard `yaml:"wireguard"`
	// Underlay neighbours.
	Peers []Peer `yaml:"peers"`
	// Tenant ports; leaf only.
	Ports []Port `yaml:"ports"`
	// Ethernet segments: hosts with links to several leaves; leaf only, needs `bgp`.
	// Default: none.
	EthernetSegments []EthernetSegment `yaml:"ethernet-segments"`
	// Bridge domains, one per VNI; leaf only.
	BridgeDomains []BridgeDomain `yaml:"bridge-domains"`
	// Routing domains: which VNIs and which VTEPs belong together on a spine, how
	// tenants are routed on a leaf.
	VRFs []VRF `yaml:"vrfs"`
	// What hosts of one VRF may reach in another; leaf only. Default: nothing.
	Contracts []Contract `yaml:"contracts"`
	// BUM limits of bridge domains that have no `storm` of their own. Default:
	// unlimited.
	StormDefaults Storm `yaml:"storm-defaults"`
	// Sessions with route reflectors or other nodes. Default: none, and what the
	// document lists is all that the node knows.
	BGP *BGP `yaml:"bgp"`
	// Finds dead neighbours fast. Default: off.
	BFD *BFD `yaml:"bfd"`
}

// Self is the `node` section.
type Self struct {
	// The node's name: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// What the node does: leaf, spine, or both. Required.
	Roles []Role `yaml:"roles"`
	// The node's address in the fabric VRF: a leaf's VTEP, a spine's loopback.
	// IPv4 or IPv6. Required.
	Address netip.Addr `yaml:"address"`
	// A second, IPv6 VTEP address beside an IPv4 `address`. Optional.
	Address6 netip.Addr `yaml:"address6"`
	// Folder for what must survive a restart, as packet number high-water
	// marks. Mode 0700. Default /var/lib/ztos.
	StateDir string `yaml:"state-dir"`
}

// Is reports whether the node has role r.
func (s *Self) Is(r Role) bool {
	for _, have := range s.Roles {
		if have == r {
			return true
		}
	}
	return false
}

// Has reports whether a is one of the node's own addresses.
func (s *Self) Has(a netip.Addr) bool {
	return a.IsValid() && (a == s.Address || a == s.Address6)
}

// API is the `api` section.
type API struct {
	// Unix socket of the gRPC API, made with mode 0600. Default
	// /run/ztos/engine.sock.
	Socket string `yaml:"socket"`
	// Address and port of Prometheus metrics and pprof; must be loopback.
	// Default: off.
	Metrics netip.AddrPort `yaml:"metrics"`
}

// Underlay is the `underlay` section.
type Underlay struct {
	// Local address and UDP port of WireGuard. Default [::]:51820.
	Listen netip.AddrPort `yaml:"listen"`
	// Largest IP packet the underlay carries to every peer, bytes, 1280 to
	// 65535. Default 1500.
	MTU int `yaml:"mtu"`
	// Receive queues, each with a worker of its own, 1 to 64; a flow stays at
	// one. 0 is one for every two CPUs, at least 1 and at most 8. Default 0.
	Queues int `yaml:"queues"`
	// Further UDP source ports, over which flows spread so that the underlay's
	// ECMP and the peers' receive queues can tell them apart, 0 to 16. Default:
	// 4 for each receive queue, at most 16.
	SourcePorts *int `yaml:"source-ports"`
	// Send many datagrams by one call (UDP_SEGMENT) where the kernel can.
	// Default true.
	GSO Switch `yaml:"gso"`
	// Receive many datagrams by one call (UDP_GRO) where the kernel can.
	// Default true.
	GRO Switch `yaml:"gro"`
	// Devices by which WireGuard's datagrams leave and arrive as AF_XDP frames,
	// past the kernel's IP stack and its packet filter, up to 8. Where that does
	// not go with a device, and for what the kernel knows no next hop to there,
	// the UDP sockets go on; the log and `ztosctl show status` say why. Default:
	// none.
	AFXDP []string `yaml:"afxdp"`
	// UDP port of VXLAN. Default 4789.
	VXLANPort uint16 `yaml:"vxlan-port"`
	// Local address of the plain VXLAN socket. Required when a peer has
	// `carrier: plain`, otherwise refused.
	VXLANListen netip.Addr `yaml:"vxlan-listen"`
	// Outer UDP checksum of VXLAN: auto, zero or full. auto is zero over IPv4 and
	// full over IPv6 inside WireGuard, and full on a plain carrier, where zero
	// would cost GSO. Default auto.
	VXLANUDPChecksum UDPChecksum `yaml:"vxlan-udp-checksum"`
}

// Host is the `host` section.
type Host struct {
	// Who owns the node's address: netstack (inside the engine), tun (the
	// host's kernel) or none. Default netstack.
	Mode HostMode `yaml:"mode"`
	// Name of the TUN device; used when mode is tun. Default ztos0.
	Device string `yaml:"device"`
}

// WireGuard is the `wireguard` section.
type WireGuard struct {
	// File with the node's private key, mode 0600, base64 as `wg genkey`
	// prints. Required when a peer uses WireGuard.
	PrivateKeyFile string `yaml:"private-key-file"`
}

// Peer is an underlay neighbour.
type Peer struct {
	// The peer's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// How packets travel to it: wireguard, or plain (VXLAN straight on the
	// underlay). Default wireguard.
	Carrier Carrier `yaml:"carrier"`
	// The peer's public key, base64. Required for wireguard.
	PublicKey PublicKey `yaml:"public-key"`
	// File with a preshared key, mode 0600, base64. Optional; wireguard only.
	PresharedKeyFile string `yaml:"preshared-key-file"`
	// The peer's underlay address. wireguard: address and port; without it only
	// the peer can initiate. plain: the peer's VTEP address; a port is ignored.
	Endpoint netip.AddrPort `yaml:"endpoint"`
	// Where the peer may roam to; from elsewhere it is refused. Default:
	// anywhere. wireguard only.
	PinnedEndpoints []netip.Prefix `yaml:"pinned-endpoints"`
	// Outer addresses accepted from this peer and routed to it: longest prefix
	// first, equal prefixes of several peers share the flows (ECMP).
	AllowedIPs []netip.Prefix `yaml:"allowed-ips"`
	// Interval of WireGuard's persistent keepalive, 1s to 65535s; 0 is off.
	// Default 0. wireguard only.
	Keepalive Duration `yaml:"keepalive"`
	// Fast failure detection between ZTOS nodes. Default: off. wireguard only.
	Liveness *Liveness `yaml:"liveness"`
	// The VTEPs that this peer may use as outer source; spine only. Default:
	// those of `allowed-ips` that are host routes.
	VTEPs []netip.Addr `yaml:"vteps"`
}

// SourceVTEPs returns the outer sources that p may use on a spine: VTEPs, or the
// host routes among AllowedIPs when VTEPs is empty.
func (p *Peer) SourceVTEPs() []netip.Addr {
	if len(p.VTEPs) > 0 {
		return p.VTEPs
	}
	var out []netip.Addr
	for _, pfx := range p.AllowedIPs {
		if pfx.IsSingleIP() {
			out = append(out, pfx.Addr())
		}
	}
	return out
}

// Reaches reports whether p's allowed IPs, or the address of a plain peer, cover
// a.
func (p *Peer) Reaches(a netip.Addr) bool {
	if p.Carrier == CarrierPlain && p.Endpoint.Addr() == a {
		return true
	}
	for _, pfx := range p.AllowedIPs {
		if pfx.Contains(a) {
			return true
		}
	}
	return false
}

// Liveness is a peer's failure detection: down after Multiplier intervals in
// which nothing was heard.
type Liveness struct {
	// Time between two probes, 10ms to 60s. Default 300ms.
	Interval Duration `yaml:"interval"`
	// Probes lost before the peer is down, 2 to 255. Default 3.
	Multiplier int `yaml:"multiplier"`
}

// Port is a tenant port.
type Port struct {
	// The port's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// The driver: afpacket, tap, afxdp, or auto, which is afxdp where the
	// device's driver has zero copy and afpacket elsewhere. Required.
	Kind PortKind `yaml:"kind"`
	// What to do when AF_XDP does not go with the device: afpacket (and say why
	// in the log and in `ztosctl show ports`) or none. Kind afxdp only. Default
	// afpacket.
	Fallback Fallback `yaml:"fallback"`
	// Name of the netdev; a tap is created under it. Required.
	Device string `yaml:"device"`
	// Receive queues, each with a worker of its own, 1 to 64; a flow stays at
	// one. 0 is one for every two CPUs, at least 1 and at most 4, and 1
	// with afxdp, which takes at most as many as the device has. Default 0.
	Queues int `yaml:"queues"`
	// Lets the engine set the MTU of a device that is not its own; a tap is always the
	// engine's. Default false.
	Own bool `yaml:"own"`
	// Most MACs learned on the port, in all its bridge domains; frames from
	// further ones are forwarded and their MACs not learned. To drop them use a
	// bridge domain's limit. 0 is no limit. Default 0.
	MACLimit uint32 `yaml:"mac-limit"`
}

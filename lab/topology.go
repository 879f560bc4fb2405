package lab

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// Bounds of a topology. The lengths keep namespace names readable, and API
// sockets within the 107 bytes that a unix socket's path may have.
const (
	MaxName      = 16 // bytes of a lab's or node's name
	MaxNodes     = 64
	MaxLinks     = 256
	MaxTenants   = 64
	MaxProcesses = 16      // of one node
	MaxSize      = 1 << 20 // bytes of a topology file
)

// Topology is the whole document of one lab. Plain data: not safe for
// concurrent writing. Parse and Load return only valid ones.
type Topology struct {
	// The lab's name, which begins the name of every namespace: 1 to 16 of a-z,
	// 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// What the lab is for, for people.
	Description string `yaml:"description"`
	// What makes the nodes: netns. Default netns.
	Driver string `yaml:"driver"`
	// What all engine nodes share.
	Fabric Fabric `yaml:"fabric"`
	// The tenants, one VNI each.
	Tenants []Tenant `yaml:"tenants"`
	// The nodes, at least one.
	Nodes []Node `yaml:"nodes"`
	// Links between leaves, spines and Linux nodes.
	Links []Link `yaml:"links"`

	file   string // where it was read, for Status; may be empty
	source []byte // the document
}

// Fabric is the `fabric` section.
type Fabric struct {
	// Between engines: wireguard, or plain (leaf to leaf only, VXLAN straight
	// on the links). Default wireguard.
	Carrier config.Carrier `yaml:"carrier"`
	// A preshared key for every WireGuard link. Default true.
	PresharedKeys config.Switch `yaml:"preshared-keys"`
	// Family of the VTEPs: ipv4 or ipv6. Default ipv4.
	VTEPFamily Family `yaml:"vtep-family"`
	// Family of the WireGuard endpoints: ipv4 or ipv6. Default ipv4.
	EndpointFamily Family `yaml:"endpoint-family"`
	// WireGuard's persistent keepalive of every peer. Default 0, off.
	Keepalive config.Duration `yaml:"keepalive"`
	// Fast failure detection on every WireGuard link. Default: off.
	Liveness *config.Liveness `yaml:"liveness"`
	// BFD between engines that are linked; without neighbors, which are these.
	// wireguard only. Default: off.
	BFD *config.BFD `yaml:"bfd"`
	// Finds VTEPs and MACs by BGP EVPN, with spines as route reflectors, in place
	// of static VTEPs. wireguard only. Default false.
	EVPN bool `yaml:"evpn"`
	// BGP sessions between link-local addresses that follow from the WireGuard
	// keys, in place of the nodes' addresses. Needs evpn. Default false.
	Unnumbered bool `yaml:"unnumbered"`
	// Engine configuration that is laid over the generated one of every leaf
	// and spine: maps merge, all else replaces.
	Engine Overlay `yaml:"engine"`
}

// Tenant is one L2 segment: a VNI with its hosts and its protection.
type Tenant struct {
	// Unique: 1 to 16 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// VXLAN network identifier, unique. Required.
	VNI table.VNI `yaml:"vni"`
	// Tenant MTU, bytes of Ethernet payload, 576 to 65535. Default 1500.
	MTU int `yaml:"mtu"`
	// macsec, or none. Default macsec.
	Protection config.Protection `yaml:"protection"`
	// Cipher suite. Default gcm-aes-256.
	Cipher config.Cipher `yaml:"cipher"`
	// standard or hidden. Default standard.
	Mode config.MACsecMode `yaml:"mode"`
	// false is integrity only. Default true.
	Encrypt config.Switch `yaml:"encrypt"`
	// Confidentiality offset, 0, 30 or 50. Default 0.
	Offset int `yaml:"offset"`
	// Packet numbers by which a frame may be late. Default 1024.
	ReplayWindow *uint32 `yaml:"replay-window"`
	// SAs made ready for every channel, with AN 0 in use, 1 to 4. Default 2,
	// so that a rollover to AN 1 needs no new files.
	Keys int `yaml:"keys"`
	// VRF in which the segment's hosts are routed, with those of the other
	// segments that name it: a tenant with several subnets. Needs gateways, or
	// l3vni. Default: none, only bridged.
	VRF string `yaml:"vrf"`
	// The gateway's addresses with their prefix lengths, the same on every leaf.
	Gateways []netip.Prefix `yaml:"gateways"`
	// The gateway sends IPv6 router advertisements. Default false.
	RouterAdvertisements bool `yaml:"router-advertisements"`
	// The gateway's DHCP relay, on every leaf. The VRF needs loopbacks of each leaf's
	// own, by `engine` of the leaves. Default: none.
	DHCPRelay *config.DHCPRelay `yaml:"dhcp-relay"`
	// This is no segment but the L3VNI of the VRF: it has no hosts, and is on
	// every leaf where the VRF is. Default false.
	L3VNI bool `yaml:"l3vni"`
	// Leaves answer ARP and ND for hosts of other leaves; needs fabric.evpn.
	// Default false.
	Suppress bool `yaml:"suppress"`
}

// Kind is what a node is. The zero value means that the document does not say.
type Kind uint8

// The kinds of node.
const (
	Leaf  Kind = iota + 1 // runs an engine with tenant ports
	Spine                 // runs an engine that routes between leaves
	Host                  // a tenant's machine, with one interface
	Linux                 // a namespace for anything else
)

var kindWords = []string{"leaf", "spine", "host", "linux"}

// String returns the word of the document, empty for the zero value.
func (k Kind) String() string { return word(uint8(k), kindWords) }

// MarshalText returns String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText sets k from a word of the document.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := parseWord("kind of node", string(b), kindWords)
	*k = Kind(v)
	return err
}

// Engine reports whether nodes of the kind run ztos-engine.
func (k Kind) Engine() bool { return k == Leaf || k == Spine }

// Family is an address family. The zero value means that the document does not
// say.
type Family uint8

// The families.
const (
	IPv4 Family = iota + 1
	IPv6
)

var familyWords = []string{"ipv4", "ipv6"}

// String returns the word of the document, empty for the zero value.
func (f Family) String() string { return word(uint8(f), familyWords) }

// MarshalText returns String.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText sets f from a word of the document.
func (f *Family) UnmarshalText(b []byte) error {
	v, err := parseWord("family", string(b), familyWords)
	*f = Family(v)
	return err
}

// of reports whether a is of the family.
func (f Family) of(a netip.Addr) bool { return a.IsValid() && a.Is6() == (f == IPv6) }

// word returns the v-th word, counted from 1.
func word(v uint8, words []string) string {
	if v == 0 || int(v) > len(words) {
		return ""
	}
	return words[v-1]
}

// parseWord is the reverse of word.
func parseWord(what, s string, words []string) (uint8, error) {
	if i := slices.Index(words, s); i >= 0 {
		return uint8(i + 1), nil
	}
	return 0, fmt.Errorf("%q is not a %s: want %s", s, what, strings.Join(words, ", "))
}

// Overlay is a piece of engine configuration as the document has it.
type Overlay map[string]any

// Ref names an interface of a node: NODE:INTERFACE.
type Ref struct {
	Node string
	Dev  string // 1 to 15 bytes
}

// String returns NODE:INTERFACE.
func (r Ref) String() string { return r.Node + ":" + r.Dev }

// MarshalText returns String.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText sets r from NODE:INTERFACE.
func (r *Ref) UnmarshalText(b []byte) error {
	node, dev, ok := strings.Cut(string(b), ":")
	if !ok || node == "" || dev == "" {
		return fmt.Errorf("%q is not an interface: want NODE:INTERFACE", b)
	}
	*r = Ref{node, dev}
	return nil
}

// Node is one namespace.
type Node struct {
	// Unique: 1 to 16 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// leaf, spine, host or linux. Required.
	Kind Kind `yaml:"kind"`
	// Address in the fabric VRF: a leaf's VTEP. leaf and spine; required there.
	Address netip.Addr `yaml:"address"`
	// A second one, IPv6. leaf and spine; optional.
	Address6 netip.Addr `yaml:"address6"`
	// The tenant interface. host; required there.
	Host *Attachment `yaml:"host"`
	// Lets the kernel route between the node's interfaces. linux only.
	Forward bool `yaml:"forward"`
	// Routes beside those of the interfaces. host and linux.
	Routes []Route `yaml:"routes"`
	// Commands run in the node once its interfaces are up, in order, as lists
	// of words. host and linux.
	Setup [][]string `yaml:"setup"`
	// Processes that live as long as the lab.
	Processes []Process `yaml:"processes"`
	// Engine configuration laid over the generated one and the fabric's. leaf
	// and spine.
	Engine Overlay `yaml:"engine"`
}

// Attachment is how a host hangs on a leaf (or on a Linux node). The host's
// interface is always eth0, also in a VLAN.
type Attachment struct {
	// The tenant. Required on a leaf, otherwise refused.
	Tenant string `yaml:"tenant"`
	// The far end of the cable: NODE:INTERFACE. Required.
	Port Ref `yaml:"port"`
	// 802.1Q VLAN on the cable, 1 to 4094; 0 is untagged. Default 0.
	VLAN uint16 `yaml:"vlan"`
	// The host's MAC, unicast. Default: the kernel chooses.
	MAC table.MAC `yaml:"mac"`
	// The host's addresses with their prefix lengths.
	Addresses []netip.Prefix `yaml:"addresses"`
	// Default gateways, one of a family.
	Gateways []netip.Addr `yaml:"gateways"`
	// MTU, bytes. Default: the tenant's, or 1500.
	MTU int `yaml:"mtu"`
	// Checksum, TSO, GSO and GRO offloads of both ends. Default true.
	Offloads config.Switch `yaml:"offloads"`
}

// Route is a static route of the kernel.
type Route struct {
	To  netip.Prefix `yaml:"to"`  // destination; required
	Via netip.Addr   `yaml:"via"` // next hop on a connected subnet; required
}

// Process is a program that runs in a node.
type Process struct {
	// Unique in the node: 1 to 16 of a-z, 0-9 and hyphen, not `engine`. Required.
	Name string `yaml:"name"`
	// Program and arguments; no shell. Required.
	Command []string `yaml:"command"`
}

// Link is a veth pair of the underlay.
type Link struct {
	// Its two ends.
	Ends []End `yaml:"ends"`
	// MTU, bytes, 1280 to 65535. Default 1500.
	MTU int `yaml:"mtu"`
	// Offloads of both ends. Default true.
	Offloads config.Switch `yaml:"offloads"`
}

// End is one end of a Link.
type End struct {
	// NODE:INTERFACE. Required.
	At Ref `yaml:"at"`
	// Addresses with their prefix lengths.
	Addresses []netip.Prefix `yaml:"addresses"`
}

// Load reads and parses the topology file at path. Its error is the one of
// os.ReadFile, or config.Faults with all that is wrong.
func Load(path string) (*Topology, error) {
	data, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(data, path)
}

// ReadFile reads a topology or extension file, at most MaxSize bytes.
func ReadFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if st.Size() > MaxSize {
		return nil, fmt.Errorf("lab: %s: %d bytes, more than %d", path, st.Size(), MaxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return data, nil
}

// Node returns the node of that name.
func (t *Topology) Node(name string) (*Node, bool) {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i], true
		}
	}
	return nil, false
}

// Tenant returns the tenant of that name.
func (t *Topology) Tenant(name string) (*Tenant, bool) {
	for i := range t.Tenants {
		if t.Tenants[i].Name == name {
			return &t.Tenants[i], true
		}
	}
	return nil, false
}

// Hosts returns the hosts of a tenant, in the document's order.
func (t *Topology) Hosts(tenant string) []*Node {
	var out []*Node
	for i := range t.Nodes {
		if h := t.Nodes[i].Host; h != nil && h.Tenant == tenant {
			out = append(out, &t.Nodes[i])
		}
	}
	return out
}

// defaults fills in what the document does not say.
func (t *Topology) defaults() {
	set(&t.Driver, "netns")
	f := &t.Fabric
	set(&f.Carrier, config.CarrierWireGuard)
	set(&f.PresharedKeys, config.On)
	set(&f.VTEPFamily, IPv4)
	set(&f.EndpointFamily, IPv4)
	for i := range t.Tenants {
		n := &t.Tenants[i]
		set(&n.MTU, 1500)
		set(&n.Protection, config.ProtectMACsec)
		set(&n.Cipher, config.GCMAES256)
		set(&n.Mode, config.ModeStandard)
		set(&n.Encrypt, config.On)
		set(&n.Keys, 2)
	}
	for i := range t.Nodes {
		if h := t.Nodes[i].Host; h != nil {
			if n, ok := t.Tenant(h.Tenant); ok {
				set(&h.MTU, n.MTU)
			}
			set(&h.MTU, 1500)
			set(&h.Offloads, config.On)
		}
	}
	for i := range t.Links {
		set(&t.Links[i].MTU, 1500)
		set(&t.Links[i].Offloads, config.On)
	}
}

// set puts v into *p when *p is the zero value.
func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

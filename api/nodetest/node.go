package nodetest

import (
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// Node is a node without a forwarding path. Make it with New.
type Node struct {
	Tap trace.Tap // what Trace and Capture watch; tests are its worker

	mu    sync.Mutex
	cfg   *config.Node
	file  string
	gen   uint64
	fdb   []status.MAC
	secys []status.SecY
	drops []status.Drop

	quarantine []status.Duplicate
	breached   bool
}

// Epoch is when the node's clock says it started.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// document is the configuration that New applies.
const document = `
node: {name: leaf1, roles: [leaf], address: 10.255.0.1, address6: "fd00:255::1"}
wireguard: {private-key-file: /etc/ztos/wg.key}
peers:
- {name: spine1, public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, endpoint: 192.0.2.1:51820, allowed-ips: [10.255.0.0/24], liveness: {}}
- {name: spine2, public-key: ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=, allowed-ips: [10.255.0.0/24]}
ports:
- {name: h1, kind: afxdp, device: eth1}
- {name: t1, kind: tap, device: tap1}
bridge-domains:
- vni: 10100
  name: red
  attach: [{port: h1}, {port: t1, vlan: 100}]
  vteps: [10.255.0.2]
  macsec:
    cipher: gcm-aes-256
    tx: {sci: "0a00000000010001", sas: [{an: 0, key-file: /etc/ztos/red.leaf1.0.sak}]}
    peers:
    - {vtep: 10.255.0.2, sci: "0a00000000020001", sas: [{an: 0, key-file: /etc/ztos/red.leaf2.0.sak}]}
- vni: 10200
  name: blue
  attach: [{port: t1, vlan: 200, inner-vlan: 5}]
  protection: none
`

// New returns a node with two ports, two peers, two bridge domains and some
// traffic behind it.
func New() *Node {
	n := &Node{file: "/etc/ztos/engine.yaml", quarantine: duplicates()}
	if _, err := n.Apply([]byte(document), false); err != nil {
		panic(err)
	}
	n.fdb = []status.MAC{
		{VNI: 10100, MAC: 0x020000000001, Port: "h1", Age: config.Duration(3 * time.Second)},
		{VNI: 10100, MAC: 0x020000000002, Port: "t1", VLAN: 100, Age: config.Duration(61 * time.Second)},
		{VNI: 10100, MAC: 0x020000000003, VTEP: netip.MustParseAddr("10.255.0.2"), Age: config.Duration(1500 * time.Millisecond)},
		{VNI: 10200, MAC: 0x020000000001, Port: "t1", VLAN: 200, InnerVLAN: 5, Static: true},
	}
	n.drops = []status.Drop{
		{Worker: "leaf-in h1.0", Reason: counter.VLANNotAllowed, Count: 12},
		{Worker: "underlay.0", Reason: counter.MACsecNotValid, Count: 3},
		{Worker: "underlay.1", Reason: counter.MACsecNotValid, Count: 4},
	}
	n.secys = []status.SecY{{
		VNI: 10100, Name: "red", Cipher: config.GCMAES256, Mode: config.ModeStandard, Encrypt: true,
		ReplayWindow: 1024, Overhead: 32, TxSCI: config.SCI{0x0a, 0, 0, 0, 0, 1, 0, 1}, TxUsable: true,
		TxSAs: []status.TxSA{{AN: 0, InUse: true, Fingerprint: "5f3a9c01d2e4b687", NextPN: 1042, GrantedPN: 4194305, OutPkts: 1041}},
		RxSCs: []status.RxSC{{
			VTEP: netip.MustParseAddr("10.255.0.2"), SCI: config.SCI{0x0a, 0, 0, 0, 0, 2, 0, 1},
			SAs:      []status.RxSA{{Fingerprint: "77aa10c2be94d03f", NextPN: 990, LowestPN: 1, Counters: []status.Count{{Name: "InPktsOK", Value: 982}}}},
			Counters: []status.Count{{Name: "InPktsOK", Value: 982}, {Name: "InPktsLate", Value: 0}, {Name: "InPktsNotValid", Value: 7}},
		}},
		Counters: []status.Count{{Name: "OutPktsEncrypted", Value: 1041}, {Name: "InPktsNoTag", Value: 0}, {Name: "InPktsBadTag", Value: 0}},
	}}
	return n
}

// Status implements server.Backend.
func (n *Node) Status() status.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &n.cfg.Self
	return status.Node{
		Name: s.Name, Roles: s.Roles, Address: s.Address, Address6: s.Address6, Version: "1.2.3-test",
		Uptime: config.Duration(90 * time.Minute), Generation: n.gen, ConfigAge: config.Duration(5 * time.Minute),
		ConfigFile: n.file, GSO: true, GRO: true,
		Devices: []status.Device{
			{Name: "eth1", Driver: "afxdp", Detail: "driver mlx5_core, native, zero copy", Hops: 2},
			{Name: "eth2", Driver: "udp", Detail: "driver veth", Note: "UDP sockets instead of AF_XDP: the MTU is above 3818, the most that one AF_XDP buffer holds"},
		},
		Workers: []status.Worker{{Name: "leaf-in h1.0"}, {Name: "underlay.0"}, {Name: "underlay.1", Faults: 1}},
	}
}

// Ports implements server.Backend.
func (n *Node) Ports() []status.Port {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.Port
	for i, p := range n.cfg.Ports {
		s := status.Port{
			Name: p.Name, Kind: p.Kind, Device: p.Device, Present: true, Up: true, MTU: 1358, Queues: max(p.Queues, 1),
			MAC: 0x02aa00000000 + table.MAC(i), Owned: p.Kind == config.TAP, MACs: 1, Detail: "virtio-net header, TSO",
			RxFrames: 1000, RxBytes: 1400000, TxFrames: 900, TxBytes: 90000,
		}
		s.Driver = p.Kind.String()
		if p.Kind == config.AFXDP {
			s.Driver, s.Note = "afpacket", "AF_PACKET instead of AF_XDP: the MTU is above 3818, the most that one AF_XDP buffer holds"
		}
		if p.Kind == config.TAP {
			s.Up, s.Detail, s.TxRefused = false, "no carrier", 2
		}
		for _, b := range n.cfg.BridgeDomains {
			for _, a := range b.Attach {
				if a.Port == p.Name {
					s.Circuits = append(s.Circuits, status.Circuit{VNI: b.VNI, VLAN: a.VLAN, InnerVLAN: a.InnerVLAN, All: a.All})
				}
			}
		}
		out = append(out, s)
	}
	return out
}

// Peers implements server.Backend.
func (n *Node) Peers() []status.Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.Peer
	for i := range n.cfg.Peers {
		p := &n.cfg.Peers[i]
		s := status.Peer{Name: p.Name, Carrier: p.Carrier, PublicKey: p.PublicKey, Endpoint: p.Endpoint, AllowedIPs: p.AllowedIPs}
		if i == 0 {
			s.Liveness, s.HasSession, s.HasHandshake = status.LivenessUp, true, true
			s.SessionAge, s.HandshakeAge = config.Duration(42*time.Second), config.Duration(42*time.Second)
			s.RxPackets, s.RxBytes, s.TxPackets, s.TxBytes = 985, 1379000, 1042, 1458800
		}
		out = append(out, s)
	}
	return out
}

// SecYs implements server.Backend.
func (n *Node) SecYs() []status.SecY {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := slices.Clone(n.secys)
	for i := range out {
		out[i].TxSAs = slices.Clone(out[i].TxSAs)
		out[i].RxSCs = slices.Clone(out[i].RxSCs)
	}
	return out
}

// MTUs implements server.Backend.
func (n *Node) MTUs() []status.MTU {
	return []status.MTU{
		{VNI: 10100, Name: "red", UnderlayMTU: 1500, TenantMTU: 1358, Layers: []status.Layer{
			{Name: "wireguard", Bytes: 60}, {Name: "vxlan", Bytes: 36}, {Name: "macsec", Bytes: 32}, {Name: "ethernet", Bytes: 14}}},
		{VNI: 10200, Name: "blue", UnderlayMTU: 1500, TenantMTU: 1300, Cap: 1300, Layers: []status.Layer{
			{Name: "wireguard", Bytes: 60}, {Name: "vxlan", Bytes: 36}, {Name: "ethernet", Bytes: 14}}},
	}
}

// SetFDB replaces the FDB.
func (n *Node) SetFDB(es []status.MAC) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fdb = es
}

// FDB implements server.Backend.
func (n *Node) FDB(f status.MACFilter) iter.Seq[status.MAC] {
	n.mu.Lock()
	es := slices.Clone(n.fdb)
	n.mu.Unlock()
	return func(yield func(status.MAC) bool) {
		for i := range es {
			if f.Match(&es[i]) && !yield(es[i]) {
				return
			}
		}
	}
}

// FlushFDB implements server.Backend.
func (n *Node) FlushFDB(f status.MACFilter) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.VNI != 0 && n.domain(f.VNI) == nil {
		return 0, fmt.Errorf("VNI %d: %w", f.VNI, status.ErrNotFound)
	}
	before := len(n.fdb)
	n.fdb = slices.DeleteFunc(n.fdb, func(e status.MAC) bool { return !e.Static && f.Match(&e) })
	return before - len(n.fdb), nil
}

// VRFs implements server.Backend.
func (n *Node) VRFs() []status.VRF {
	return []status.VRF{{
		Name: "red", L3VNI: 50100, RouterMAC: 0x025b0aff0001, URPF: config.URPFStrict, Routes: 7, Neighbours: 3,
		Gateways: []status.Gateway{
			{VNI: 10100, Name: "red", MAC: 0x025a54002774, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.1/24"), netip.MustParsePrefix("fd00:1::1/64")}, LinkLocal: netip.MustParseAddr("fe80::5a:54ff:fe00:2774")},
			{VNI: 10101, Name: "red-b", MAC: 0x025a54002775, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.1/24")}, LinkLocal: netip.MustParseAddr("fe80::5a:54ff:fe00:2775")},
		},
	}, {Name: "blue", RouterMAC: 0x025b0aff0001, URPF: config.URPFOff}}
}

// Routes implements server.Backend.
func (n *Node) Routes(f status.RouteFilter) iter.Seq[status.Route] {
	host := status.Path{Host: netip.MustParseAddr("10.1.1.11"), VNI: 10100, MAC: 0x020000000001}
	far := status.Path{VTEP: netip.MustParseAddr("10.255.0.2"), VNI: 50100, MAC: 0x025b0aff0002}
	third := status.Path{VTEP: netip.MustParseAddr("10.255.0.3"), VNI: 50100, MAC: 0x025b0aff0003}
	silent := status.Path{Host: netip.MustParseAddr("10.1.2.9"), VNI: 10101}
	all := []status.Route{
		{VRF: "red", Prefix: netip.MustParsePrefix("10.1.1.0/24"), Origin: "gateway", Kind: "connected", Best: true, VNI: 10100},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.1.1.1/32"), Origin: "gateway", Kind: "local", Best: true, VNI: 10100},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.1.1.11/32"), Origin: "neighbour", Kind: "forward", Best: true, Paths: []status.Path{host}},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.1.1.11/32"), Origin: "evpn", Kind: "forward", Paths: []status.Path{far}},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.9.0.0/16"), Origin: "static", Kind: "forward", Best: true, Paths: []status.Path{far, third, silent}},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.66.0.0/16"), Origin: "static", Kind: "blackhole", Best: true},
		{VRF: "red", Prefix: netip.MustParsePrefix("10.99.0.0/24"), Origin: "contract", Kind: "connected", Best: true, VNI: 10901, Contract: "red-shared", From: "shared"},
	}
	return func(yield func(status.Route) bool) {
		for i := range all {
			if f.Match(&all[i]) && !yield(all[i]) {
				return
			}
		}
	}
}

// Neighbours implements server.Backend.
func (n *Node) Neighbours(f status.NeighbourFilter) iter.Seq[status.Neighbour] {
	all := []status.Neighbour{
		{VRF: "red", VNI: 10100, Address: netip.MustParseAddr("10.1.1.7"), MAC: 0x020000000007, State: "static", Source: "static"},
		{VRF: "red", VNI: 10100, Address: netip.MustParseAddr("10.1.1.11"), MAC: 0x020000000001, State: "reachable", Age: config.Duration(12 * time.Second), Source: "local", Port: "h1"},
		{VNI: 10100, Address: netip.MustParseAddr("10.1.1.12"), MAC: 0x020000000002, State: "announced", Source: "evpn", VTEP: netip.MustParseAddr("10.255.0.2")},
		{VRF: "red", VNI: 10100, Address: netip.MustParseAddr("fd00:1::11"), MAC: 0x020000000001, State: "probing", Age: config.Duration(299 * time.Second)},
		{VRF: "red", VNI: 10101, Address: netip.MustParseAddr("10.1.2.9"), State: "incomplete"},
	}
	return func(yield func(status.Neighbour) bool) {
		for i := range all {
			if f.Match(&all[i]) && !yield(all[i]) {
				return
			}
		}
	}
}

// Drops implements server.Backend.
func (n *Node) Drops() []status.Drop {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.drops)
}

// Counters implements server.Backend.
func (n *Node) Counters() []status.CounterGroup {
	return []status.CounterGroup{
		{Kind: "vni", Name: "10100", Counts: []status.Count{{Name: "flooded-frames", Value: 17}}},
		{Kind: "wireguard", Counts: []status.Count{{Name: "initiation-sent", Value: 1}, {Name: "refused-mac1", Value: 0}}},
	}
}

// Apply implements server.Backend.
func (n *Node) Apply(doc []byte, dryRun bool) (uint64, error) {
	cfg, err := config.Parse(doc, "")
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		return n.gen, fmt.Errorf("refused: %w", err)
	}
	if !dryRun {
		n.cfg = cfg
		n.gen++
	}
	return n.gen, nil
}

// SetFile names what Reload reads.
func (n *Node) SetFile(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.file = path
}

// Reload implements server.Backend.
func (n *Node) Reload() (uint64, error) {
	n.mu.Lock()
	file := n.file
	n.mu.Unlock()
	doc, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return n.Apply(doc, false)
}

// domain returns the bridge domain of vni, nil when there is none.
func (n *Node) domain(vni table.VNI) *config.BridgeDomain {
	for i := range n.cfg.BridgeDomains {
		if n.cfg.BridgeDomains[i].VNI == vni {
			return &n.cfg.BridgeDomains[i]
		}
	}
	return nil
}

package mode

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2/mtu"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/metrics"
)

// Layers are the layers of ZTOS that are on; VXLAN always is.
type Layers struct {
	WireGuard bool // false: VXLAN straight on the underlay
	MACsec    bool // false: no protection leaf to leaf
}

// Shape is how the engines are linked.
type Shape int

// The shapes.
const (
	// LeafSpineLeaf has an engine on spine1. Without WireGuard a spine has
	// nothing to do but to route: its kernel does.
	LeafSpineLeaf Shape = iota + 1
	// TwoNodes has leaf1 and leaf2 on one link.
	TwoNodes
)

// First ports of what engines listen on; the mode's ID is added. The engines of
// all modes share the namespaces. They are below those that the kernel chooses, of
// which engines have many to send from.
const (
	enginePort        = 22000
	engineVXLANPort   = 14800
	engineMetricsPort = 9500
)

// EngineName returns the name of the mode of ZTOS with these layers: ZTOS for all
// of them on leaf-spine-leaf.
func EngineName(l Layers, s Shape) string {
	name := ZTOS
	switch {
	case l.WireGuard && !l.MACsec:
		name += "-wireguard"
	case !l.WireGuard && l.MACsec:
		name += "-vxlan-macsec"
	case !l.WireGuard:
		name += "-vxlan"
	}
	if s == TwoNodes {
		name += "-two-nodes"
	}
	return name
}

// TenantMTU returns the largest MTU of tenants, bytes, that ZTOS with all layers
// has on the bed's underlay. The peers' overheads are smaller: they have room
// for it.
func TenantMTU(b *bed.Bed) int {
	return mtu.Tenant(mtu.Stack{UnderlayMTU: b.UnderlayMTU(), WireGuard: true, MACsec: true})
}

// Engine is ZTOS with engines of the mode's own, beside those of other modes in
// the same namespaces. program is the path of ztos-engine.
func Engine(id int, program string, l Layers, s Shape, mtu int) *Mode {
	return &Mode{
		Name: EngineName(l, s), ID: id, MTU: mtu, server: bridgedServer,
		start: func(ctx context.Context, b *bed.Bed, m *Mode) error {
			return (&engines{m: m, b: b, layers: l, shape: s, program: program}).start(ctx)
		},
	}
}

// engines are the engines of one mode while they are being set up.
type engines struct {
	m       *Mode
	b       *bed.Bed
	layers  Layers
	shape   Shape
	program string

	public map[string]config.PublicKey // by node
}

// start makes keys, configurations and links, and starts the engines.
func (e *engines) start(ctx context.Context) error {
	if err := errors.Join(e.m.hostLinks(e.b), e.m.bridgedHosts(ctx, e.b)); err != nil {
		return err
	}
	nodes := []string{bed.Leaf1, bed.Leaf2}
	if e.withSpine() {
		nodes = append(nodes, bed.Spine1)
	}
	e.public = map[string]config.PublicKey{}
	for _, n := range nodes {
		if err := e.makeKeys(n); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		c := e.node(n)
		if n == bed.Spine1 {
			e.spine(c)
		} else {
			e.leaf(c)
		}
		text, err := config.Marshal(c)
		if err != nil {
			return err
		}
		file := e.file(n, "engine.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
		p, err := e.b.Start(n, e.m.process(n), "", "env", metrics.ProfileAll, e.program, "run", "--config", file)
		if err != nil {
			return err
		}
		e.m.procs = append(e.m.procs, p)
		e.m.engines = append(e.m.engines, metrics.Engine{Node: n, Address: c.API.Metrics.String()})
	}
	return nil
}

// withSpine reports whether spine1 has an engine.
func (e *engines) withSpine() bool { return e.shape == LeafSpineLeaf && e.layers.WireGuard }

// file returns a file of the engine on a node. The folder is short: a unix
// socket's path has at most 107 bytes.
func (e *engines) file(node, what string) string {
	return filepath.Join(e.b.Dir(), fmt.Sprintf("mode%d", e.m.ID), node, what)
}

// makeKeys makes the folder of a node, and its keys that are used.
func (e *engines) makeKeys(node string) error {
	if err := os.MkdirAll(e.file(node, "state"), 0o700); err != nil {
		return err
	}
	if e.layers.WireGuard {
		k, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		e.public[node] = config.PublicKey(k.PublicKey().Bytes())
		text := base64.StdEncoding.EncodeToString(k.Bytes()) + "\n"
		if err := os.WriteFile(e.file(node, "wg.key"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if e.layers.MACsec && node != bed.Spine1 {
		var sak [32]byte
		rand.Read(sak[:]) // never fails (crypto/rand)
		return os.WriteFile(e.file(node, "sak"), []byte(hex.EncodeToString(sak[:])+"\n"), 0o600)
	}
	return nil
}

// neighbour returns the node that a leaf's packets go to first, and far the
// other leaf.
func (e *engines) neighbour(leaf string) (next, far string) {
	far = bed.Leaf2
	if leaf == bed.Leaf2 {
		far = bed.Leaf1
	}
	if e.shape == TwoNodes {
		return far, far
	}
	return bed.Spine1, far
}

// address returns a node's own address: with WireGuard one that is seen only
// inside it, without the one that the node has on the underlay.
func (e *engines) address(node string) netip.Addr {
	if e.layers.WireGuard {
		low := map[string]string{bed.Leaf1: "255.1", bed.Leaf2: "255.2", bed.Spine1: "255.3"}[node]
		return e.m.address(low)
	}
	next, _ := e.neighbour(node)
	return e.b.Underlay(node, next)
}

// node returns what the configurations of all nodes have.
func (e *engines) node(n string) *config.Node {
	c := &config.Node{
		Self: config.Self{Name: n, Roles: []config.Role{config.Leaf}, Address: e.address(n), StateDir: e.file(n, "state")},
		API: config.API{
			Socket:  e.file(n, "s"),
			Metrics: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(engineMetricsPort+e.m.ID)),
		},
		Underlay: config.Underlay{
			Listen: netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(enginePort+e.m.ID)),
			MTU:    e.b.UnderlayMTU(),
		},
	}
	if e.layers.WireGuard {
		c.WireGuard.PrivateKeyFile = e.file(n, "wg.key")
	} else {
		c.Underlay.VXLANPort = uint16(engineVXLANPort + e.m.ID)
		c.Underlay.VXLANListen = c.Self.Address
	}
	return c
}

// peer returns how a node reaches its neighbour next, through which it reaches
// the nodes behind.
func (e *engines) peer(node, next string, behind ...string) config.Peer {
	if !e.layers.WireGuard {
		far := behind[0]
		return config.Peer{Name: far, Carrier: config.CarrierPlain, Endpoint: netip.AddrPortFrom(e.address(far), 0)}
	}
	p := config.Peer{
		Name: next, Carrier: config.CarrierWireGuard, PublicKey: e.public[next],
		Endpoint: netip.AddrPortFrom(e.b.Underlay(next, node), uint16(enginePort+e.m.ID)),
	}
	for _, n := range behind {
		p.AllowedIPs = append(p.AllowedIPs, netip.PrefixFrom(e.address(n), 32))
	}
	return p
}

// vni is the VNI of the mode's bridge domain.
func (e *engines) vni() table.VNI { return table.VNI(20000 + e.m.ID) }

// leaf adds the port, the bridge domain and the peer.
func (e *engines) leaf(c *config.Node) {
	name := c.Self.Name
	next, far := e.neighbour(name)
	behind := []string{far}
	if next != far && e.layers.WireGuard {
		behind = append(behind, next)
	}
	c.Peers = []config.Peer{e.peer(name, next, behind...)}
	port := e.m.Device()
	c.Ports = []config.Port{{Name: port, Kind: config.AFPacket, Device: port}}
	bd := config.BridgeDomain{
		VNI: e.vni(), Name: "tenant", MTU: e.m.MTU, Protection: config.ProtectNone,
		Attach: []config.Attach{{Port: port}}, VTEPs: []netip.Addr{e.address(far)},
	}
	if e.layers.MACsec {
		bd.Protection = config.ProtectMACsec
		bd.MACsec = &config.MACsec{
			Tx:    config.TxSC{SCI: e.sci(name), SAs: []config.SA{{KeyFile: e.file(name, "sak")}}},
			Peers: []config.RxSC{{VTEP: e.address(far), SCI: e.sci(far), SAs: []config.SA{{KeyFile: e.file(far, "sak")}}}},
		}
	}
	c.BridgeDomains = []config.BridgeDomain{bd}
}

// sci returns the SCI of a leaf: a locally administered system identifier, port 1.
func (e *engines) sci(leaf string) config.SCI {
	return config.SCI{2, 0, 0, 0, byte(e.m.ID), leaf[len(leaf)-1], 0, 1}
}

// spine adds the peers and the VRF.
func (e *engines) spine(c *config.Node) {
	c.Self.Roles = []config.Role{config.Spine}
	v := config.VRF{Name: "tenant", VNIs: []table.VNI{e.vni()}}
	for _, leaf := range []string{bed.Leaf1, bed.Leaf2} {
		c.Peers = append(c.Peers, e.peer(bed.Spine1, leaf, leaf))
		v.VTEPs = append(v.VTEPs, e.address(leaf))
	}
	c.VRFs = []config.VRF{v}
}

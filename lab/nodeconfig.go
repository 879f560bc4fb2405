package lab

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/l3"
)

// WireGuardPort is the UDP port on which every engine of a lab listens.
const WireGuardPort = 51820

// places says where a node's files are and what its public key is; a run
// directory, or stand-ins while a topology is being checked.
type places interface {
	file(node, what string) string                   // state, engine.sock and such
	key(name string) string                          // a file under keys/
	publicKey(node string) (config.PublicKey, error) // of the node's WireGuard key
}

// standIn is the places of a lab that does not exist.
type standIn struct{}

func (standIn) file(node, what string) string { return "/run/lab/" + node + "/" + what }
func (standIn) key(name string) string        { return "/run/lab/keys/" + name }
func (standIn) publicKey(node string) (config.PublicKey, error) {
	return sha256.Sum256([]byte(node)), nil // one of its own for each
}

// Names of key files, the same for the node that sends and those that receive.
func wireGuardKey(node string) string { return node + ".wg" }
func presharedKey(a, b string) string { return min(a, b) + "." + max(a, b) + ".psk" }
func sak(tenant, leaf string, an int) string {
	return fmt.Sprintf("%s.%s.%d.sak", tenant, leaf, an)
}
func salt(tenant, leaf string, an int) string {
	return fmt.Sprintf("%s.%s.%d.salt", tenant, leaf, an)
}

// nodeConfig returns the configuration of the engine node n as YAML: what
// follows from the topology, the fabric's overlay, and the node's. It is what
// config.Parse takes, checked with it.
func (t *Topology) nodeConfig(n *Node, p places) ([]byte, error) {
	c, err := t.generate(n, p)
	if err != nil {
		return nil, err
	}
	doc, err := config.Marshal(c)
	if err != nil {
		return nil, err
	}
	if t.Fabric.Engine != nil || n.Engine != nil {
		var tree map[string]any
		if err := yaml.Unmarshal(doc, &tree); err != nil {
			return nil, err
		}
		overlay(tree, t.Fabric.Engine)
		overlay(tree, n.Engine)
		if doc, err = yaml.Marshal(tree); err != nil {
			return nil, err
		}
	}
	final, err := config.Parse(doc, "")
	if err != nil {
		return nil, err
	}
	return config.Marshal(final)
}

// overlay lays over onto base: maps merge, all else replaces.
func overlay(base, over map[string]any) {
	for k, v := range over {
		from, isMap := v.(map[string]any)
		to, wasMap := base[k].(map[string]any)
		if isMap && wasMap {
			to = maps.Clone(to)
			overlay(to, from)
			base[k] = to
		} else {
			base[k] = v
		}
	}
}

// generate returns the configuration that follows from the topology.
func (t *Topology) generate(n *Node, p places) (*config.Node, error) {
	c := &config.Node{
		Self: config.Self{
			Name: n.Name, Roles: []config.Role{config.Leaf},
			Address: n.Address, Address6: n.Address6, StateDir: p.file(n.Name, "state"),
		},
		API: config.API{
			Socket:  p.file(n.Name, "engine.sock"),
			Metrics: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9464),
		},
		Underlay: config.Underlay{
			Listen: netip.AddrPortFrom(netip.IPv6Unspecified(), WireGuardPort),
			MTU:    t.underlayMTU(n.Name),
		},
	}
	if n.Kind == Spine {
		c.Self.Roles = []config.Role{config.Spine}
	}
	if t.Fabric.Carrier == config.CarrierWireGuard {
		c.WireGuard.PrivateKeyFile = p.key(wireGuardKey(n.Name))
	} else {
		c.Underlay.VXLANListen = t.vtep(n)
	}
	for _, nb := range t.neighbours(n.Name) {
		peer, err := t.peer(n, nb, p)
		if err != nil {
			return nil, err
		}
		c.Peers = append(c.Peers, peer)
	}
	if t.Fabric.EVPN {
		if t.Fabric.Carrier != config.CarrierWireGuard {
			return nil, fmt.Errorf("fabric.evpn needs carrier wireguard: BGP runs inside")
		}
		if n.Kind == Leaf && t.vtep(n) != n.Address {
			return nil, fmt.Errorf("fabric.evpn: leaf %s announces its address %v, which is not of vtep-family %s", n.Name, n.Address, t.Fabric.VTEPFamily)
		}
		c.BGP = t.bgp(n)
	}
	if b := t.Fabric.BFD; b != nil {
		if t.Fabric.Carrier != config.CarrierWireGuard || len(b.Neighbors) > 0 {
			return nil, fmt.Errorf("fabric.bfd needs carrier wireguard, and names no neighbors")
		}
		c.BFD = new(*b)
		for _, nb := range t.neighbours(n.Name) {
			c.BFD.Neighbors = append(c.BFD.Neighbors, config.BFDNeighbor{Name: nb.node.Name, Address: nb.node.Address, Hops: 1})
		}
	}
	if n.Kind == Spine {
		t.spine(n, c)
		return c, nil
	}
	return c, t.leaf(n, c, p)
}

// labAS is the AS number of every node of a lab.
const labAS = 65000

// bgp returns the sessions of a node: with each neighbour, spines reflecting.
// Leaves that a spine connects need none between them.
func (t *Topology) bgp(n *Node) *config.BGP {
	b := &config.BGP{ASN: labAS}
	if !n.Address.Is4() {
		i := slices.IndexFunc(t.Nodes, func(x Node) bool { return x.Name == n.Name })
		b.RouterID = netip.AddrFrom4([4]byte{10, 254, byte((i + 1) >> 8), byte(i + 1)})
	}
	for _, nb := range t.neighbours(n.Name) {
		if n.Kind == Spine && nb.node.Kind == Spine {
			continue
		}
		x := config.Neighbor{Name: nb.node.Name, Address: nb.node.Address}
		if t.Fabric.Unnumbered {
			x = config.Neighbor{Peer: nb.node.Name}
		}
		b.Neighbors = append(b.Neighbors, x)
	}
	return b
}

// underlayMTU returns the smallest MTU of the node's links, or the default.
func (t *Topology) underlayMTU(node string) int {
	mtu := 0
	for _, l := range t.Links {
		if (l.Ends[0].At.Node == node || l.Ends[1].At.Node == node) && (mtu == 0 || l.MTU < mtu) {
			mtu = l.MTU
		}
	}
	return mtu
}

// neighbour is an engine at the far end of a link.
type neighbour struct {
	node *Node
	end  *End // its end of the link
}

// neighbours returns the engines linked to node, in the order of the links.
func (t *Topology) neighbours(node string) []neighbour {
	var out []neighbour
	for i := range t.Links {
		ends := t.Links[i].Ends
		for j := range ends {
			if far, ok := t.Node(ends[1-j].At.Node); ends[j].At.Node == node && ok && far.Kind.Engine() {
				out = append(out, neighbour{far, &ends[1-j]})
			}
		}
	}
	return out
}

// linked reports whether a and b share a link.
func (t *Topology) linked(a, b string) bool {
	return slices.ContainsFunc(t.neighbours(a), func(n neighbour) bool { return n.node.Name == b })
}

// vtep returns the address of n in the family that the fabric's VTEPs have.
func (t *Topology) vtep(n *Node) netip.Addr {
	for _, a := range []netip.Addr{n.Address, n.Address6} {
		if t.Fabric.VTEPFamily.of(a) {
			return a
		}
	}
	return netip.Addr{}
}

// hostRoutes returns the addresses of a node as prefixes of one address.
func hostRoutes(n *Node) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range []netip.Addr{n.Address, n.Address6} {
		if a.IsValid() {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}

// peer returns n's configuration of a neighbour.
func (t *Topology) peer(n *Node, nb neighbour, p places) (config.Peer, error) {
	f := &t.Fabric
	c := config.Peer{Name: nb.node.Name, Carrier: f.Carrier}
	if f.Carrier == config.CarrierPlain {
		v := t.vtep(nb.node)
		onLink := slices.ContainsFunc(nb.end.Addresses, func(p netip.Prefix) bool { return p.Addr() == v })
		if n.Kind != Leaf || nb.node.Kind != Leaf || !onLink {
			return c, fmt.Errorf("plain carrier between %s and %s: both must be leaves, with their VTEP addresses on the link", n.Name, nb.node.Name)
		}
		c.Endpoint = netip.AddrPortFrom(v, 0)
		return c, nil
	}
	for _, a := range nb.end.Addresses {
		if f.EndpointFamily.of(a.Addr()) && !c.Endpoint.IsValid() {
			c.Endpoint = netip.AddrPortFrom(a.Addr(), WireGuardPort)
		}
	}
	if !c.Endpoint.IsValid() {
		return c, fmt.Errorf("%s has no %s address on its link to %s", nb.node.Name, f.EndpointFamily, n.Name)
	}
	key, err := p.publicKey(nb.node.Name)
	if err != nil {
		return c, err
	}
	c.PublicKey = key
	if f.PresharedKeys.On() {
		c.PresharedKeyFile = p.key(presharedKey(n.Name, nb.node.Name))
	}
	c.Keepalive = f.Keepalive
	if f.Liveness != nil {
		l := *f.Liveness
		c.Liveness = &l
	}
	c.AllowedIPs = hostRoutes(nb.node)
	if n.Kind == Leaf && nb.node.Kind == Spine {
		// Every leaf behind the spine, unless there is a direct link: then
		// that one peer holds the address.
		for _, far := range t.neighbours(nb.node.Name) {
			if far.node.Kind == Leaf && far.node.Name != n.Name && !t.linked(n.Name, far.node.Name) {
				c.AllowedIPs = append(c.AllowedIPs, hostRoutes(far.node)...)
			}
		}
	}
	return c, nil
}

// leaves returns the leaves that have hosts of the tenant, for an L3VNI of its
// VRF, in order of nodes.
func (t *Topology) leaves(tenant string) []*Node {
	at := map[string]bool{}
	for _, n := range t.parts(tenant) {
		for _, h := range t.Hosts(n) {
			at[h.Host.Port.Node] = true
		}
	}
	var out []*Node
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Kind == Leaf && at[n.Name] {
			out = append(out, n)
		}
	}
	return out
}

// parts returns the tenants that tenant stands for: for an L3VNI all segments of
// its VRF, else itself.
func (t *Topology) parts(tenant string) []string {
	tn, ok := t.Tenant(tenant)
	if !ok || !tn.L3VNI {
		return []string{tenant}
	}
	var out []string
	for i := range t.Tenants {
		if o := &t.Tenants[i]; o.VRF == tn.VRF && !o.L3VNI {
			out = append(out, o.Name)
		}
	}
	return out
}

// spine adds the VRFs: one for each tenant, or for each that several name, with
// all of their VTEPs.
func (t *Topology) spine(n *Node, c *config.Node) {
	for _, tn := range t.Tenants {
		var vteps []netip.Addr
		for _, l := range t.leaves(tn.Name) {
			for _, r := range hostRoutes(l) {
				vteps = append(vteps, r.Addr())
			}
		}
		if len(vteps) == 0 {
			continue
		}
		name := tn.Name
		if tn.VRF != "" {
			name = tn.VRF
		}
		i := slices.IndexFunc(c.VRFs, func(v config.VRF) bool { return v.Name == name })
		if i < 0 {
			c.VRFs = append(c.VRFs, config.VRF{Name: name})
			i = len(c.VRFs) - 1
		}
		v := &c.VRFs[i]
		v.Announced = t.Fabric.EVPN
		v.VNIs = append(v.VNIs, tn.VNI)
		for _, a := range vteps {
			if !slices.Contains(v.VTEPs, a) {
				v.VTEPs = append(v.VTEPs, a)
			}
		}
	}
}

// leaf adds ports and bridge domains with their keys.
func (t *Topology) leaf(n *Node, c *config.Node, p places) error {
	for i := range t.Nodes {
		if h := t.Nodes[i].Host; h != nil && h.Port.Node == n.Name {
			c.Ports = append(c.Ports, config.Port{Name: h.Port.Dev, Kind: config.AFPacket, Device: h.Port.Dev})
		}
	}
	for i := range t.Tenants {
		tn := &t.Tenants[i]
		members := t.leaves(tn.Name)
		if !slices.Contains(members, n) {
			continue
		}
		bd := config.BridgeDomain{VNI: tn.VNI, Name: tn.Name, MTU: tn.MTU, Protection: tn.Protection}
		bd.Suppress = tn.Suppress && !tn.L3VNI
		for _, h := range t.Hosts(tn.Name) {
			if h.Host.Port.Node == n.Name {
				bd.Attach = append(bd.Attach, config.Attach{Port: h.Host.Port.Dev, VLAN: h.Host.VLAN})
			}
		}
		var vteps []netip.Addr
		for _, far := range members {
			if far == n {
				continue
			}
			if !t.reach(n, far) {
				return fmt.Errorf("tenant %s: no link to leaf %s, and no spine that both are linked to", tn.Name, far.Name)
			}
			v := t.vtep(far)
			if !v.IsValid() {
				return fmt.Errorf("leaf %s has no %s address", far.Name, t.Fabric.VTEPFamily)
			}
			vteps = append(vteps, v)
		}
		switch {
		case !t.Fabric.EVPN:
			bd.VTEPs = vteps
		case tn.Protection == config.ProtectMACsec:
			// The channels name the VTEPs.
		default:
			bd.EVPN = &config.EVPN{VTEPs: vteps}
		}
		if tn.Protection == config.ProtectMACsec {
			bd.MACsec = t.macsec(tn, n, members, p)
		}
		if tn.VRF != "" {
			t.routed(tn, n, c, &bd)
		}
		c.BridgeDomains = append(c.BridgeDomains, bd)
	}
	return nil
}

// routed adds what makes bd, of tenant tn, a part of its VRF on leaf n: a gateway,
// or, of the L3VNI, a route to every host behind another leaf, unless EVPN finds
// them.
func (t *Topology) routed(tn *Tenant, n *Node, c *config.Node, bd *config.BridgeDomain) {
	i := slices.IndexFunc(c.VRFs, func(v config.VRF) bool { return v.Name == tn.VRF })
	if i < 0 {
		c.VRFs = append(c.VRFs, config.VRF{Name: tn.VRF})
		i = len(c.VRFs) - 1
	}
	if !tn.L3VNI {
		bd.VRF = tn.VRF
		bd.Gateway = &config.Gateway{Addresses: tn.Gateways, RouterAdvertisements: tn.RouterAdvertisements, DHCPRelay: tn.DHCPRelay}
		return
	}
	v := &c.VRFs[i]
	v.L3VNI = tn.VNI
	if t.Fabric.EVPN {
		return
	}
	for _, part := range t.parts(tn.Name) {
		for _, h := range t.Hosts(part) {
			far, ok := t.Node(h.Host.Port.Node)
			if !ok || far.Name == n.Name {
				continue
			}
			for _, a := range h.Host.Addresses {
				v.Routes = append(v.Routes, config.StaticRoute{
					Prefix:   netip.PrefixFrom(a.Addr(), a.Addr().BitLen()),
					NextHops: []config.NextHop{{VTEP: t.vtep(far), RouterMAC: l3.DefaultRouterMAC(far.Address)}},
				})
			}
		}
	}
}

// reach reports whether two leaves are linked, or linked to the same spine.
func (t *Topology) reach(a, b *Node) bool {
	if t.linked(a.Name, b.Name) {
		return true
	}
	return slices.ContainsFunc(t.neighbours(a.Name), func(n neighbour) bool {
		return n.node.Kind == Spine && t.linked(n.node.Name, b.Name)
	})
}

// macsec returns the SecY of a tenant on leaf n. Every leaf has its own SAKs,
// so no two leaves ever use one key with the same packet number.
func (t *Topology) macsec(tn *Tenant, n *Node, members []*Node, p places) *config.MACsec {
	channel := func(leaf *Node) (sci config.SCI, ssci uint32, sas []config.SA) {
		i := slices.IndexFunc(t.Nodes, func(x Node) bool { return x.Name == leaf.Name })
		// A locally administered system identifier from VNI and node, port 1.
		sci = config.SCI{2, byte(tn.VNI >> 16), byte(tn.VNI >> 8), byte(tn.VNI), 0, byte(i + 1), 0, 1}
		for an := range tn.Keys {
			sa := config.SA{AN: uint8(an), KeyFile: p.key(sak(tn.Name, leaf.Name, an))}
			if tn.Cipher.XPN() {
				ssci = uint32(i + 1)
				sa.SaltFile = p.key(salt(tn.Name, leaf.Name, an))
			}
			sas = append(sas, sa)
		}
		return sci, ssci, sas
	}
	m := &config.MACsec{Cipher: tn.Cipher, Mode: tn.Mode, Encrypt: tn.Encrypt, Offset: tn.Offset, ReplayWindow: tn.ReplayWindow}
	m.Tx.SCI, m.Tx.SSCI, m.Tx.SAs = channel(n)
	for _, far := range members {
		if far != n {
			rx := config.RxSC{VTEP: t.vtep(far)}
			rx.SCI, rx.SSCI, rx.SAs = channel(far)
			m.Peers = append(m.Peers, rx)
		}
	}
	return m
}

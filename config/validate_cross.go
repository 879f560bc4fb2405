package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// cross looks at what sections say of each other.
func (n *Node) cross(out *Faults) {
	c := checker{out: out}
	reach := n.Reach()
	n.crossRoles(c)
	n.crossPeers(c)
	n.crossPorts(c)
	n.crossDomains(c, reach)
	n.crossVRFs(c, reach)
	n.crossContracts(c)
	n.crossBGP(c)
	n.crossBFD(c)
	n.crossAnnounced(c)
	n.crossSuppress(c)
	n.crossSegments(c)
}

// crossRoles refuses sections that no role of the node uses, and roles without
// their section. A leaf without bridge domains is fine: it waits for tenants.
func (n *Node) crossRoles(c checker) {
	leaf, spine := n.Self.Is(Leaf), n.Self.Is(Spine)
	if len(n.Self.Roles) == 0 {
		return // said already
	}
	const addLeaf = "add leaf to node.roles, or remove it"
	if !leaf && len(n.Ports) > 0 {
		c.at("ports").fault(addLeaf, "only a leaf has ports")
	}
	if !leaf && len(n.BridgeDomains) > 0 {
		c.at("bridge-domains").fault(addLeaf, "only a leaf has bridge domains")
	}
	if spine && len(n.VRFs) == 0 {
		c.at("vrfs").fault("list the VRFs with their VNIs and VTEPs", "a spine without VRFs forwards nothing")
	}
	for i := range n.Peers {
		if !spine && len(n.Peers[i].VTEPs) > 0 {
			c.at("peers[%d].vteps", i).fault("add spine to node.roles, or remove it", "only a spine checks the VTEPs of a peer")
		}
	}
}

func (n *Node) crossPeers(c checker) {
	names := map[string]int{}
	keys := map[PublicKey]int{}
	plain := map[netip.Addr]int{}
	wireguard := false
	for i := range n.Peers {
		p, at := &n.Peers[i], c.at("peers[%d]", i)
		unique(at.at("name"), names, p.Name, i, "peers")
		if p.Carrier == CarrierPlain {
			n.crossPlain(at, p, plain, i)
		} else {
			wireguard = true
			if !p.PublicKey.IsZero() {
				unique(at.at("public-key"), keys, p.PublicKey, i, "peers")
			}
		}
		for j, pfx := range p.AllowedIPs {
			if pfx.IsSingleIP() && n.Self.Has(pfx.Addr()) {
				at.at("allowed-ips[%d]", j).fault("remove it", "%s is this node's own address", pfx.Addr())
			}
		}
	}
	if wireguard && n.WireGuard.PrivateKeyFile == "" {
		c.at("wireguard.private-key-file").fault("make one with `wg genkey`, mode 0600, and name it here", "peers use wireguard and there is no private key")
	}
	listen := c.at("underlay.vxlan-listen")
	switch {
	case len(plain) > 0 && !n.Underlay.VXLANListen.IsValid():
		listen.fault("give the local address of the VXLAN socket", "a plain peer needs it")
	case len(plain) == 0 && n.Underlay.VXLANListen.IsValid():
		listen.fault("remove it, or say carrier: plain at a peer", "no peer is plain, so nothing would listen here")
	}
	if len(plain) > 0 && n.Underlay.Listen.Port() == n.Underlay.VXLANPort {
		c.at("underlay.vxlan-port").fault("use another port for one of them", "WireGuard listens on port %d too", n.Underlay.VXLANPort)
	}
}

// crossPlain checks the plain peer p, number i; plain maps endpoints to peers.
func (n *Node) crossPlain(at checker, p *Peer, plain map[netip.Addr]int, i int) {
	a := p.Endpoint.Addr()
	if !a.IsValid() {
		plain[a] = i
		return
	}
	unique(at.at("endpoint"), plain, a, i, "peers")
	if l := n.Underlay.VXLANListen; l.IsValid() && l.Is4() != a.Is4() {
		at.at("endpoint").fault("use addresses of one family", "%s can't be reached from underlay.vxlan-listen %s", a, l)
	}
}

// unique records key as entry i of list, and faults one that is there already.
func unique[K comparable](c checker, seen map[K]int, key K, i int, list string) {
	if first, dup := seen[key]; dup {
		if s, empty := any(key).(string); empty && s == "" {
			return
		}
		c.fault("give each its own", "%v is taken by %s[%d]", key, list, first)
		return
	}
	seen[key] = i
}

func (n *Node) crossPorts(c checker) {
	names, devices := map[string]int{}, map[string]int{}
	for i := range n.Ports {
		p, at := &n.Ports[i], c.at("ports[%d]", i)
		unique(at.at("name"), names, p.Name, i, "ports")
		unique(at.at("device"), devices, p.Device, i, "ports")
		if n.Host.Mode == HostTUN && p.Device == n.Host.Device {
			at.at("device").fault("give each its own", "%s is the host's TUN device", p.Device)
		}
		if p.Device != "" && slices.Contains(n.Underlay.AFXDP, p.Device) {
			at.at("device").fault("give each its own", "%s is a device of underlay.afxdp", p.Device)
		}
	}
}

func (n *Node) crossDomains(c checker, reach *Reach) {
	names := map[string]int{}
	vnis := map[table.VNI]int{}
	nonces := map[nonceKey]string{}
	circuits := n.newCircuits()
	for i := range n.BridgeDomains {
		b, at := &n.BridgeDomains[i], c.at("bridge-domains[%d]", i)
		unique(at.at("vni"), vnis, b.VNI, i, "bridge-domains")
		unique(at.at("name"), names, b.Name, i, "bridge-domains")
		for j, a := range b.Attach {
			circuits.add(at.at("attach[%d]", j), a, b.VNI)
		}
		for j, v := range b.VTEPs {
			n.crossVTEP(at.at("vteps[%d]", j), v, reach)
		}
		if b.EVPN != nil {
			for j, v := range b.EVPN.VTEPs {
				n.crossVTEP(at.at("evpn.vteps[%d]", j), v, reach)
			}
		}
		if b.MACsec != nil {
			b.MACsec.crossNonces(at.at("macsec.tx"), nonces)
		}
	}
}

// crossVTEP wants a remote VTEP that this node can send to.
func (n *Node) crossVTEP(c checker, v netip.Addr, reach *Reach) {
	if !v.IsValid() {
		return
	}
	if n.Self.Has(v) {
		c.fault("list only remote VTEPs", "%s is this node's own address", v)
		return
	}
	if !reach.Any(v) {
		c.fault("add it to the allowed-ips of the peer that leads there", "no peer leads to VTEP %s", v)
	}
	for p := range reach.Peers(v) {
		// A plain peer is reached from vxlan-listen, of its own family.
		if p.Carrier == CarrierPlain {
			return
		}
	}
	if n.Self.Address.IsValid() && v.Is4() != n.Self.Address.Is4() && !(v.Is6() && n.Self.Address6.IsValid()) {
		c.fault("give the node an address of that family too, or use a VTEP of its family", "%s is of another family than this node's VTEP", v)
	}
}

// nonceKey is what must not repeat among transmit SAs: with it equal, two SecYs
// would use one GCM key with one nonce. XPN nonces are made from SSCI and salt,
// the others from the SCI.
type nonceKey struct {
	keyFile, saltFile string
	sci               SCI
	ssci              uint32
}

// nonceKey returns that of transmit SA i.
func (m *MACsec) nonceKey(i int) nonceKey {
	sa := &m.Tx.SAs[i]
	if m.Cipher.XPN() {
		return nonceKey{keyFile: sa.KeyFile, saltFile: sa.SaltFile, ssci: m.Tx.SSCI}
	}
	return nonceKey{keyFile: sa.KeyFile, sci: m.Tx.SCI}
}

func (m *MACsec) crossNonces(c checker, seen map[nonceKey]string) {
	for i, sa := range m.Tx.SAs {
		if sa.KeyFile == "" {
			continue
		}
		k := m.nonceKey(i)
		if by, dup := seen[k]; dup && by != c.path {
			c.at("sas[%d].key-file", i).repeats(by)
		}
		seen[k] = c.path
	}
}

// repeats says that the channel at path by has the nonces of c's SA.
func (c checker) repeats(by string) {
	c.fault("make a key for each VNI, or use another SCI", "key and channel identifier are those of %s: nonces would repeat", by)
}

// circuits finds attachment circuits that are taken.
type circuits struct {
	ports map[string]bool
	taken map[Attach]table.VNI // All is false in the key
	all   map[string]table.VNI // port -> VNI that takes every frame
	some  map[string]table.VNI // port -> VNI of its first circuit
}

func (n *Node) newCircuits() circuits {
	c := circuits{map[string]bool{}, map[Attach]table.VNI{}, map[string]table.VNI{}, map[string]table.VNI{}}
	for i := range n.Ports {
		c.ports[n.Ports[i].Name] = true
	}
	return c
}

// add takes a for vni, or says who has it.
func (cs circuits) add(c checker, a Attach, vni table.VNI) {
	if a.Port == "" {
		return
	}
	if !cs.ports[a.Port] {
		c.at("port").fault("add it to `ports`, or correct the name", "there is no port %q", a.Port)
		return
	}
	const one = "use a circuit once"
	if by, ok := cs.all[a.Port]; ok {
		c.fault(one, "VNI %d takes all of port %s", by, a.Port)
		return
	}
	if a.All {
		if by, ok := cs.some[a.Port]; ok {
			c.at("all").fault(one, "VNI %d has a part of port %s", by, a.Port)
			return
		}
		cs.all[a.Port] = vni
		return
	}
	if by, ok := cs.taken[a]; ok {
		c.fault(one, "%s is taken by VNI %d", describe(a), by)
		return
	}
	cs.taken[a] = vni
	if _, ok := cs.some[a.Port]; !ok {
		cs.some[a.Port] = vni
	}
}

// describe names a's frames for people.
func describe(a Attach) string {
	switch {
	case a.InnerVLAN != 0:
		return fmt.Sprintf("VLAN %d inner %d of port %s", a.VLAN, a.InnerVLAN, a.Port)
	case a.VLAN != 0:
		return fmt.Sprintf("VLAN %d of port %s", a.VLAN, a.Port)
	}
	return "untagged access of port " + a.Port
}

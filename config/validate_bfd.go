package config

import (
	"net/netip"
	"time"
)

func (b *BFD) check(c checker) {
	checkInterval(c.at("tx-interval"), b.TxInterval)
	checkInterval(c.at("rx-interval"), b.RxInterval)
	checkRange(c.at("multiplier"), b.Multiplier, 2, 255)
	if b.HoldUp != nil {
		checkSpan(c.at("hold-up"), *b.HoldUp, "0s", "1h", "")
	}
	if len(b.Neighbors) == 0 {
		c.at("neighbors").fault("list the addresses of the spines, or of the leaves", "no neighbour: nothing would be watched")
	}
	names, addrs := map[string]int{}, map[netip.Addr]int{}
	for i := range b.Neighbors {
		x, at := &b.Neighbors[i], c.at("neighbors[%d]", i)
		x.check(at, b)
		if x.Name != "" {
			unique(at.at("name"), names, x.Name, i, "bfd.neighbors")
		}
		if x.Address.IsValid() {
			unique(at.at("address"), addrs, x.Address, i, "bfd.neighbors")
		}
	}
}

// check looks at x, which has what it does not say from b.
func (x *BFDNeighbor) check(c checker, b *BFD) {
	if !x.Address.IsValid() && x.Name != "" {
		c.at("address").fault("list the neighbours under bfd.neighbors, this one by name and with its own address: an unnumbered neighbour of `bgp` is watched there", "%s has no address: none follows from the allowed-ips of its peer", x.Name)
	} else {
		checkVTEP(c.at("address"), x.Address)
	}
	if x.Address.IsValid() {
		checkName(c.at("name"), x.Name)
	}
	checkRange(c.at("hops"), x.Hops, 1, 255)
	if x.TxInterval != b.TxInterval {
		checkInterval(c.at("tx-interval"), x.TxInterval)
	}
	if x.RxInterval != b.RxInterval {
		checkInterval(c.at("rx-interval"), x.RxInterval)
	}
	if x.Multiplier != b.Multiplier {
		checkRange(c.at("multiplier"), x.Multiplier, 2, 255)
	}
	if x.KeyFile != "" {
		checkFile(c.at("key-file"), x.KeyFile)
		return
	}
	const fix = "add a key-file, or remove it"
	if x.KeyID != nil {
		c.at("key-id").fault(fix, "there is no key")
	}
	if x.Authentication != 0 {
		c.at("authentication").fault(fix, "there is no key")
	}
}

// checkInterval wants what BFD's packets can say.
func checkInterval(c checker, d Duration) {
	if d%Duration(time.Microsecond) != 0 {
		c.fault("use whole microseconds", "%s is not whole microseconds", d)
		return
	}
	checkSpan(c, d, "10ms", "60s", "")
}

// crossBFD looks at what BFD needs of the other sections.
func (n *Node) crossBFD(c checker) {
	b := n.BFD
	if b == nil || b.Transport != BGPFabric {
		return
	}
	if n.Host.Mode == HostNone {
		c.at("bfd.transport").fault("say host.mode: netstack or tun, or transport: underlay", "host.mode is none: no stack in the fabric that BFD could use")
	}
	for i := range b.Neighbors {
		x, at := &b.Neighbors[i], c.at("bfd.neighbors[%d]", i)
		if n.Self.Has(x.Address) {
			at.at("address").fault("give the address of another node", "%s is this node's own address", x.Address)
			continue
		}
		if !x.Address.IsValid() {
			continue
		}
		if n.localFor(x.Address) == (netip.Addr{}) {
			at.at("address").fault("give one of its addresses of that family, or add `node.address6`", "the node has no address of the family of %s", x.Address)
		}
		reached := false
		for j := range n.Peers {
			reached = reached || n.Peers[j].Carrier != CarrierPlain && n.Peers[j].Reaches(x.Address)
		}
		_, own := n.HostPeer(x.Address)
		switch {
		case !reached:
			at.at("address").fault("add it to a peer's allowed-ips, or say bfd.transport: underlay", "no WireGuard peer reaches %s", x.Address)
		case x.Hops == 1 && !own:
			at.at("hops").fault("add it to the allowed-ips of the one peer whose address it is, or say hops: 2", "%s is not the host route of one peer alone: the path to it goes over others", x.Address)
		}
	}
}

// localFor returns the node's address of the family of a; the zero Addr when it has
// none.
func (n *Node) localFor(a netip.Addr) netip.Addr {
	for _, own := range []netip.Addr{n.Self.Address, n.Self.Address6} {
		if own.IsValid() && own.Is4() == a.Is4() {
			return own
		}
	}
	return netip.Addr{}
}

// LocalFor returns the address from which the node speaks BFD to a; the zero Addr
// leaves it to the kernel.
func (n *Node) LocalFor(a netip.Addr) netip.Addr {
	if n.BFD == nil || n.BFD.Transport != BGPFabric {
		return netip.Addr{}
	}
	return n.localFor(a)
}

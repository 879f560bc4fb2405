package overlay

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// Neighbours is who follows which address is behind which other node: proxy ARP
// and ND.
type Neighbours interface {
	// Remote takes what changed since the last call.
	Remote([]evpn.NeighbourChange)
	// Hold says that an address is a duplicate, or is none any more.
	Hold(vni table.VNI, ip netip.Addr, on bool)
}

// binding is what Bind was told of an address.
type binding struct {
	mac    table.MAC
	router bool
}

// SetNeighbours has n told from now on; nil: nobody.
func (o *Overlay) SetNeighbours(n Neighbours) { o.neighbours = n }

// Bind announces that a MAC of this node has an address. router is the R flag of
// its advertisements. It reports whether EVPN takes it: only while it has the MAC
// here. An address alone moves no MAC: what was heard may be older than the move.
func (o *Overlay) Bind(vni table.VNI, mac table.MAC, ip netip.Addr, at table.ACID, router bool) bool {
	if v, ok := o.sp.MAC(vni, mac); !ok || !v.Local {
		return false
	}
	m := evpn.LocalMAC{VNI: vni, MAC: mac, IP: ip, Port: uint32(at)}
	if e, ok := o.tables.Entry(vni, mac); ok {
		m.Sticky = e.Static && !e.External
	}
	m.Bits = bitsOf(ip, router)
	if o.learn(m) != evpn.Accepted {
		return false
	}
	o.bound[hostKey{vni, ip}] = binding{mac, router}
	return true
}

// bitsOf returns the flags with which an address is announced: of an IPv6 host the
// override flag, as of any that is no anycast (RFC 9047 section 3.1).
func bitsOf(ip netip.Addr, router bool) (b evpn.NeighbourBits) {
	if ip.Is6() {
		b = evpn.NeighbourOverride
		if router {
			b |= evpn.NeighbourRouter
		}
	}
	return b
}

// Unbind withdraws what Bind announced, unless a gateway has resolved the same.
func (o *Overlay) Unbind(vni table.VNI, mac table.MAC, ip netip.Addr) {
	key := hostKey{vni, ip}
	if o.bound[key].mac == mac {
		delete(o.bound, key)
	}
	if o.hosts.macs[key] != mac {
		o.sp.Forget(o.clock(), vni, mac, ip)
	}
}

// EachNeighbour calls f for each address of a bridge domain that is behind another
// node, as Neighbours.Remote was told.
func (o *Overlay) EachNeighbour(vni table.VNI, f func(evpn.NeighbourChange)) { o.sp.Neighbours(vni, f) }

// DuplicateAddresses returns the addresses in quarantine, the oldest first.
func (o *Overlay) DuplicateAddresses() []evpn.DuplicateAddress { return o.sp.DuplicateAddresses() }

// ReleaseAddress ends the quarantine of an address and reports whether it was in
// one.
func (o *Overlay) ReleaseAddress(vni table.VNI, ip netip.Addr) bool {
	return o.sp.ReleaseAddress(o.clock(), vni, ip)
}

// tellNeighbours hands on what changed about addresses behind other nodes.
func (o *Overlay) tellNeighbours(list []evpn.NeighbourChange) {
	if o.neighbours != nil && len(list) > 0 {
		o.neighbours.Remote(list)
	}
}

// duplicateAddress takes the beginning or the end of an address's quarantine.
func (o *Overlay) duplicateAddress(e *evpn.Event) {
	on := e.Kind == evpn.EventDuplicateIP
	o.moves.add(*e)
	if on {
		o.counts.DuplicateIPs++
		o.log.Warn("evpn: duplicate address, nobody is told of it until it is released", "vni", e.VNI, "ip", e.IP, "mac", e.MAC)
	} else {
		o.log.Info("evpn: quarantine of an address ended", "vni", e.VNI, "ip", e.IP)
	}
	if o.neighbours != nil {
		o.neighbours.Hold(e.VNI, e.IP, on)
	}
}

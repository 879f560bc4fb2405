package overlay

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// hosts are the addresses that the gateways of this leaf have resolved. One is
// announced while its MAC is at a circuit of this leaf: either may be known first.
type hosts struct {
	macs map[hostKey]table.MAC
	at   map[macKey][]netip.Addr // the reverse
}

type hostKey struct {
	vni  table.VNI
	addr netip.Addr
}

func newHosts() hosts { return hosts{map[hostKey]table.MAC{}, map[macKey][]netip.Addr{}} }

// Host says that a gateway of this leaf has resolved an address, or that it has
// another MAC.
func (o *Overlay) Host(vni table.VNI, addr netip.Addr, mac table.MAC) {
	if o.hosts.macs[hostKey{vni, addr}] != mac {
		o.HostGone(vni, addr)
		o.hosts.macs[hostKey{vni, addr}] = mac
		key := macKey{vni, mac}
		o.hosts.at[key] = append(o.hosts.at[key], addr)
	}
	if e, ok := o.tables.Entry(vni, mac); ok && e.Dest.Kind == l2.DestLocal && !e.External {
		o.bind(macKey{vni, mac}, addr, e.Dest.ID, e.Static)
	}
}

// HostGone says that nothing is known of an address here any more.
func (o *Overlay) HostGone(vni table.VNI, addr netip.Addr) {
	mac, ok := o.hosts.macs[hostKey{vni, addr}]
	if !ok {
		return
	}
	delete(o.hosts.macs, hostKey{vni, addr})
	key := macKey{vni, mac}
	left := slices.DeleteFunc(o.hosts.at[key], func(a netip.Addr) bool { return a == addr })
	if o.hosts.at[key] = left; len(left) == 0 {
		delete(o.hosts.at, key)
	}
	if o.bound[hostKey{vni, addr}].mac != mac { // proxy ARP and ND still have it
		o.sp.Forget(o.clock(), vni, mac, addr)
	}
}

// bindAll announces the addresses of a MAC that came to a circuit of this leaf.
func (o *Overlay) bindAll(key macKey, circuit uint32, sticky bool) {
	for _, a := range o.hosts.at[key] {
		o.bind(key, a, circuit, sticky)
	}
}

// bind announces an address of a MAC at a circuit of this leaf.
func (o *Overlay) bind(key macKey, addr netip.Addr, circuit uint32, sticky bool) {
	if _, ok := o.bds[key.vni]; !ok {
		return // no EVPN there
	}
	b := o.bound[hostKey{key.vni, addr}]
	m := evpn.LocalMAC{
		VNI: key.vni, MAC: key.mac, IP: addr, Port: circuit, Sticky: sticky, Bits: bitsOf(addr, b.router && b.mac == key.mac),
	}
	if o.learn(m) == evpn.Quarantined {
		o.barred = append(o.barred, key)
	}
}

// doubt has the hosts asked whose MACs left this leaf: what answers does so at its
// new leaf, which then announces the address (RFC 9135 section 7).
func (o *Overlay) doubt(evictions []evpn.Eviction) {
	if o.router == nil {
		return
	}
	for i := range evictions {
		e := &evictions[i]
		for _, a := range o.hosts.at[macKey{e.VNI, e.MAC}] {
			o.router.Doubt(e.VNI, a)
		}
	}
}

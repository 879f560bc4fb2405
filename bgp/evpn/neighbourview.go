package evpn

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Neighbours calls f for each pair of IP and MAC behind another node in a bridge
// domain, as published, by address.
func (s *Speaker) Neighbours(vni table.VNI, f func(NeighbourChange)) {
	b := s.bds[vni]
	if b == nil {
		return
	}
	var ips []netip.Addr
	for ip, n := range b.neighbours {
		if n.shown.mac != 0 {
			ips = append(ips, ip)
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	for _, ip := range ips {
		n := b.neighbours[ip]
		f(NeighbourChange{VNI: vni, IP: ip, MAC: n.shown.mac, Bits: n.shown.bits})
	}
}

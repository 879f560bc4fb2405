package metrics

import (
	"strconv"

	"github.com/ztos/ztos/config/status"
)

var (
	dhcpRelayed = desc("dhcp_relayed_total", "DHCP messages that a VNI's relay passed on.", "vni", "family", "direction")
	dhcpRefused = desc("dhcp_refused_total", "DHCP messages that a VNI's relay did not pass on, by reason.", "vni", "reason")
	dhcpStrays  = desc("dhcp_stray_replies_total", "Replies of DHCP servers that name no VNI of the VRF, by reason.", "vrf", "reason")
)

// dhcp sends what the DHCP relays did; nothing without one.
func (c collector) dhcp(o *out) {
	var relays []status.DHCPRelay
	for _, v := range c.b.DHCP().VRFs {
		relays = append(relays, v.Relays...)
		for _, f := range v.Faults {
			o.counter(dhcpStrays, f.Count, v.Name, f.Name)
		}
	}
	for _, r := range bounded(o, relays) {
		vni := strconv.Itoa(int(r.VNI))
		o.counter(dhcpRelayed, r.Requests4, vni, "ipv4", "to-servers")
		o.counter(dhcpRelayed, r.Replies4, vni, "ipv4", "to-clients")
		o.counter(dhcpRelayed, r.Requests6, vni, "ipv6", "to-servers")
		o.counter(dhcpRelayed, r.Replies6, vni, "ipv6", "to-clients")
		for _, f := range r.Faults {
			o.counter(dhcpRefused, f.Count, vni, f.Name)
		}
	}
}

package overlay

import (
	"net/netip"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// members takes what changed about which VTEP is in which VNI, and reports
// whether what a spine may serve did.
func (o *Overlay) members(list []evpn.Member) (changed bool) {
	for _, m := range list {
		serve := !m.Remove && m.Granted
		if !m.Remove && !m.Granted {
			o.refuse(m.VTEP, m.VNI, evpn.ReasonVNIGrant.String(), "")
		}
		m.Remove, m.Granted = false, false
		if o.member[m] != serve {
			changed = true
			if serve {
				o.member[m] = true
			} else {
				delete(o.member, m)
			}
		}
	}
	return changed
}

// Grants reports whether a VTEP may announce anything.
func (o *Overlay) Grants(vtep netip.Addr) bool {
	_, ok := o.grants[vtep]
	return ok
}

// Member reports whether a VTEP announces a VNI that it was granted.
func (o *Overlay) Member(vtep netip.Addr, vni table.VNI) bool {
	return o.member[evpn.Member{VTEP: vtep, VNI: vni}]
}

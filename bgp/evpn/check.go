package evpn

import "github.com/ztos/ztos/engine/table"

// check returns why a route cannot be used by anybody, 0 if it can. Such a route
// is taken for withdrawn, as RFC 9136 section 3.2 asks for some of these cases
// and as suits the others: the session is none the worse for it.
func (s *Speaker) check(r *Route) Reason {
	k, a := &r.Key, &r.Attrs
	if k.Kind < AutoDiscovery || k.Kind > Prefix {
		return ReasonKind
	}
	if !unicast(a.NextHop) {
		return ReasonNextHop
	}
	if k.Kind != Segment && len(a.RTs) == 0 {
		return ReasonNoRT
	}
	// RFC 8365 section 6: only what both sides have in common can carry a frame.
	if a.Encaps&EncapVXLAN == 0 && (a.Encaps != 0 || !s.cfg.AssumeVXLAN) {
		return ReasonEncap
	}
	switch k.Kind {
	case AutoDiscovery:
		return checkAD(k, a)
	case MACIP:
		return checkMAC(k, a)
	case Multicast:
		return checkMulticast(k, a)
	case Segment:
		if !k.ESI.shared() || a.ESImport != k.ESI.Import() {
			return ReasonESI // RFC 7432 section 7.6: the route target of the segment
		}
		if !unicast(k.IP) {
			return ReasonIP
		}
	case Prefix:
		return checkPrefix(k, a)
	}
	return 0
}

func checkAD(k *Key, a *Attrs) Reason {
	switch {
	case !k.ESI.shared():
		return ReasonESI
	case k.Tag == MaxTag && !a.ESILabel.Present: // "MUST be included", RFC 7432 section 8.2.1
		return ReasonESI
	case k.Tag != MaxTag && !isVNI(a.Label1):
		return ReasonLabel
	}
	return 0
}

func checkMAC(k *Key, a *Attrs) Reason {
	switch {
	case k.MAC == 0 || k.MAC.IsMulticast() || k.MAC > table.Broadcast:
		return ReasonMAC
	case k.IP.IsValid() && !unicast(k.IP):
		return ReasonIP
	case !isVNI(a.Label1) || a.Label2 > table.MaxVNI:
		return ReasonLabel
	case a.RouterMAC.IsMulticast():
		return ReasonRouterMAC
	}
	return 0
}

func checkMulticast(k *Key, a *Attrs) Reason {
	switch {
	case !unicast(k.IP):
		return ReasonIP
	case !a.PMSI.Present || a.PMSI.Type != PMSIIngressReplication:
		return ReasonTunnel
	case a.PMSI.Endpoint.IsValid() && !unicast(a.PMSI.Endpoint):
		return ReasonTunnel
	case !isVNI(a.PMSI.VNI):
		return ReasonLabel
	}
	return 0
}

func checkPrefix(k *Key, a *Attrs) Reason {
	p := k.Prefix()
	switch {
	case !p.IsValid() || p != p.Masked() || p.Addr().Is4In6(): // no FIB takes the last
		return ReasonIP
	case a.Gateway.IsValid() && (!a.ESI.IsZero() || a.Gateway.BitLen() != k.IP.BitLen() || !unicast(a.Gateway)):
		return ReasonOverlayIndex // RFC 9136 sections 3.1 and 3.2
	case !a.ESI.IsZero():
		return ReasonUnresolved
	case a.Gateway.IsValid():
		return 0
	case a.Label1 == 0 && a.RouterMAC != 0:
		return ReasonUnresolved // a MAC as overlay index
	case !isVNI(a.Label1):
		return ReasonLabel
	case a.RouterMAC == 0 || a.RouterMAC.IsMulticast():
		return ReasonRouterMAC // VXLAN carries Ethernet: there is no address to send to
	}
	return 0
}

func isVNI(v table.VNI) bool { return v > 0 && v <= table.MaxVNI }

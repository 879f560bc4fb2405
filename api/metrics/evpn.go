package metrics

import (
	"strconv"
)

var (
	bgpUp       = desc("bgp_peer_established", "1 when the BGP session is established.", "peer", "address")
	bgpReceived = desc("bgp_peer_received_routes", "Routes that the peer announces now.", "peer", "address")
	bgpSent     = desc("bgp_peer_advertised_routes", "Routes announced to the peer now.", "peer", "address")
	bgpMessages = desc("bgp_peer_messages_total", "BGP messages of the session.", "peer", "address", "direction")
	bgpIgnored  = desc("bgp_peer_ignored_routes_total", "Routes of the peer of types that nobody here knows, and malformed ones.", "peer", "address")

	evpnRoutes     = desc("evpn_routes", "EVPN routes of peers that are held.")
	evpnPaths      = desc("evpn_paths", "Paths of them, several for one route.")
	evpnVTEPs      = desc("evpn_flood_vteps", "VTEPs that announce a VNI and are granted it.", "vni")
	evpnMACs       = desc("evpn_macs", "MACs of a VNI with EVPN, here or behind others.", "vni", "place")
	evpnRefused    = desc("evpn_refused_routes_total", "What was announced and ignored, by reason.", "reason")
	evpnBindings   = desc("evpn_bindings", "Addresses that the proxy ARP and ND of a VNI knows, of hosts here or of all.", "vni", "place")
	evpnProxied    = desc("evpn_proxy_total", "What the proxy ARP and ND of a VNI did.", "vni", "what")
	evpnDuplicates = desc("evpn_duplicate_macs", "MACs in quarantine.")
)

// bgp sends the sessions.
func (c collector) bgp(o *out) {
	for _, p := range bounded(o, c.b.BGP().Peers) {
		at := []string{p.Name, p.Address.String()}
		o.flag(bgpUp, p.State == "established", at...)
		o.gauge(bgpReceived, float64(p.Received), at...)
		o.gauge(bgpSent, float64(p.Advertised), at...)
		o.counter(bgpMessages, p.RxMessages, at[0], at[1], "rx")
		o.counter(bgpMessages, p.TxMessages, at[0], at[1], "tx")
		o.counter(bgpIgnored, p.Ignored, at...)
	}
}

// evpn sends what EVPN holds; nothing without it.
func (c collector) evpn(o *out) {
	e := c.b.EVPN()
	if !e.Enabled {
		return
	}
	o.gauge(evpnRoutes, float64(e.Routes))
	o.gauge(evpnPaths, float64(e.Paths))
	o.gauge(evpnDuplicates, float64(len(c.b.Duplicates())))
	for _, d := range bounded(o, e.Domains) {
		vni := strconv.Itoa(int(d.VNI))
		o.gauge(evpnVTEPs, float64(len(d.VTEPs)), vni)
		o.gauge(evpnMACs, float64(d.Local), vni, "local")
		o.gauge(evpnMACs, float64(d.Remote), vni, "remote")
		if s := d.Suppression; s != nil {
			o.gauge(evpnBindings, float64(s.Local), vni, "local")
			o.gauge(evpnBindings, float64(s.Known-s.Local), vni, "remote")
			for _, n := range s.Counts {
				o.counter(evpnProxied, n.Count, vni, n.Name)
			}
		}
	}
	sum := map[string]uint64{}
	for _, r := range e.Refusals {
		sum[r.Reason] += r.Count
	}
	for reason, n := range sum {
		o.counter(evpnRefused, n, reason)
	}
}

package metrics

import (
	"strconv"
)

var (
	bgpUp       = desc("bgp_peer_established", "1 when the BGP session is established.", "peer", "vrf", "address")
	bgpReceived = desc("bgp_peer_received_routes", "Routes that the peer announces now.", "peer", "vrf", "address")
	bgpSent     = desc("bgp_peer_advertised_routes", "Routes announced to the peer now.", "peer", "vrf", "address")
	bgpMessages = desc("bgp_peer_messages_total", "BGP messages of the session.", "peer", "vrf", "address", "direction")
	bgpIgnored  = desc("bgp_peer_ignored_routes_total", "Routes of the peer of types that nobody here knows, and malformed ones.", "peer", "vrf", "address")

	externalRoutes = desc("external_routes", "Prefixes that lead to routers outside the fabric.", "vrf")
	externalFaults = desc("external_faults_total", "Routes of routers outside the fabric that were not taken, by reason.", "vrf", "reason")

	evpnRoutes     = desc("evpn_routes", "EVPN routes of peers that are held.")
	evpnPaths      = desc("evpn_paths", "Paths of them, several for one route.")
	evpnVTEPs      = desc("evpn_flood_vteps", "VTEPs that announce a VNI and are granted it.", "vni")
	evpnMACs       = desc("evpn_macs", "MACs of a VNI with EVPN, here or behind others.", "vni", "place")
	evpnRefused    = desc("evpn_refused_routes_total", "What was announced and ignored, by reason.", "reason")
	evpnBindings   = desc("evpn_bindings", "Addresses that the proxy ARP and ND of a VNI knows, of hosts here or of all.", "vni", "place")
	evpnProxied    = desc("evpn_proxy_total", "What the proxy ARP and ND of a VNI did.", "vni", "what")
	evpnSegmentUp  = desc("evpn_segment_up", "1 when the port of an Ethernet segment of this node has a link.", "segment")
	evpnDF         = desc("evpn_segment_df", "1 when this node is the designated forwarder of the segment in the VNI.", "segment", "vni")
	evpnPeers      = desc("evpn_segment_peers", "Other leaves on an Ethernet segment of this node.", "segment", "vni")
	evpnGroup      = desc("evpn_group_vteps", "VTEPs that share the flows to MACs behind a segment of other nodes.", "vni", "esi")
	evpnDuplicates = desc("evpn_duplicate_macs", "MACs in quarantine.")
)

// bgp sends the sessions.
func (c collector) bgp(o *out) {
	b := c.b.BGP()
	for _, x := range bounded(o, b.External) {
		o.gauge(externalRoutes, float64(x.Routes), x.VRF)
		for _, f := range x.Faults {
			o.counter(externalFaults, f.Count, x.VRF, f.Name)
		}
	}
	for _, p := range bounded(o, b.Peers) {
		at := []string{p.Name, p.VRF, p.Address.String()}
		o.flag(bgpUp, p.State == "established", at...)
		o.gauge(bgpReceived, float64(p.Received), at...)
		o.gauge(bgpSent, float64(p.Advertised), at...)
		o.counter(bgpMessages, p.RxMessages, at[0], at[1], at[2], "rx")
		o.counter(bgpMessages, p.TxMessages, at[0], at[1], at[2], "tx")
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
	for _, s := range bounded(o, e.Segments) {
		o.flag(evpnSegmentUp, s.Up, s.Name)
		for _, v := range bounded(o, s.VNIs) {
			vni := strconv.Itoa(int(v.VNI))
			o.flag(evpnDF, v.Self, s.Name, vni)
			o.gauge(evpnPeers, float64(len(v.Peers)), s.Name, vni)
		}
	}
	for _, g := range bounded(o, e.Groups) {
		o.gauge(evpnGroup, float64(len(g.VTEPs)), strconv.Itoa(int(g.VNI)), g.ESI)
	}
	sum := map[string]uint64{}
	for _, r := range e.Refusals {
		sum[r.Reason] += r.Count
	}
	for reason, n := range sum {
		o.counter(evpnRefused, n, reason)
	}
}

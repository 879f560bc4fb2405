package control

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
)

// Explain says where a MAC or an IP address is, by which routes, and through which
// keys; and why it is nowhere.
func (n *Node) Explain(q status.ExplainQuery) (e status.Explanation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.sortedDomains() {
		if q.VNI != 0 && q.VNI != d.cfg.VNI {
			continue
		}
		macs := []table.MAC{q.MAC}
		if q.Address.IsValid() {
			macs = n.macsOf(d.cfg.VNI, q.Address)
		}
		for _, m := range macs {
			if p, ok := n.explainMAC(d, m, q.Address); ok {
				e.Places = append(e.Places, p)
			}
		}
	}
	if q.Address.IsValid() && q.VNI == 0 {
		e.Routed = n.explainRouted(q.Address)
	}
	if len(e.Places) == 0 && !slices.ContainsFunc(e.Routed, func(x status.Routed) bool { return len(x.Ways) > 0 }) {
		e.Why = n.whyNowhere(&q)
	}
	return e
}

// macsOf returns the MACs that have an address in a bridge domain, as the proxy, the
// gateway and EVPN know it, each once.
func (n *Node) macsOf(vni table.VNI, a netip.Addr) []table.MAC {
	found := map[table.MAC]bool{}
	for l := range n.proxy.All(vni) {
		if l.Addr == a {
			found[l.MAC] = true
		}
	}
	for l := range n.neighbours.All(vni) {
		if l.Addr == a && l.MAC != 0 {
			found[l.MAC] = true
		}
	}
	if n.overlay != nil {
		for _, p := range n.overlay.Find(a) {
			if p.VNI == vni {
				found[p.MAC] = true
			}
		}
	}
	if d := n.domains[vni]; d != nil && d.cfg.Gateway != nil {
		for _, g := range d.cfg.Gateway.Addresses {
			if g.Addr() == a {
				found[d.cfg.Gateway.MAC] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// explainMAC says where a MAC is in a bridge domain; false when it is not known
// there.
func (n *Node) explainMAC(d *domainState, mac table.MAC, a netip.Addr) (p status.Place, ok bool) {
	p = status.Place{VNI: d.cfg.VNI, Name: d.cfg.Name, MAC: mac, Address: a, Kind: "unknown"}
	entry, has := d.domain.BD.FDB.Get(mac)
	var view evpn.MACView
	known := false
	if n.overlay != nil {
		view, known = n.overlay.MAC(d.cfg.VNI, mac)
	}
	known = known && (view.Local || len(view.Claims) > 0 || view.Duplicate != nil)
	if !has && !known && !a.IsValid() {
		return p, false
	}
	if has {
		n.explainEntry(d, &entry, &p)
	} else {
		p.Why = "the FDB does not have its MAC: frames to it are flooded"
	}
	if dup := view.Duplicate; dup != nil {
		p.Why = fmt.Sprintf("in quarantine as a duplicate: keeper %s, newcomer %s; `ztosctl evpn release %d %s` ends it",
			nodeName(dup.Keeper), nodeName(dup.Newcomer), p.VNI, mac)
	}
	n.explainRoutes(&view, &p)
	return p, true
}

// nodeName names a node of EVPN's.
func nodeName(a netip.Addr) string {
	if !a.IsValid() {
		return "this node"
	}
	return a.String()
}

// explainEntry says what an entry of the FDB leads to.
func (n *Node) explainEntry(d *domainState, e *l2.Entry, p *status.Place) {
	p.Source = "learned"
	switch {
	case e.External:
		p.Source = "evpn"
	case e.Static:
		p.Source = "static"
	}
	at := n.places(d)[e.Dest]
	switch e.Dest.Kind {
	case l2.DestLocal:
		p.Kind, p.Port, p.VLAN = "port", at.Port, at.VLAN
		if st := n.ports[at.Port]; at.Port == "" || st == nil {
			p.Why = "its attachment circuit is gone"
		} else if s := st.device.Status(); !s.Present || !s.Up {
			p.Why = "its port is down"
		}
	case l2.DestVTEP:
		p.Kind, p.VTEP = "vtep", at.VTEP
		n.explainKeys(d, p)
	case l2.DestGroup:
		n.explainGroup(d, l2.GroupID(e.Dest.ID), p)
	case l2.DestGateway:
		p.Kind = "gateway"
	default:
		p.Kind, p.Why = "blackhole", "frames to it and from it are dropped"
	}
}

// explainGroup says where a MAC behind a segment of several leaves is: of the VTEPs
// that share its flows the first is looked at.
func (n *Node) explainGroup(d *domainState, id l2.GroupID, p *status.Place) {
	p.Kind = "segment"
	g, ok := n.overlay.InGroup(d.cfg.VNI, id)
	switch {
	case !ok || !g.Local && len(g.Members) == 0:
		p.Why = "no leaf of its segment has a link to it: frames to it are flooded"
	case g.Local:
		p.Segment = g.ESI.String()
	default:
		p.Segment, p.VTEP = g.ESI.String(), g.Members[0]
		n.explainKeys(d, p)
	}
}

// explainKeys says through which keys frames go to p's VTEP, and whether they can.
func (n *Node) explainKeys(d *domainState, p *status.Place) {
	k, why := n.keysTo(d, p.VTEP)
	if p.Keys = k; why != "" {
		p.Why = why
	}
}

// keysTo returns through which keys frames of d go to a VTEP, and why they can't.
func (n *Node) keysTo(d *domainState, vtep netip.Addr) (k *status.ExplainedKeys, why string) {
	adj := d.domain.Adjacencies[vtep]
	if adj == nil {
		return nil, "the bridge domain has no such VTEP any more"
	}
	k = &status.ExplainedKeys{}
	why = n.explainPeers(adj, k)
	if d.domain.SecY == nil {
		return k, why
	}
	vteps := map[table.VTEPID]netip.Addr{adj.ID: vtep}
	s := showSecY(&d.cfg, d.domain.SecY.State(), vteps)
	k.Cipher, k.TxSCI = s.Cipher, s.TxSCI
	if s.TxUsable {
		k.TxSA = fmt.Sprint(s.TxAN)
	} else {
		why = "there is no transmit SA to protect frames with"
	}
	for _, sc := range s.RxSCs {
		if sc.VTEP != vtep {
			continue
		}
		text := sc.SCI.String() + " AN"
		for _, sa := range sc.SAs {
			text += fmt.Sprintf(" %d", sa.AN)
		}
		k.RxSCs = append(k.RxSCs, text)
	}
	return k, why
}

// explainPeers adds the peers by which adj is reached to k, and returns why none can
// be used.
func (n *Node) explainPeers(adj *fabric.Adjacency, k *status.ExplainedKeys) (why string) {
	now := n.now()
	for _, path := range adj.Route.Paths {
		for i := range n.cfg.Peers {
			c := &n.cfg.Peers[i]
			if c.Name != path.Name {
				continue
			}
			s := status.Peer{Endpoint: c.Endpoint}
			x := status.KeyPeer{Name: c.Name, Carrier: c.Carrier, PublicKey: c.PublicKey, Usable: path.WireGuard == nil}
			if path.WireGuard != nil {
				n.describe(&s, path.WireGuard, now)
				x.Usable = path.WireGuard.Usable(now)
			}
			x.Endpoint = s.Endpoint
			k.Peers = append(k.Peers, x)
		}
	}
	if !adj.Route.Usable(now) {
		return "no peer that leads to the VTEP has a session"
	}
	return ""
}

// explainRoutes lists what this node and others announce of a MAC, and of the
// address if one was asked for.
func (n *Node) explainRoutes(v *evpn.MACView, p *status.Place) {
	wanted := func(ip netip.Addr) bool { return !p.Address.IsValid() || !ip.IsValid() || ip == p.Address }
	if bd, ok := n.overlayDomain(p.VNI); ok && v.Local {
		for _, ip := range append([]netip.Addr{{}}, v.IPs...) {
			if !wanted(ip) {
				continue
			}
			r := status.ExplainedRoute{
				RD: bd.RD.String(), MAC: p.MAC, Address: ip, NextHop: n.cfg.Self.Address, Label: p.VNI, Seq: v.Mobility.Seq,
				Sticky: v.Mobility.Sticky, Own: true, Best: true, Used: p.Kind == "port",
			}
			for _, rt := range bd.Export {
				r.RTs = append(r.RTs, rt.String())
			}
			p.Routes = append(p.Routes, r)
		}
	}
	for _, c := range v.Claims {
		if !wanted(c.IP) {
			continue
		}
		for _, k := range n.overlay.Paths(c.Key) {
			a := &k.Route.Attrs
			r := status.ExplainedRoute{
				RD: c.Key.RD.String(), MAC: p.MAC, Address: c.IP, NextHop: a.NextHop, Label: a.Label1, Seq: a.Mobility.Seq,
				Sticky: a.Mobility.Sticky, From: n.overlay.Peer(k.Peer), Best: k.Best,
				Used: k.Best && p.Kind == "vtep" && p.Source == "evpn" && a.NextHop == p.VTEP,
			}
			for _, rt := range a.RTs {
				r.RTs = append(r.RTs, rt.String())
			}
			p.Routes = append(p.Routes, r)
		}
	}
}

func (n *Node) overlayDomain(vni table.VNI) (evpn.BD, bool) {
	if n.overlay == nil {
		return evpn.BD{}, false
	}
	return n.overlay.Domain(vni)
}

// whyNowhere says why nothing is known of what q asks for.
func (n *Node) whyNowhere(q *status.ExplainQuery) string {
	switch {
	case q.VNI != 0 && n.domains[q.VNI] == nil:
		return fmt.Sprintf("this node has no bridge domain with VNI %d", q.VNI)
	case len(n.domains) == 0:
		return "this node has no bridge domain"
	case n.overlay == nil:
		return "no host here has it, and without BGP nobody says what others have"
	}
	k, found, all := n.overlay.Unused(func(k evpn.Key) bool {
		if q.Address.IsValid() {
			return k.IP == q.Address
		}
		return k.MAC == q.MAC
	})
	switch {
	case found && k.Refused != 0:
		return fmt.Sprintf("%s announces it, and is refused: %s (route %s)", k.Route.Attrs.NextHop, k.Refused, k.Route.Key)
	case found:
		return fmt.Sprintf("%s announces it with route targets %v, which no bridge domain here imports (route %s)",
			k.Route.Attrs.NextHop, k.Route.Attrs.RTs, k.Route.Key)
	case !all:
		return "no host here has it; not all routes of others were looked at, there are too many"
	}
	return "no host here has it, and nobody announces it"
}

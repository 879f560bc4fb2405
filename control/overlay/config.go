package overlay

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// Configuration returns what EVPN works by, of a document with BGP. Route
// distinguishers and targets are those that the document says or derives.
func Configuration(n *config.Node) evpn.Config {
	c := evpn.Config{
		VTEP: n.Self.Address, RouterID: n.BGP.RouterID,
		Members: n.Self.Is(config.Spine),
		Grants:  map[netip.Addr]evpn.Grant{},
	}
	l3vni, routers := l3vnis(n), routerMACs(n)
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		if b.EVPN == nil {
			continue
		}
		imports, exports := targets(b.EVPN)
		if mac, ok := routers[b.VNI]; ok {
			c.VRFs = append(c.VRFs, evpn.VRF{
				ID: vrfID(b.VNI), VNI: b.VNI, RD: b.EVPN.RD.RD, Import: imports, Export: exports, RouterMAC: mac,
			})
		} else {
			c.BDs = append(c.BDs, evpn.BD{
				VNI: b.VNI, RD: b.EVPN.RD.RD, Import: imports, Export: exports, VRF: vrfID(l3vni[b.VRF]),
			})
		}
		for _, v := range b.Remotes() {
			grant(c.Grants, v, b.VNI)
		}
	}
	for i := range n.EthernetSegments {
		s := &n.EthernetSegments[i]
		x := evpn.EthernetSegment{ESI: s.Identifier(), SingleActive: s.Mode == config.SingleActive, DF: s.DF.Election()}
		for _, b := range c.BDs {
			if attached(n, b.VNI, s.Port) {
				x.VNIs = append(x.VNIs, b.VNI)
			}
		}
		c.Segments = append(c.Segments, x)
	}
	for i := range n.VRFs {
		v := &n.VRFs[i]
		for _, a := range v.VTEPs {
			for _, vni := range v.VNIs {
				grant(c.Grants, a, vni)
			}
		}
	}
	return c
}

// attached reports whether a bridge domain has a circuit at a port.
func attached(n *config.Node, vni table.VNI, port string) bool {
	return slices.ContainsFunc(n.BridgeDomains, func(b config.BridgeDomain) bool {
		return b.VNI == vni && slices.ContainsFunc(b.Attach, func(a config.Attach) bool { return a.Port == port })
	})
}

// grant lets a VTEP announce a VNI.
func grant(gs map[netip.Addr]evpn.Grant, vtep netip.Addr, vni table.VNI) {
	g, ok := gs[vtep]
	if !ok {
		g.VNIs = map[table.VNI]bool{}
		gs[vtep] = g
	}
	g.VNIs[vni] = true
}

// Configure makes c what the Overlay works by. names are those of the bridge
// domains, for display.
func (o *Overlay) Configure(c evpn.Config, names map[table.VNI]string) error {
	if err := o.sp.Configure(o.clock(), c); err != nil {
		return err
	}
	regrant := !maps.EqualFunc(o.grants, c.Grants, func(a, b evpn.Grant) bool { return maps.Equal(a.VNIs, b.VNIs) })
	o.grants = c.Grants
	if regrant {
		o.reportUngranted()
	}
	o.configureVRFs(c.VRFs, names)
	old := o.bds
	o.bds = make(map[table.VNI]domain, len(c.BDs))
	for _, b := range c.BDs {
		o.bds[b.VNI] = domain{b, names[b.VNI]}
		if _, had := old[b.VNI]; !had {
			o.adopt(b.VNI)
		}
	}
	o.regroup()
	for vni := range old {
		if _, stays := o.bds[vni]; !stays {
			o.abandon(vni)
		}
	}
	return nil
}

// reportUngranted reports the routes that were taken before, or not looked at, and
// are refused now.
func (o *Overlay) reportUngranted() {
	o.Known(func(k evpn.Known) bool {
		if k.Refused != 0 {
			o.refuse(k.Route.Attrs.NextHop, 0, k.Refused.String(), k.Route.Key.String())
		}
		return true
	})
}

// adopt announces what a bridge domain knew before it had EVPN.
func (o *Overlay) adopt(vni table.VNI) {
	for e := range o.tables.Entries(vni) {
		if e.Dest.Kind == l2.DestLocal && !e.External {
			o.learn(evpn.LocalMAC{VNI: vni, MAC: e.MAC, Port: e.Dest.ID, Sticky: e.Static})
			o.bindAll(macKey{vni, e.MAC}, e.Dest.ID, e.Static)
		}
	}
}

// abandon takes out of a bridge domain what EVPN put into it.
func (o *Overlay) abandon(vni table.VNI) {
	delete(o.floods, vni)
	var gone []table.MAC
	for e := range o.tables.Entries(vni) {
		if e.External {
			gone = append(gone, e.MAC)
		}
	}
	for _, m := range gone {
		o.displace(macKey{vni, m})
	}
}

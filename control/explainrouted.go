package control

import (
	"net/netip"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/l3"
)

// explainRouted says how each VRF sends packets to an address. Those without a route
// to it are left out.
func (n *Node) explainRouted(a netip.Addr) (out []status.Routed) {
	for _, st := range n.sortedVRFs() {
		p, origin, r := st.routes.Covering(a)
		if r == nil {
			continue
		}
		x := status.Routed{Route: status.Route{
			VRF: st.cfg.Name, Prefix: p, Origin: origin.String(), Kind: r.Kind.String(), Best: true, VNI: r.VNI,
		}}
		if l := r.Leak; l != nil {
			x.Route.Contract, x.Route.From = l.Contract, l.VRF
		}
		if r.Kind == l3.Blackhole {
			x.Why = "its packets are dropped"
		}
		for i := range r.Paths {
			x.Ways = append(x.Ways, n.explainWay(&r.Paths[i]))
		}
		out = append(out, x)
	}
	return out
}

// explainWay says through which keys a path leads, or whether its host is known.
func (n *Node) explainWay(p *l3.Path) status.Way {
	w := status.Way{Path: pathStatus(p)}
	switch d := n.domains[w.Path.VNI]; {
	case p.Host != nil && w.Path.MAC == 0:
		w.Why = "its MAC is not known: it is asked for"
	case p.Host != nil:
	case d == nil:
		w.Why = "its L3VNI is not configured any more"
	default:
		w.Keys, w.Why = n.keysTo(d, p.Addr)
	}
	return w
}

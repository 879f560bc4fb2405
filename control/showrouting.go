package control

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

func (n *Node) sortedVRFs() []*vrfState {
	return slices.SortedFunc(maps.Values(n.vrfs), func(a, b *vrfState) int { return cmp.Compare(a.cfg.Name, b.cfg.Name) })
}

// VRFs returns the VRFs of this leaf by name.
func (n *Node) VRFs() []status.VRF {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.VRF
	for _, st := range n.sortedVRFs() {
		s := status.VRF{
			Name: st.cfg.Name, L3VNI: st.cfg.L3VNI, RouterMAC: st.cfg.RouterMAC, URPF: st.cfg.URPF,
			Routes: st.routes.FIB().Load().Len(),
		}
		for _, d := range n.sortedDomains() {
			if d.cfg.VRF != st.cfg.Name || d.domain.IRB == nil || d.domain.IRB.Interface == nil {
				continue
			}
			in := d.domain.IRB.Interface
			s.Gateways = append(s.Gateways, status.Gateway{
				VNI: d.cfg.VNI, Name: d.cfg.Name, MAC: in.MAC, Addresses: slices.Clone(in.Addresses), LinkLocal: in.LinkLocal,
			})
			for range n.neighbours.All(d.cfg.VNI) {
				s.Neighbours++
			}
		}
		out = append(out, s)
	}
	return out
}

// Routes yields the routes that pass f, by VRF, then prefix, the best of a prefix
// first.
func (n *Node) Routes(f status.RouteFilter) iter.Seq[status.Route] {
	n.mu.Lock()
	var list []status.Route
	for _, st := range n.sortedVRFs() {
		for k := range st.routes.All() {
			r := status.Route{
				VRF: st.cfg.Name, Prefix: k.Prefix, Origin: k.Origin.String(), Kind: k.Route.Kind.String(), Best: k.Best, VNI: k.Route.VNI,
			}
			if l := k.Route.Leak; l != nil {
				r.Contract, r.From = l.Contract, l.VRF
			}
			if !f.Match(&r) {
				continue
			}
			for i := range k.Route.Paths {
				r.Paths = append(r.Paths, pathStatus(&k.Route.Paths[i]))
			}
			list = append(list, r)
		}
	}
	n.mu.Unlock()
	return slices.Values(list)
}

func pathStatus(p *l3.Path) status.Path {
	if p.Host == nil {
		return status.Path{VTEP: p.Addr, VNI: p.VNI, MAC: p.RouterMAC}
	}
	mac, _ := p.Host.MAC()
	return status.Path{Host: p.Host.Addr, VNI: p.Host.VNI, MAC: mac}
}

// Neighbours yields the neighbours that pass f, by VNI, then address.
func (n *Node) Neighbours(f status.NeighbourFilter) iter.Seq[status.Neighbour] {
	n.mu.Lock()
	now := n.now()
	var list []status.Neighbour
	vnis := slices.AppendSeq(n.proxy.Domains(), maps.Keys(n.links))
	slices.Sort(vnis)
	for _, vni := range slices.Compact(vnis) {
		list = n.appendNeighbours(list, vni, now, f)
	}
	n.mu.Unlock()
	return slices.Values(list)
}

func (n *Node) appendNeighbours(list []status.Neighbour, vni table.VNI, now int64, f status.NeighbourFilter) []status.Neighbour {
	vrf, bindings := "", n.bindings(vni)
	if l := n.links[vni]; l != nil {
		vrf = l.vrf
	}
	add := func(addr netip.Addr, mac table.MAC, state string, seen int64) {
		s := status.Neighbour{VRF: vrf, VNI: vni, Address: addr, MAC: mac, State: state}
		if seen != 0 {
			s.Age = config.Duration(max(time.Duration(now-seen).Truncate(time.Millisecond), time.Millisecond))
		}
		if f.Match(&s) {
			n.placeNeighbour(&s)
			list = append(list, s)
		}
	}
	from := len(list)
	for l := range n.neighbours.All(vni) {
		if _, both := bindings[l.Addr]; !both || l.State == l3.Permanent {
			delete(bindings, l.Addr)
			add(l.Addr, l.MAC, l.State.String(), l.Seen)
		}
	}
	for _, l := range bindings {
		add(l.Addr, l.MAC, string(l.State), l.Seen)
	}
	slices.SortFunc(list[from:], func(a, b status.Neighbour) int { return a.Address.Compare(b.Address) })
	return list
}

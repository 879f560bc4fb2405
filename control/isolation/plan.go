package isolation

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

// Plan is what belongs together, by the configuration alone.
type Plan struct {
	// Tenants names the tenant of each VNI.
	Tenants map[table.VNI]string
	// Circuits says in which VNI the frames of a circuit are.
	Circuits map[config.Attach]table.VNI
	// VTEPs are those that a leaf may exchange frames of a VNI with, Members those
	// that a spine may pass it on between.
	VTEPs, Members map[table.VNI]map[netip.Addr]bool
	// Permits is what contracts allow, by the VRFs' names.
	Permits map[[2]string][]Permit
}

// Permit is what a contract allows packets of one VRF in another.
type Permit struct {
	Contract          string
	Sources, Prefixes []netip.Prefix
}

// PlanOf returns what n, which is valid, says.
func PlanOf(n *config.Node) Plan {
	p := Plan{
		Tenants: map[table.VNI]string{}, Circuits: map[config.Attach]table.VNI{},
		VTEPs: map[table.VNI]map[netip.Addr]bool{}, Members: map[table.VNI]map[netip.Addr]bool{},
		Permits: map[[2]string][]Permit{},
	}
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		p.Tenants[b.VNI] = fmt.Sprintf("VNI %d", b.VNI)
		if b.VRF != "" {
			p.Tenants[b.VNI] = vrfName(b.VRF)
		}
		for _, a := range b.Attach {
			p.Circuits[a] = b.VNI
		}
		p.VTEPs[b.VNI] = setOf(b.Remotes())
	}
	for i := range n.VRFs {
		v := &n.VRFs[i]
		if v.L3VNI != 0 {
			p.Tenants[v.L3VNI] = vrfName(v.Name)
		}
		for _, vni := range v.VNIs {
			p.Tenants[vni] = vrfName(v.Name)
			p.Members[vni] = setOf(v.VTEPs)
		}
	}
	for i := range n.Contracts {
		k := &n.Contracts[i]
		there, back := [2]string{k.From, k.To}, [2]string{k.To, k.From}
		p.Permits[there] = append(p.Permits[there], Permit{k.Name, k.Return, k.Prefixes})
		p.Permits[back] = append(p.Permits[back], Permit{k.Name, k.Prefixes, k.Return})
	}
	return p
}

func vrfName(name string) string { return "VRF " + name }

func setOf(as []netip.Addr) map[netip.Addr]bool {
	out := make(map[netip.Addr]bool, len(as))
	for _, a := range as {
		out[a] = true
	}
	return out
}

// contract returns the name of the contract by which packets that come into VRF
// from may go to all of prefix to in VRF other; false when there is none.
func (p *Plan) contract(from, other string, to netip.Prefix) (string, bool) {
	for _, k := range p.Permits[[2]string{from, other}] {
		if within(k.Prefixes, to) {
			return k.Contract, true
		}
	}
	return "", false
}

// permits reports whether one contract of p allows all that l does.
func (p *Plan) permits(from string, l *l3.Leak) bool {
	return slices.ContainsFunc(p.Permits[[2]string{from, l.VRF}], func(k Permit) bool {
		beyond := func(of []netip.Prefix) func(netip.Prefix) bool {
			return func(x netip.Prefix) bool { return !within(of, x) }
		}
		return k.Contract == l.Contract && !slices.ContainsFunc(l.Sources, beyond(k.Sources)) &&
			!slices.ContainsFunc(l.Prefixes, beyond(k.Prefixes))
	})
}

// within reports whether one of ps holds all of x.
func within(ps []netip.Prefix, x netip.Prefix) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Bits() <= x.Bits() && p.Overlaps(x) })
}

// tenant returns the tenant of a VNI, "nobody" when the configuration has none.
func (p *Plan) tenant(vni table.VNI) string {
	if t, ok := p.Tenants[vni]; ok {
		return t
	}
	return "nobody"
}

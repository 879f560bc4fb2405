package isolation

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
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
}

// PlanOf returns what n, which is valid, says.
func PlanOf(n *config.Node) Plan {
	p := Plan{
		Tenants: map[table.VNI]string{}, Circuits: map[config.Attach]table.VNI{},
		VTEPs: map[table.VNI]map[netip.Addr]bool{}, Members: map[table.VNI]map[netip.Addr]bool{},
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

// tenant returns the tenant of a VNI, "nobody" when the configuration has none.
func (p *Plan) tenant(vni table.VNI) string {
	if t, ok := p.Tenants[vni]; ok {
		return t
	}
	return "nobody"
}

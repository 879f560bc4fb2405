package overlay

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

// vrfID is the handle of the VRF of an L3VNI in EVPN.
func vrfID(l3vni table.VNI) evpn.VRFID { return evpn.VRFID(l3vni) }

// l3vniOf is the reverse of vrfID.
func l3vniOf(id evpn.VRFID) table.VNI { return table.VNI(id) }

// vrf is a VRF as configured, and which prefixes this leaf announces for it.
type vrf struct {
	evpn.VRF
	name      string // of the L3VNI's bridge domain
	announced map[netip.Prefix]bool
}

// l3vnis returns the L3VNI of each VRF of a leaf that has one, by the VRF's name.
func l3vnis(n *config.Node) map[string]table.VNI {
	out := map[string]table.VNI{}
	for i := range n.VRFs {
		if v := &n.VRFs[i]; v.L3VNI != 0 {
			out[v.Name] = v.L3VNI
		}
	}
	return out
}

// routerMACs returns the router MAC of each L3VNI of a leaf.
func routerMACs(n *config.Node) map[table.VNI]table.MAC {
	out := map[table.VNI]table.MAC{}
	for i := range n.VRFs {
		if v := &n.VRFs[i]; v.L3VNI != 0 {
			out[v.L3VNI] = v.RouterMAC
		}
	}
	return out
}

// targets returns the route targets of a section of the document.
func targets(e *config.EVPN) (imports []evpn.Import, exports []evpn.RT) {
	for _, rt := range e.Import {
		imports = append(imports, rt.Import)
	}
	for _, rt := range e.Export {
		exports = append(exports, rt.RT)
	}
	return imports, exports
}

// configureVRFs takes the VRFs of a configuration. What was announced for one that
// stays is announced as before.
func (o *Overlay) configureVRFs(vrfs []evpn.VRF, names map[table.VNI]string) {
	old := o.vrfs
	o.vrfs = make(map[table.VNI]*vrf, len(vrfs))
	for _, v := range vrfs {
		x := &vrf{VRF: v, name: names[v.VNI], announced: map[netip.Prefix]bool{}}
		if was := old[v.VNI]; was != nil {
			x.announced = was.announced
		} else {
			o.replay[v.VNI] = true
		}
		o.vrfs[v.VNI] = x
	}
	for vni := range o.replay {
		if o.vrfs[vni] == nil {
			delete(o.replay, vni)
		}
	}
}

// Announce makes prefixes all that this leaf announces as type 5 for the VRF of an
// L3VNI; others are withdrawn. It reports whether there is such a VRF.
func (o *Overlay) Announce(l3vni table.VNI, prefixes []netip.Prefix) bool {
	v := o.vrfs[l3vni]
	if v == nil {
		return false
	}
	want := make(map[netip.Prefix]bool, len(prefixes))
	for _, p := range prefixes {
		want[p.Masked()] = true
	}
	for p := range v.announced {
		if !want[p] {
			delete(v.announced, p)
			o.sp.RemovePrefix(v.ID, p)
		}
	}
	for _, p := range prefixes {
		if p = p.Masked(); !v.announced[p] {
			v.announced[p] = true
			o.sp.AddPrefix(evpn.LocalPrefix{VRF: v.ID, Prefix: p})
		}
	}
	return true
}

// vrfDomains returns the VRFs as people see them beside bridge domains: by their
// L3VNI, which floods nowhere.
func (o *Overlay) vrfDomains() []Domain {
	out := make([]Domain, 0, len(o.vrfs))
	for vni, v := range o.vrfs {
		out = append(out, Domain{
			VNI: vni, Name: v.name, RD: v.RD, Import: slices.Clone(v.Import), Export: slices.Clone(v.Export),
		})
	}
	return out
}

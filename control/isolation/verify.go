package isolation

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/macsec"
)

// MaxBreaches bounds the breaches that a Report lists, and what is permitted; the
// rest are counted.
const MaxBreaches = 100

// Report is the result of Verify.
type Report struct {
	Tenants  int      // that have something on the node
	Steps    int      // entries of tables that were looked at
	Nowhere  int      // of them those whose end is not loaded: what goes there is dropped
	Breaches []Breach // at most MaxBreaches, in the order of From, To, Step
	More     int      // breaches beyond

	Permitted []Permitted // at most MaxBreaches, in the order of Contract, From, Step
	Further   int         // permitted steps beyond
}

// OK reports whether no path leads from one tenant to another.
func (r *Report) OK() bool { return len(r.Breaches) == 0 }

// Permitted is a step that leads from one tenant to another, as a contract says.
type Permitted struct {
	Contract string
	Breach
}

// Breach is a step that leads from one tenant to another.
type Breach struct {
	From, To string    // tenants
	Step     string    // the entry, in words
	VNI      table.VNI // the bridge domain whose entry it is; 0: none's
}

// Verify looks at every step that packets can take by what is loaded. It costs
// some 200 ns for each entry of an FDB or FIB.
func Verify(p Plan, s *fabric.Snapshot) Report {
	fibs := func(vrf *l3.VRF) iter.Seq2[netip.Prefix, *l3.Route] { return vrf.FIB.Load().All() }
	return verify(p, s, true, fibs)
}

// VerifyNew is Verify for a snapshot that is not published, with routes in place of
// FIBs: these outlive snapshots, and are as the one in force has them until an apply
// that can no longer fail changes them. FDBs are left out: what is learned is of the
// circuits and VTEPs of its own VNI.
func VerifyNew(p Plan, s *fabric.Snapshot, routes func(*l3.VRF) iter.Seq2[netip.Prefix, *l3.Route]) Report {
	return verify(p, s, false, routes)
}

func verify(p Plan, s *fabric.Snapshot, live bool, routes func(*l3.VRF) iter.Seq2[netip.Prefix, *l3.Route]) Report {
	v := verifier{
		plan: p, snap: s, live: live, routes: routes,
		acs: map[uint32]*fabric.AC{}, adjs: map[uint32]*fabric.Adjacency{}, domains: map[table.VNI]*fabric.Domain{},
		fibs: map[*fib.FIB[*l3.Route]]*l3.VRF{}, ids: map[uint32]*l3.VRF{},
		secys: map[*macsec.SecY]table.VNI{}, keys: map[string]table.VNI{},
	}
	v.index()
	for _, port := range s.Ports {
		v.port(port)
	}
	for _, d := range s.Domains {
		v.at = d.BD.VNI
		v.domain(d)
	}
	v.at = 0
	for _, vrf := range v.ids {
		v.vrf(vrf)
	}
	v.guard()
	tenants := map[string]bool{}
	for _, d := range s.Domains {
		tenants[p.tenant(d.BD.VNI)] = true
	}
	for vni := range s.VRFs {
		tenants[p.tenant(vni)] = true
	}
	v.out.Tenants = len(tenants)
	slices.SortFunc(v.out.Breaches, func(a, b Breach) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Step, b.Step))
	})
	slices.SortFunc(v.out.Permitted, func(a, b Permitted) int {
		return cmp.Or(cmp.Compare(a.Contract, b.Contract), cmp.Compare(a.From, b.From), cmp.Compare(a.Step, b.Step))
	})
	return v.out
}

type verifier struct {
	plan Plan
	snap *fabric.Snapshot
	live bool // with FDBs
	// routes are those of a VRF.
	routes func(*l3.VRF) iter.Seq2[netip.Prefix, *l3.Route]
	at     table.VNI // the bridge domain that is looked at
	out    Report

	acs     map[uint32]*fabric.AC
	adjs    map[uint32]*fabric.Adjacency
	domains map[table.VNI]*fabric.Domain
	fibs    map[*fib.FIB[*l3.Route]]*l3.VRF
	ids     map[uint32]*l3.VRF
	secys   map[*macsec.SecY]table.VNI
	keys    map[string]table.VNI // by fingerprint
}

// step notes one entry and compares the tenants of its ends.
func (v *verifier) step(from, to string, format string, args ...any) {
	v.out.Steps++
	if from != to {
		v.breach(from, to, format, args...)
	}
}

func (v *verifier) breach(from, to string, format string, args ...any) {
	if len(v.out.Breaches) == MaxBreaches {
		v.out.More++
		return
	}
	v.out.Breaches = append(v.out.Breaches, Breach{from, to, fmt.Sprintf(format, args...), v.at})
}

// nowhere notes an entry that leads nowhere.
func (v *verifier) nowhere() {
	v.out.Steps++
	v.out.Nowhere++
}

// index finds what handles stand for, as workers do.
func (v *verifier) index() {
	for _, a := range v.snap.ACs {
		v.acs[uint32(a.ID)] = a
	}
	for _, d := range v.snap.Domains {
		v.domains[d.BD.VNI] = d
		for _, a := range d.Adjacencies {
			v.adjs[uint32(a.ID)] = a
		}
	}
}

// port looks at what a frame is classified to, and where that is.
func (v *verifier) port(p *fabric.Port) {
	for ac := range p.Access.Circuits() {
		c := circuitOf(p, ac)
		to := v.acs[uint32(ac.ID)]
		if to == nil || to.Domain == nil {
			v.nowhere()
			continue
		}
		v.step(v.tenantOf(c), v.plan.tenant(to.Domain.BD.VNI), "port %s, %v leads into VNI %d", p.Name, ac.Match, to.Domain.BD.VNI)
		if to.VNI != to.Domain.BD.VNI {
			v.step(v.plan.tenant(to.VNI), v.plan.tenant(to.Domain.BD.VNI), "port %s, %v of VNI %d leads into VNI %d", p.Name, ac.Match, to.VNI, to.Domain.BD.VNI)
		}
	}
}

// circuitOf returns a loaded circuit as the configuration has it.
func circuitOf(p *fabric.Port, ac *l2.AC) config.Attach {
	return config.Attach{Port: p.Name, VLAN: ac.Match.VLAN, InnerVLAN: ac.Match.Inner, All: ac.Match.Kind == l2.MatchAll}
}

// tenantOf returns the tenant of a circuit.
func (v *verifier) tenantOf(c config.Attach) string {
	vni, ok := v.plan.Circuits[c]
	if !ok {
		return "nobody"
	}
	return v.plan.tenant(vni)
}

// domain looks at all ways out of a bridge domain or L3VNI.
func (v *verifier) domain(d *fabric.Domain) {
	vni, own := d.BD.VNI, v.plan.tenant(d.BD.VNI)
	if at := v.domains[vni]; at != d {
		v.breach(own, own, "VNI %d has two bridge domains", vni)
	}
	for _, ac := range d.BD.ACs {
		v.circuit(d, ac.ID, "VNI %d floods to", vni)
	}
	for _, id := range d.BD.VTEPs {
		v.vtep(d, id, "VNI %d floods to", vni)
	}
	for e := range v.fdb(d) {
		switch e.Dest.Kind {
		case l2.DestLocal:
			v.circuit(d, table.ACID(e.Dest.ID), "VNI %d has %v at", vni, e.MAC)
		case l2.DestVTEP:
			v.vtep(d, table.VTEPID(e.Dest.ID), "VNI %d has %v at", vni, e.MAC)
		case l2.DestGroup:
			v.group(d, d.BD.FDB.Group(l2.GroupID(e.Dest.ID)), e.MAC)
		}
	}
	for _, a := range d.Adjacencies {
		to := own
		if !v.plan.VTEPs[vni][a.VTEP] {
			to = "nobody"
		}
		v.step(own, to, "VNI %d is sent to VTEP %v", vni, a.VTEP)
	}
	if d.IRB != nil {
		v.step(own, vrfName(d.IRB.VRF.Name), "VNI %d is routed in VRF %s", vni, d.IRB.VRF.Name)
		if in := d.IRB.Interface; in != nil && in.VNI != vni {
			v.step(own, v.plan.tenant(in.VNI), "VNI %d has the gateway of VNI %d", vni, in.VNI)
		}
		v.note(d.IRB.VRF)
	}
	if d.SecY != nil {
		v.secY(d)
	}
}

// fdb yields the entries of d's FDB, when they are to be looked at.
func (v *verifier) fdb(d *fabric.Domain) iter.Seq[l2.Entry] {
	if !v.live {
		return func(func(l2.Entry) bool) {}
	}
	return d.BD.FDB.All()
}

// group looks at all ways to a MAC behind a segment.
func (v *verifier) group(d *fabric.Domain, g *l2.Group, m table.MAC) {
	if g == nil || len(g.Members) == 0 {
		v.nowhere()
		return
	}
	for _, to := range g.Members {
		if to.Kind == l2.DestLocal {
			v.circuit(d, table.ACID(to.ID), "VNI %d has %v at", d.BD.VNI, m)
		} else {
			v.vtep(d, table.VTEPID(to.ID), "VNI %d has %v at", d.BD.VNI, m)
		}
	}
}

// circuit looks at a way to a circuit.
func (v *verifier) circuit(d *fabric.Domain, id table.ACID, format string, args ...any) {
	to := v.acs[uint32(id)]
	if to == nil || to.Port == nil {
		v.nowhere()
		return
	}
	v.out.Steps++
	c := circuitOf(to.Port, to.AC)
	if from, at := v.plan.tenant(d.BD.VNI), v.tenantOf(c); from != at {
		v.breach(from, at, format+" port %s, %v", append(args, c.Port, to.Match)...)
	}
}

// vtep looks at a way to a VTEP.
func (v *verifier) vtep(d *fabric.Domain, id table.VTEPID, format string, args ...any) {
	to := v.adjs[uint32(id)]
	if to == nil || to.Domain == nil {
		v.nowhere()
		return
	}
	v.out.Steps++
	if from, at := v.plan.tenant(d.BD.VNI), v.plan.tenant(to.Domain.BD.VNI); from != at {
		v.breach(from, at, format+" VTEP %v of VNI %d", append(args, to.VTEP, to.Domain.BD.VNI)...)
	}
}

// note wants each VRF to be one, with a FIB of its own.
func (v *verifier) note(vrf *l3.VRF) {
	if other := v.ids[vrf.ID]; other != nil && other != vrf {
		v.step(vrfName(vrf.Name), vrfName(other.Name), "VRF %s has the handle of VRF %s", vrf.Name, other.Name)
	}
	if other := v.fibs[vrf.FIB]; other != nil && other != vrf {
		v.step(vrfName(vrf.Name), vrfName(other.Name), "VRF %s has the FIB of VRF %s", vrf.Name, other.Name)
	}
	v.ids[vrf.ID], v.fibs[vrf.FIB] = vrf, vrf
}

// vrf looks at what a VRF's packets may do in others, and at all its routes.
func (v *verifier) vrf(vrf *l3.VRF) {
	own := vrfName(vrf.Name)
	for _, l := range vrf.Leaks {
		if other := v.ids[l.To]; other == nil {
			v.nowhere()
			continue
		} else if other.Name != l.VRF {
			v.breach(own, vrfName(other.Name), "VRF %s sends to VRF %s by a contract with VRF %s", vrf.Name, other.Name, l.VRF)
		}
		v.out.Steps++
		if !v.plan.permits(vrf.Name, l) {
			v.breach(own, vrfName(l.VRF), "VRF %s sends from %v to %v of VRF %s", vrf.Name, l.Sources, l.Prefixes, l.VRF)
		}
	}
	for p, r := range v.routes(vrf) {
		switch r.Kind {
		case l3.Local, l3.Connected:
			if r.VNI == 0 { // to the leaf itself
				v.out.Steps++
				continue
			}
			v.route(own, p, r, r.VNI, vrf)
		case l3.Forward:
			for i := range r.Paths {
				v.path(own, p, r, &r.Paths[i], vrf)
			}
		default:
			v.out.Steps++ // dropped
		}
	}
}

// route looks at a way into a bridge domain.
func (v *verifier) route(own string, p netip.Prefix, r *l3.Route, vni table.VNI, vrf *l3.VRF) {
	if v.domains[vni] == nil {
		v.nowhere()
		return
	}
	v.out.Steps++
	if at := v.plan.tenant(vni); at != own {
		v.across(own, at, r, p, vrf, "VRF %s routes %v into VNI %d", vrf.Name, p, vni)
	}
}

// across notes r, a route for p that leads to tenant at: permitted when a contract
// says so and r bears it, by which packets are checked; else a breach.
func (v *verifier) across(own, at string, r *l3.Route, p netip.Prefix, vrf *l3.VRF, format string, args ...any) {
	other, isVRF := strings.CutPrefix(at, vrfName(""))
	name, ok := v.plan.contract(vrf.Name, other, p)
	switch {
	case !isVRF || !ok || r.Leak == nil || r.Leak.VRF != other:
		v.breach(own, at, format, args...)
	case len(v.out.Permitted) == MaxBreaches:
		v.out.Further++
	default:
		v.out.Permitted = append(v.out.Permitted, Permitted{name, Breach{own, at, fmt.Sprintf(format, args...), 0}})
	}
}

// path looks at a way by a host or by another leaf.
func (v *verifier) path(own string, p netip.Prefix, r *l3.Route, x *l3.Path, vrf *l3.VRF) {
	if x.Host != nil {
		v.route(own, p, r, x.Host.VNI, vrf)
		return
	}
	to := v.adjs[uint32(x.VTEP)]
	if to == nil || to.Domain == nil {
		v.nowhere()
		return
	}
	v.out.Steps++
	sent, adj := v.plan.tenant(x.VNI), v.plan.tenant(to.Domain.BD.VNI)
	if adj != sent { // no contract is about that
		v.breach(sent, adj, "VRF %s routes %v into VNI %d by a VTEP of VNI %d", vrf.Name, p, x.VNI, to.Domain.BD.VNI)
	}
	if sent != own {
		v.across(own, sent, r, p, vrf, "VRF %s routes %v by VTEP %v of VNI %d", vrf.Name, p, to.VTEP, x.VNI)
	}
}

// secY wants the keys of a tenant to be no other's.
func (v *verifier) secY(d *fabric.Domain) {
	vni := d.BD.VNI
	own := v.plan.tenant(vni)
	if other, ok := v.secys[d.SecY]; ok {
		v.step(own, v.plan.tenant(other), "VNI %d has the SecY of VNI %d", vni, other)
		return
	}
	v.secys[d.SecY] = vni
	st := d.SecY.State()
	key := func(fingerprint string) {
		if other, ok := v.keys[fingerprint]; ok {
			v.step(own, v.plan.tenant(other), "VNI %d has a key of VNI %d, fingerprint %s", vni, other, fingerprint)
			return
		}
		v.out.Steps++
		v.keys[fingerprint] = vni
	}
	for i := range st.TxSAs {
		key(st.TxSAs[i].Fingerprint)
	}
	for i := range st.RxSCs {
		for j := range st.RxSCs[i].SAs {
			key(st.RxSCs[i].SAs[j].Fingerprint)
		}
	}
}

// guard looks at what a spine passes on.
func (v *verifier) guard() {
	for vni, g := range v.snap.VRFs {
		own := v.plan.tenant(vni)
		v.step(own, vrfName(g.Name), "VNI %d is passed on for VRF %s", vni, g.Name)
		for a := range g.Members {
			to := own
			if !v.plan.Members[vni][a] {
				to = "nobody"
			}
			v.step(own, to, "VNI %d is passed on to VTEP %v", vni, a)
		}
	}
}

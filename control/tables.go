package control

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
)

// overlayTables are the node's tables as package overlay changes them. Under
// Node.mu.
type overlayTables struct {
	*l2.Learner
	n *Node
}

// Entry returns what the FDB of vni has of mac.
func (t overlayTables) Entry(vni table.VNI, mac table.MAC) (l2.Entry, bool) {
	d := t.n.domains[vni]
	if d == nil {
		return l2.Entry{}, false
	}
	return d.domain.BD.FDB.Get(mac)
}

// Entries yields the FDB of vni.
func (t overlayTables) Entries(vni table.VNI) iter.Seq[l2.Entry] {
	d := t.n.domains[vni]
	if d == nil {
		return func(func(l2.Entry) bool) {}
	}
	return d.domain.BD.FDB.All()
}

// Remote returns the handle of a VTEP that vni may have.
func (t overlayTables) Remote(vni table.VNI, v netip.Addr) (table.VTEPID, bool) {
	d := t.n.domains[vni]
	if d == nil {
		return 0, false
	}
	a := d.domain.Adjacencies[v]
	if a == nil {
		return 0, false
	}
	return a.ID, true
}

// Flood publishes the flood lists of VNIs anew: configured VTEPs and lists. The
// bridge domains, their circuits and adjacencies are made again around what
// stays: FDB, counters, SecY.
func (t overlayTables) Flood(lists map[table.VNI][]netip.Addr) {
	n := t.n
	tables := n.tables.Load().Tables
	instead := map[*fabric.Domain]*fabric.Domain{}
	for vni, found := range lists {
		st := n.domains[vni]
		if st == nil {
			continue
		}
		d, err := refloodDomain(st, found)
		if err != nil { // can't be: the same VTEPs were checked before
			n.log.Error("flood list not changed", "vni", vni, "err", err)
			continue
		}
		if d == nil {
			continue
		}
		instead[st.domain] = d
		st.domain = d
	}
	if len(instead) == 0 {
		return
	}
	tables.Domains = replaced(tables.Domains, instead)
	tables.ACs = slices.Clone(tables.ACs)
	for i, ac := range tables.ACs {
		if d := instead[ac.Domain]; d != nil {
			tables.ACs[i] = &fabric.AC{AC: ac.AC, Port: ac.Port, Domain: d}
		}
	}
	n.tables.Publish(fabric.NewSnapshot(tables))
}

// refloodDomain returns st's domain with another flood list, nil when it is the
// one that it has.
func refloodDomain(st *domainState, found []netip.Addr) (*fabric.Domain, error) {
	old := st.domain
	flood, known := floodIDs(st.cfg.VTEPs, found, old.Adjacencies)
	if slices.Equal(flood, old.BD.VTEPs) {
		return nil, nil
	}
	bd, err := old.BD.WithFlood(flood, known)
	if err != nil {
		return nil, err
	}
	d := *old
	d.BD = bd
	d.Adjacencies = make(map[netip.Addr]*fabric.Adjacency, len(old.Adjacencies))
	for v, a := range old.Adjacencies {
		c := *a
		c.Domain = &d
		d.Adjacencies[v] = &c
	}
	return &d, nil
}

// floodIDs returns the handles of a flood list, configured VTEPs first, then
// those that EVPN found, and those of the VTEPs that are only known.
func floodIDs(configured, found []netip.Addr, adjs map[netip.Addr]*fabric.Adjacency) (flood, known []table.VTEPID) {
	in := map[netip.Addr]bool{}
	add := func(v netip.Addr) {
		if a := adjs[v]; a != nil && !in[v] {
			in[v] = true
			flood = append(flood, a.ID)
		}
	}
	for _, v := range configured {
		add(v)
	}
	for _, v := range found {
		add(v)
	}
	for v, a := range adjs {
		if !in[v] {
			known = append(known, a.ID)
		}
	}
	slices.Sort(known)
	return flood, known
}

// replaced returns list with what instead names put in place.
func replaced[T any](list []*T, instead map[*T]*T) []*T {
	out := slices.Clone(list)
	for i, x := range out {
		if y := instead[x]; y != nil {
			out[i] = y
		}
	}
	return out
}

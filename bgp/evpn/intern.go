package evpn

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// rtSet is a list of route targets, held once however many routes carry it.
type rtSet struct {
	rts  []RT
	key  string
	refs int
}

// attrKey is Attrs in comparable form, without Mobility: that differs from MAC
// to MAC, while all else is the same for thousands of routes.
type attrKey struct {
	nextHop    netip.Addr
	rts        *rtSet
	esi        ESI
	label1     table.VNI
	label2     table.VNI
	encaps     Encaps
	routerMAC  table.MAC
	gateway    netip.Addr
	esImport   table.MAC
	esiLabel   ESILabel
	df         DFElection
	pmsi       PMSI
	neighbour  NeighbourBits
	nbPresent  bool
	isGateway  bool
	stale      bool
	noStale    bool
	preference Preference
}

// attrs are attributes held once, and which tables take routes that have them.
type attrs struct {
	attrKey
	refs int // paths, and dests as imported

	bds     []*bd  // that import them, by VNI
	vrfs    []*vrf // that import them, by VNI
	refused Reason // a grant that is missing for an import, else 0
}

// interner holds all rtSets and attrs in use.
type interner struct {
	rtSets map[string]*rtSet
	attrs  map[attrKey]*attrs
	last   *attrs // of the route before: most often the same again
	buf    []byte
}

func newInterner() interner {
	return interner{rtSets: map[string]*rtSet{}, attrs: map[attrKey]*attrs{}}
}

// equalRTs reports whether the set is rts, in this order.
func (r *rtSet) equal(rts []RT) bool { return slices.Equal(r.rts, rts) }

// get returns the attrs of a, and whether they are new; the caller owns a
// reference.
func (in *interner) get(a *Attrs) (x *attrs, fresh bool) {
	k := attrKey{
		nextHop: a.NextHop, esi: a.ESI, label1: a.Label1, label2: a.Label2, encaps: a.Encaps,
		routerMAC: a.RouterMAC, gateway: a.Gateway, esImport: a.ESImport, esiLabel: a.ESILabel, df: a.DF,
		pmsi: a.PMSI, neighbour: a.Neighbour.Bits, nbPresent: a.Neighbour.Present, isGateway: a.IsGateway,
		stale: a.Stale, noStale: a.NoStale, preference: a.Preference,
	}
	if l := in.last; l != nil && l.refs > 0 && l.rts.equal(a.RTs) {
		if k.rts = l.rts; k == l.attrKey {
			l.refs++
			return l, false
		}
	}
	k.rts = in.rtSet(a.RTs)
	x = in.attrs[k]
	if x == nil {
		x, fresh = &attrs{attrKey: k}, true
		in.attrs[k] = x
		k.rts.refs++
	}
	x.refs++
	in.last = x
	return x, fresh
}

func (in *interner) rtSet(rts []RT) *rtSet {
	in.buf = in.buf[:0]
	for i := range rts {
		in.buf = append(in.buf, rts[i][:]...)
	}
	if r := in.rtSets[string(in.buf)]; r != nil {
		return r
	}
	r := &rtSet{rts: slices.Clone(rts), key: string(in.buf)}
	in.rtSets[r.key] = r
	return r
}

// put gives a reference back and reports whether it was the last.
func (in *interner) put(x *attrs) (gone bool) {
	if x.refs--; x.refs > 0 {
		return false
	}
	delete(in.attrs, x.attrKey)
	if x.rts.refs--; x.rts.refs == 0 {
		delete(in.rtSets, x.rts.key)
	}
	if in.last == x {
		in.last = nil
	}
	return true
}

// importer is a bridge domain or a VRF.
type importer struct {
	bd  *bd
	vrf *vrf
}

// importIndex finds importers by route target.
type importIndex struct {
	exact map[RT][]importer
	wild  map[uint32][]importer
}

func (ix *importIndex) add(list []Import, who importer) {
	for _, i := range list {
		if i.Any {
			ix.wild[i.Number] = append(ix.wild[i.Number], who)
		} else {
			ix.exact[i.RT] = append(ix.exact[i.RT], who)
		}
	}
}

// find fills bds and vrfs with those that import r, each once, by VNI.
func (ix *importIndex) find(r *rtSet) (bds []*bd, vrfs []*vrf) {
	take := func(list []importer) {
		for _, who := range list {
			if who.bd != nil && !slices.Contains(bds, who.bd) {
				bds = append(bds, who.bd)
			}
			if who.vrf != nil && !slices.Contains(vrfs, who.vrf) {
				vrfs = append(vrfs, who.vrf)
			}
		}
	}
	for _, rt := range r.rts {
		take(ix.exact[rt])
		if rt.Valid() {
			take(ix.wild[rt.wild()])
		}
	}
	slices.SortFunc(bds, func(a, b *bd) int { return cmp.Compare(a.VNI, b.VNI) })
	slices.SortFunc(vrfs, func(a, b *vrf) int { return cmp.Compare(a.VNI, b.VNI) })
	return bds, vrfs
}

// interest is what find looks for.
func (ix *importIndex) interest(segments []EthernetSegment) Interest {
	in := Interest{All: len(ix.wild) > 0}
	for rt := range ix.exact {
		in.RTs = append(in.RTs, rt)
	}
	for i := range segments {
		in.RTs = append(in.RTs, segments[i].ESI.importRT())
	}
	slices.SortFunc(in.RTs, func(a, b RT) int { return slices.Compare(a[:], b[:]) })
	in.RTs = slices.Compact(in.RTs)
	return in
}

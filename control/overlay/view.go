package overlay

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// Domain is a bridge domain as EVPN sees it.
type Domain struct {
	VNI    table.VNI
	Name   string
	RD     evpn.RD
	Import []evpn.Import
	Export []evpn.RT
	Flood  []netip.Addr // VTEPs that announced the VNI and are served, sorted
}

// Domains returns the bridge domains with EVPN, and the VRFs by their L3VNI, by VNI.
func (o *Overlay) Domains() []Domain {
	out := o.vrfDomains()
	for vni, b := range o.bds {
		out = append(out, Domain{
			VNI: vni, Name: b.name, RD: b.RD, Import: slices.Clone(b.Import), Export: slices.Clone(b.Export),
			Flood: slices.Clone(o.floods[vni]),
		})
	}
	slices.SortFunc(out, func(a, b Domain) int { return cmp.Compare(a.VNI, b.VNI) })
	return out
}

// Routes returns how many route keys and paths of peers are held.
func (o *Overlay) Routes() (keys, paths int) { return o.sp.Routes() }

// Duplicates returns the MACs in quarantine, the oldest first.
func (o *Overlay) Duplicates() []evpn.Duplicate { return o.sp.Duplicates() }

// Moves returns the last moves, duplicates and releases, the oldest first.
func (o *Overlay) Moves() []evpn.Event { return o.moves.all() }

// Refusals returns what was ignored, by VTEP, VNI and reason.
func (o *Overlay) Refusals() []Refusal { return o.refusals.list() }

// Counts returns the counts so far.
func (o *Overlay) Counts() Counts { return o.counts }

// Known calls f for each route of each peer, until it returns false.
func (o *Overlay) Known(f func(evpn.Known) bool) {
	ids := make([]evpn.PeerID, 0, len(o.peers))
	for id := range o.peers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	more := true
	for _, id := range ids {
		if more {
			o.sp.Known(id, func(k evpn.Known) bool {
				more = f(k)
				return more
			})
		}
	}
}

// Announced calls f for each route of this node, until it returns false.
func (o *Overlay) Announced(f func(evpn.Route) bool) { o.sp.Announced(f) }

// MAC returns what is known of a MAC.
func (o *Overlay) MAC(vni table.VNI, mac table.MAC) (evpn.MACView, bool) { return o.sp.MAC(vni, mac) }

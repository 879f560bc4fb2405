package overlay

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// Reasons of refusals beside those of evpn.Reason; stable.
const (
	ReasonOtherVNI    = "other-vni"    // it asks for frames of another VNI than the bridge domain's
	ReasonUnreachable = "vtep-unknown" // the bridge domain has no such VTEP
)

// events counts and reports what happened, and marks duplicates in the FDB.
func (o *Overlay) events(list []evpn.Event) {
	for i := range list {
		e := &list[i]
		log := o.log.With("vni", e.VNI, "mac", e.MAC)
		switch e.Kind {
		case evpn.EventMoved:
			o.counts.Moves++
			o.moves.add(*e)
			log.Info("evpn: MAC moved", "from", place(e.From), "to", place(e.To), "seq", e.Seq)
		case evpn.EventDuplicate:
			o.counts.Duplicates++
			o.moves.add(*e)
			if !e.From.IsValid() {
				o.tables.Freeze(e.VNI, e.MAC, true)
			}
			log.Warn("evpn: duplicate MAC, the newcomer is in quarantine", "keeper", place(e.From), "newcomer", place(e.To))
		case evpn.EventReleased:
			o.counts.Released++
			o.moves.add(*e)
			o.thaw(macKey{e.VNI, e.MAC})
			log.Info("evpn: quarantine ended")
		case evpn.EventStickyConflict:
			o.counts.Conflicts++
			log.Warn("evpn: somebody claims a MAC that may not move", "at", place(e.To))
		case evpn.EventAddressMoved:
			log.Info("evpn: an address has another MAC", "ip", e.IP)
		case evpn.EventDuplicateIP, evpn.EventReleasedIP:
			o.duplicateAddress(e)
		case evpn.EventRefused:
			o.refuse(e.To, e.VNI, e.Reason.String(), e.Key.String())
		case evpn.EventDF:
			o.log.Info("evpn: designated forwarder", "vni", e.VNI, "esi", e.ESI, "this-leaf", e.DF)
		}
	}
}

// thaw takes the marks of a quarantine off.
func (o *Overlay) thaw(key macKey) {
	o.tables.Freeze(key.vni, key.mac, false)
	if e, ok := o.tables.Entry(key.vni, key.mac); ok && e.External && e.Dest == l2.Blackhole {
		o.displace(key)
	}
}

// place names a node of an event.
func place(a netip.Addr) string {
	if !a.IsValid() {
		return "here"
	}
	return a.String()
}

// maxRefusals bounds the kinds of refusal that are told apart: a peer may invent
// VTEPs. Beyond it they are counted together.
const maxRefusals = 1024

type refusalKey struct {
	vtep   netip.Addr
	vni    table.VNI
	reason string
}

// Refusal is how often what a VTEP announced was ignored for a reason.
type Refusal struct {
	VTEP   netip.Addr // invalid: all that are not told apart
	VNI    table.VNI  // 0: not known
	Reason string
	Count  uint64
	Route  string // the last; empty when not known
	Last   int64  // ns
	told   int64  // ns, when it was logged; 0: never
}

type refusals struct{ at map[refusalKey]*Refusal }

// tellEvery is how often a refusal that goes on is logged, ns.
const tellEvery = int64(60e9)

// refuse counts and reports that something of a VTEP was ignored.
func (o *Overlay) refuse(vtep netip.Addr, vni table.VNI, reason, route string) {
	o.counts.Refused++
	key := refusalKey{vtep, vni, reason}
	r := o.refusals.at[key]
	if r == nil {
		if len(o.refusals.at) >= maxRefusals {
			key = refusalKey{reason: reason}
			r = o.refusals.at[key]
		}
		if r == nil {
			r = &Refusal{VTEP: key.vtep, VNI: key.vni, Reason: reason}
			o.refusals.at[key] = r
		}
	}
	r.Count++
	r.Last = o.clock()
	if route != "" {
		r.Route = route
	}
	if r.told == 0 || r.Last-r.told >= tellEvery {
		r.told = r.Last
		o.log.Warn("evpn: route refused", "vtep", vtep, "vni", vni, "reason", reason, "route", route, "count", r.Count)
	}
}

// suppressed counts refusals without an event.
func (o *Overlay) suppressed(n int) {
	if n > 0 {
		o.counts.Refused += uint64(n)
		o.log.Warn(fmt.Sprintf("evpn: %d more routes refused", n))
	}
}

// list returns the refusals by VTEP, VNI, reason.
func (r *refusals) list() []Refusal {
	out := make([]Refusal, 0, len(r.at))
	for _, x := range r.at {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		return cmp.Or(a.VTEP.Compare(b.VTEP), cmp.Compare(a.VNI, b.VNI), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// historyLen is how many moves and duplicates are remembered.
const historyLen = 256

// history is the last historyLen values.
type history[T any] struct {
	list []T
	next int // where the next goes, once list is full
}

func (h *history[T]) add(v T) {
	if len(h.list) < historyLen {
		h.list = append(h.list, v)
		return
	}
	h.list[h.next] = v
	h.next = (h.next + 1) % historyLen
}

// all returns the values, the oldest first.
func (h *history[T]) all() []T {
	return append(slices.Clone(h.list[h.next:]), h.list[:h.next]...)
}

package proxy

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// State says what is known of a binding, as people read it.
type State string

// The states of bindings.
const (
	Reachable State = "reachable" // has said something lately
	Probing   State = "probing"   // is asked whether it is still there
	Contested State = "disputed"  // another MAC claims the address; the owner is asked
	Told      State = "announced" // by another node
	Static    State = "static"    // configured
	Duplicate State = "duplicate" // claimed by too many; nobody is told of it
)

// Line is a binding as people see it.
type Line struct {
	VNI   table.VNI
	Addr  netip.Addr
	MAC   table.MAC
	AC    table.ACID // 0: not at this node
	State State
	Seen  int64 // ns since start; 0: never here
}

// All yields the bindings of a bridge domain by address.
func (b *Bindings) All(vni table.VNI) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		d := b.domains[vni]
		if d == nil {
			return
		}
		all := map[netip.Addr]struct{}{}
		for a := range d.hosts {
			all[a] = struct{}{}
		}
		for a := range d.remote {
			all[a] = struct{}{}
		}
		for a := range d.cfg.Statics {
			all[a] = struct{}{}
		}
		for _, a := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
			if !yield(d.line(a)) {
				return
			}
		}
	}
}

// line returns what is known of an address that somebody has.
func (d *domain) line(a netip.Addr) Line {
	l := Line{VNI: d.cfg.VNI, Addr: a, State: Told}
	if mac := d.cfg.Statics[a]; mac != 0 {
		l.MAC, l.State = mac, Static
		return l
	}
	if e := d.hosts[a]; e != nil {
		l.MAC, l.AC, l.Seen, l.State = e.MAC, e.AC, e.Seen(), Reachable
		switch {
		case e.rival != nil:
			l.State = Contested
		case e.asked != 0:
			l.State = Probing
		}
	} else {
		l.MAC = d.remote[a].MAC
	}
	if d.held[a] {
		l.State = Duplicate
	}
	return l
}

// Local and Known count the bindings of a bridge domain: of hosts at this node, and
// all.
func (b *Bindings) Local(vni table.VNI) (local, known int) {
	d := b.domains[vni]
	if d == nil {
		return 0, 0
	}
	return len(d.hosts), len(d.hosts) + len(d.remote) + len(d.cfg.Statics)
}

// Stats returns what became of what hosts of a bridge domain said, and the counters
// of its workers; nil when it has no proxy.
func (b *Bindings) Stats(vni table.VNI) (Stats, *Counters) {
	d := b.domains[vni]
	if d == nil {
		return Stats{}, nil
	}
	return d.stats, d.count
}

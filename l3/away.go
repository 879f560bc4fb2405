package l3

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Away says that a host is at another leaf now, and reports whether something was
// known of it here: that is lost, so that the route of the other leaf counts. A
// static stays as it is; a held next hop that had a MAC is asked for anew.
func (n *Neighbours) Away(vni table.VNI, addr netip.Addr, now int64) bool {
	l := n.links[vni]
	if l == nil {
		return false
	}
	e := l.hosts[addr]
	switch {
	case e == nil, e.state == Permanent, e.held && e.state == Incomplete:
		return false
	case e.held:
		n.forget(l, e, now)
	default:
		n.lose(l, e)
	}
	return true
}

// Doubt asks a host at once whether it is still there, and reports whether there
// was something to doubt: without an answer it is lost as after a long silence.
func (n *Neighbours) Doubt(vni table.VNI, addr netip.Addr, now int64) bool {
	l := n.links[vni]
	if l == nil {
		return false
	}
	e := l.hosts[addr]
	if e == nil || e.state != Reachable {
		return false
	}
	e.state, e.tried = Probing, 0
	n.at(e, now)
	return true
}

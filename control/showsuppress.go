package control

import (
	"net/netip"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
)

// bindings returns what the proxy of a bridge domain knows, by address.
func (n *Node) bindings(vni table.VNI) map[netip.Addr]proxy.Line {
	out := map[netip.Addr]proxy.Line{}
	for l := range n.proxy.All(vni) {
		out[l.Addr] = l
	}
	return out
}

// placeNeighbour says where a neighbour is, by the FDB, and who says so.
func (n *Node) placeNeighbour(s *status.Neighbour) {
	if s.MAC == 0 {
		return
	}
	s.Source = "local"
	if s.State == l3.Permanent.String() {
		s.Source = "static"
	}
	e, ok := overlayTables{n: n}.Entry(s.VNI, s.MAC)
	if !ok {
		if s.State == string(proxy.Told) {
			s.Source = "evpn"
		}
		return
	}
	at := n.places(n.domains[s.VNI])[e.Dest]
	s.VTEP = at.VTEP
	if e.Dest.Kind == l2.DestLocal {
		s.Port = at.Port
	} else if s.Source == "local" {
		s.Source = "evpn"
	}
}

// suppression returns what the proxy of a bridge domain did; nil without one.
func (n *Node) suppression(vni table.VNI) *status.Suppression {
	st, c := n.proxy.Stats(vni)
	d := n.domains[vni]
	if c == nil || d == nil || d.domain.Proxy == nil {
		return nil
	}
	s := &status.Suppression{Drop: d.domain.Proxy.Drop}
	s.Local, s.Known = n.proxy.Local(vni)
	for _, x := range []struct {
		name  string
		count uint64
	}{
		{"answered", c.Answered.Load()}, {"flooded", c.Flooded.Load()}, {"dropped", c.Dropped.Load()},
		{"told", c.Told.Load()}, {"limited", c.Limited.Load()}, {"lies", c.Lies.Load()},
		{"disputed", st.Disputed}, {"misplaced", st.Misplaced}, {"fixed", st.Fixed}, {"full", st.Full},
		{"moved", st.Moved}, {"probes", st.Probes}, {"lost", st.Lost},
	} {
		s.Counts = append(s.Counts, status.NamedCount{Name: x.name, Count: x.count})
	}
	return s
}

package overlay_test

import (
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

const (
	red     table.VNI = 10100
	as                = 65000
	circuit           = table.ACID(1) // of every node, and 2
)

func vtep(i int) netip.Addr    { return netip.AddrFrom4([4]byte{10, 255, 0, byte(i)}) }
func mac(i int) table.MAC      { return 0x020000000000 + table.MAC(i) }
func handle(i int) l2.Dest     { return l2.Remote(table.VTEPID(i)) }
func local(i int) l2.Dest      { return l2.Local(table.ACID(i)) }
func peerOf(i int) evpn.PeerID { return evpn.PeerID(i) }

// clock is the time of all nodes of a rig.
type clock struct{ now int64 }

// node is an Overlay over a learner; the handle of VTEP i is i.
type node struct {
	*l2.Learner
	t       *testing.T
	i       int
	overlay *overlay.Overlay
	granted map[netip.Addr]bool
	floods  map[table.VNI][]netip.Addr
	sent    []evpn.RouteChange // since the last exchange
	known   map[evpn.Key]evpn.Route

	segments map[table.ACID]l2.SegmentState
}

func (n *node) Entry(vni table.VNI, m table.MAC) (l2.Entry, bool) { return n.FDB(vni).Get(m) }
func (n *node) Entries(vni table.VNI) iter.Seq[l2.Entry]          { return n.FDB(vni).All() }
func (n *node) Flood(lists map[table.VNI][]netip.Addr) {
	for vni, l := range lists {
		n.floods[vni] = l
	}
}

func (n *node) SetSegment(at table.ACID, s l2.SegmentState) { n.segments[at] = s }

func (n *node) Remote(vni table.VNI, v netip.Addr) (table.VTEPID, bool) {
	return table.VTEPID(v.As4()[3]), vni == red && n.granted[v]
}

// rig is nodes 1 to n of a VNI, all of which hear each other.
type rig struct {
	t     *testing.T
	clock clock
	nodes []*node // nodes[0] is node 1
}

// config returns node i's, of n.
func nodeConfig(i, n int) evpn.Config {
	rt, _ := evpn.NewRT(as, uint32(red))
	c := evpn.Config{
		VTEP: vtep(i), RouterID: vtep(i), Grants: map[netip.Addr]evpn.Grant{},
		BDs: []evpn.BD{{VNI: red, RD: evpn.NewRD(vtep(i), 1), Import: []evpn.Import{evpn.Exact(rt)}, Export: []evpn.RT{rt}}},
	}
	for k := 1; k <= n; k++ {
		if k != i {
			c.Grants[vtep(k)] = evpn.Grant{VNIs: map[table.VNI]bool{red: true}}
		}
	}
	return c
}

// newRig makes n nodes that have granted each other the VNI.
func newRig(t *testing.T, n int) *rig {
	r := &rig{t: t, clock: clock{1e9}}
	for i := 1; i <= n; i++ {
		x := &node{
			Learner: l2.NewLearner(), t: t, i: i, granted: map[netip.Addr]bool{}, floods: map[table.VNI][]netip.Addr{},
			known: map[evpn.Key]evpn.Route{}, segments: map[table.ACID]l2.SegmentState{},
		}
		d := l2.DomainConfig{VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}, {ID: 2, Port: 2}}}
		for k := 1; k <= n; k++ {
			if k != i {
				x.granted[vtep(k)] = true
				d.VTEPs = append(d.VTEPs, table.VTEPID(k))
				d.Told = append(d.Told, table.VTEPID(k))
			}
		}
		if err := x.SetDomain(d); err != nil {
			t.Fatal(err)
		}
		x.overlay = overlay.New(x, func() int64 { return r.clock.now }, slog.New(slog.DiscardHandler))
		x.SetArbiter(x.overlay.Admit)
		if err := x.overlay.Configure(nodeConfig(i, n), map[table.VNI]string{red: "red"}); err != nil {
			t.Fatal(err)
		}
		for k := 1; k <= n; k++ {
			if k != i {
				x.overlay.PeerUp(evpn.Peer{ID: peerOf(k), Addr: vtep(k), RouterID: vtep(k), IBGP: true})
			}
		}
		r.nodes = append(r.nodes, x)
	}
	r.settle()
	return r
}

func (r *rig) node(i int) *node { return r.nodes[i-1] }

// apply does what control's loop does with one node.
func (n *node) apply() overlay.Outcome {
	n.overlay.Learned(n.TakeChanges())
	out := n.overlay.Apply()
	n.sent = append(n.sent, out.Routes...)
	for _, c := range out.Routes {
		if c.Withdraw {
			delete(n.known, c.Route.Key)
		} else {
			n.known[c.Route.Key] = c.Route
		}
	}
	return out
}

// settle lets all nodes hear each other until nobody has news.
func (r *rig) settle() {
	r.t.Helper()
	for range 50 {
		news := false
		for _, n := range r.nodes {
			n.apply()
		}
		for _, from := range r.nodes {
			sent := from.sent
			from.sent = nil
			news = news || len(sent) > 0
			for _, to := range r.nodes {
				if to != from {
					to.overlay.Update(updates(from.i, sent))
				}
			}
		}
		if !news {
			return
		}
	}
	r.t.Fatal("the nodes do not come to rest")
}

// updates returns what peer i's announcements are to who hears them.
func updates(i int, sent []evpn.RouteChange) (us []evpn.Update) {
	for _, c := range sent {
		c.Route.Attrs.Preference.LocalPref = 100
		us = append(us, evpn.Update{Peer: peerOf(i), Withdraw: c.Withdraw, Route: c.Route})
	}
	return us
}

// see has node i's workers see a MAC.
func (r *rig) see(i, m int, at l2.Dest) {
	r.clock.now += 1e6
	n := r.node(i)
	n.overlay.Learned(n.TakeChanges())
	n.Learn([]l2.Sighting{{VNI: red, MAC: mac(m), From: at}}, l2.Seconds(r.clock.now))
}

// expect compares what node i has of a MAC.
func (r *rig) expect(what string, i, m int, want l2.Dest) l2.Entry {
	r.t.Helper()
	e, ok := r.node(i).Entry(red, mac(m))
	if ok != (want != l2.Dest{}) || e.Dest != want {
		r.t.Errorf("%s: node %d has MAC %d at %v, want %v", what, i, m, e.Dest, want)
	}
	return e
}

func (r *rig) expectFlood(what string, i int, want ...netip.Addr) {
	r.t.Helper()
	if got := r.node(i).floods[red]; !slices.Equal(got, want) {
		r.t.Errorf("%s: node %d floods to %v, want %v", what, i, got, want)
	}
}

package evpn_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

const (
	ms  = int64(1e6)
	sec = int64(1e9)

	vni100 table.VNI = 100
	vni200 table.VNI = 200
	l3vni  table.VNI = 5000
	red              = evpn.VRFID(1)
	asn              = 65000
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// host returns the n-th of a row of unicast MACs.
func host(n int) table.MAC { return table.MAC(0x02_00_00_000000 + uint64(n)) }

func rt(t testing.TB, s string) evpn.RT {
	t.Helper()
	x, err := evpn.ParseRT(s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func vtep(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// leafConfig is a leaf with two bridge domains and a VRF that serves both.
func leafConfig(t testing.TB, i int) evpn.Config {
	t.Helper()
	bd := func(vni table.VNI) evpn.BD {
		r := rt(t, fmt.Sprintf("%d:%d", asn, vni))
		return evpn.BD{VNI: vni, RD: evpn.NewRD(vtep(i), uint16(vni)), Import: []evpn.Import{evpn.Exact(r)},
			Export: []evpn.RT{r}, VRF: red}
	}
	r := rt(t, fmt.Sprintf("%d:%d", asn, l3vni))
	return evpn.Config{
		VTEP:     vtep(i),
		RouterID: vtep(i),
		BDs:      []evpn.BD{bd(vni100), bd(vni200)},
		VRFs: []evpn.VRF{{ID: red, VNI: l3vni, RD: evpn.NewRD(vtep(i), 1), Import: []evpn.Import{evpn.Exact(r)},
			Export: []evpn.RT{r}, RouterMAC: routerMAC(i)}},
	}
}

func routerMAC(i int) table.MAC { return table.MAC(0x02_ff_00_000000 + uint64(i)) }

type macKey struct {
	vni table.VNI
	mac table.MAC
}

type groupKey struct {
	vni        table.VNI
	esi        evpn.ESI
	advertiser evpn.Target
}

type ipKey struct {
	vni table.VNI
	ip  netip.Addr
}

type prefixKey struct {
	vrf evpn.VRFID
	p   netip.Prefix
}

type segmentKey struct {
	vni table.VNI
	esi evpn.ESI
}

type memberKey struct {
	vtep netip.Addr
	vni  table.VNI
}

// node is a speaker and the tables that its changes made.
type node struct {
	*evpn.Speaker
	t    testing.TB
	i    int
	name string

	announced  map[evpn.Key]evpn.Attrs
	macs       map[macKey]evpn.MACChange
	groups     map[groupKey]evpn.Group
	neighbours map[ipKey]evpn.NeighbourChange
	floods     map[table.VNI][]evpn.Target
	prefixes   map[prefixKey][]evpn.NextHop
	segments   map[segmentKey]evpn.SegmentState
	members    map[memberKey]evpn.Member
	local      map[macKey]bool // as the data plane has it: learnt and not evicted
	events     []evpn.Event
	evictions  []evpn.Eviction
	last       evpn.Changes
	time       int64 // of fuzzing
}

func newNode(t testing.TB, i int, c evpn.Config) *node {
	t.Helper()
	n := &node{
		Speaker: evpn.New(), t: t, i: i, name: fmt.Sprintf("leaf%d", i),
		announced:  map[evpn.Key]evpn.Attrs{},
		macs:       map[macKey]evpn.MACChange{},
		groups:     map[groupKey]evpn.Group{},
		neighbours: map[ipKey]evpn.NeighbourChange{},
		floods:     map[table.VNI][]evpn.Target{},
		prefixes:   map[prefixKey][]evpn.NextHop{},
		segments:   map[segmentKey]evpn.SegmentState{},
		members:    map[memberKey]evpn.Member{},
		local:      map[macKey]bool{},
	}
	n.configure(0, c)
	return n
}

func (n *node) configure(now int64, c evpn.Config) {
	n.t.Helper()
	if err := n.Configure(now, c); err != nil {
		n.t.Fatalf("%s: %v", n.name, err)
	}
}

// flush applies the changes and holds them to what Changes promises.
func (n *node) flush(now int64) evpn.Changes {
	n.t.Helper()
	c := n.Flush(now)
	n.last = c
	once := map[any]bool{}
	check := func(k any, remove, known bool) {
		n.t.Helper()
		if once[k] {
			n.t.Errorf("%s: %v occurs twice in one batch", n.name, k)
		}
		once[k] = true
		if remove && !known {
			n.t.Errorf("%s: %v is removed and was not there", n.name, k)
		}
	}
	for _, r := range c.Routes {
		_, known := n.announced[r.Route.Key]
		check(r.Route.Key, r.Withdraw, known)
		if r.Withdraw {
			delete(n.announced, r.Route.Key)
		} else {
			n.announced[r.Route.Key] = r.Route.Attrs
		}
	}
	for _, g := range c.Groups {
		k := groupKey{g.VNI, g.ESI, g.Advertiser}
		_, known := n.groups[k]
		check(k, g.Remove, known)
		if g.Remove {
			delete(n.groups, k)
		} else {
			n.groups[k] = g
		}
	}
	for _, m := range c.MACs {
		k := macKey{m.VNI, m.MAC}
		_, known := n.macs[k]
		check(k, m.Remove, known)
		if m.Remove {
			delete(n.macs, k)
		} else {
			n.macs[k] = m
		}
	}
	for _, m := range n.macs {
		if _, ok := n.groups[groupKey{m.VNI, m.ESI, m.Target}]; ok == m.ESI.IsZero() {
			n.t.Errorf("%s: %v points at a group that is not there, or should", n.name, m)
		}
	}
	for _, x := range c.Neighbours {
		k := ipKey{x.VNI, x.IP}
		_, known := n.neighbours[k]
		check(k, x.Remove, known)
		if x.Remove {
			delete(n.neighbours, k)
		} else {
			n.neighbours[k] = x
		}
	}
	for _, f := range c.Floods {
		check(f.VNI, false, true)
		if len(f.Targets) == 0 {
			delete(n.floods, f.VNI)
		} else {
			n.floods[f.VNI] = f.Targets
		}
	}
	for _, p := range c.Prefixes {
		k := prefixKey{p.VRF, p.Prefix}
		_, known := n.prefixes[k]
		check(k, len(p.Hops) == 0, known)
		if len(p.Hops) == 0 {
			delete(n.prefixes, k)
		} else {
			n.prefixes[k] = p.Hops
		}
	}
	for _, s := range c.Segments {
		k := segmentKey{s.VNI, s.ESI}
		_, known := n.segments[k]
		check(k, s.Remove, known)
		if s.Remove {
			delete(n.segments, k)
		} else {
			n.segments[k] = s
		}
	}
	for _, m := range c.Members {
		k := memberKey{m.VTEP, m.VNI}
		_, known := n.members[k]
		check(k, m.Remove, known)
		if m.Remove {
			delete(n.members, k)
		} else {
			n.members[k] = m
		}
	}
	for _, e := range c.Evictions {
		delete(n.local, macKey{e.VNI, e.MAC})
	}
	n.evictions = append(n.evictions, c.Evictions...)
	n.events = append(n.events, c.Events...)
	return c
}

// learn is what the data plane says of a frame.
func (n *node) learn(now int64, vni table.VNI, mac table.MAC) evpn.Verdict {
	return n.learnMAC(now, evpn.LocalMAC{VNI: vni, MAC: mac, Port: 7})
}

func (n *node) learnMAC(now int64, m evpn.LocalMAC) evpn.Verdict {
	v := n.Learn(now, m)
	if v == evpn.Accepted {
		n.local[macKey{m.VNI, m.MAC}] = true
	}
	return v
}

func (n *node) forget(now int64, vni table.VNI, mac table.MAC) {
	n.Forget(now, vni, mac, netip.Addr{})
	delete(n.local, macKey{vni, mac})
}

// count returns how many events of a kind were seen.
func (n *node) count(k evpn.EventKind) (c int) {
	for _, e := range n.events {
		if e.Kind == k {
			c++
		}
	}
	return c
}

// fabric is a full mesh of nodes: each announces to each, in order.
type fabric struct {
	t     testing.TB
	nodes []*node
	queue map[[2]int][]evpn.Update // from, to
	now   int64
}

// mesh connects leaves 1 to n with what cfg makes of their configuration.
func mesh(t testing.TB, n int, cfg func(i int, c *evpn.Config)) *fabric {
	t.Helper()
	f := &fabric{t: t, queue: map[[2]int][]evpn.Update{}}
	for i := 1; i <= n; i++ {
		c := leafConfig(t, i)
		if cfg != nil {
			cfg(i, &c)
		}
		f.nodes = append(f.nodes, newNode(t, i, c))
	}
	for _, a := range f.nodes {
		for _, b := range f.nodes {
			if a != b {
				a.PeerUp(peerOf(b.i))
			}
		}
	}
	f.settle()
	return f
}

func peerOf(i int) evpn.Peer {
	return evpn.Peer{ID: evpn.PeerID(i), Addr: vtep(i), RouterID: vtep(i), IBGP: true}
}

func (f *fabric) leaf(i int) *node { return f.nodes[i-1] }

// flush lets a node publish; its routes go to the queues.
func (f *fabric) flush(n *node) {
	f.t.Helper()
	for _, r := range n.flush(f.now).Routes {
		u := evpn.Update{Peer: evpn.PeerID(n.i), Withdraw: r.Withdraw, Route: r.Route}
		for _, o := range f.nodes {
			if o != n {
				k := [2]int{n.i, o.i}
				f.queue[k] = append(f.queue[k], u)
			}
		}
	}
}

// deliver hands over at most max routes of one queue.
func (f *fabric) deliver(from, to, max int) {
	k := [2]int{from, to}
	q := f.queue[k]
	max = min(max, len(q))
	f.leaf(to).Update(f.now, q[:max])
	f.queue[k] = q[max:]
}

// settle runs until nothing changes any more.
func (f *fabric) settle() {
	f.t.Helper()
	for round := 0; ; round++ {
		if round > 1000 {
			f.t.Fatal("the fabric does not settle")
		}
		quiet := true
		for _, n := range f.nodes {
			f.flush(n)
		}
		for _, a := range f.nodes {
			for _, b := range f.nodes {
				if len(f.queue[[2]int{a.i, b.i}]) > 0 {
					quiet = false
					f.deliver(a.i, b.i, 1<<30)
				}
			}
		}
		if quiet {
			return
		}
	}
}

// after lets time pass, ticks where a tick is due, and settles.
func (f *fabric) after(d int64) {
	f.t.Helper()
	until := f.now + d
	for {
		next := until
		for _, n := range f.nodes {
			if at, ok := n.Next(); ok && at < next {
				next = max(at, f.now)
			}
		}
		f.now = next
		for _, n := range f.nodes {
			n.Tick(f.now)
		}
		f.settle()
		if f.now >= until {
			return
		}
	}
}

// at checks where a MAC is, for all nodes: local at one, remote at the others.
func (f *fabric) at(vni table.VNI, mac table.MAC, where int) {
	f.t.Helper()
	for _, n := range f.nodes {
		v, _ := n.MAC(vni, mac)
		m, remote := n.macs[macKey{vni, mac}]
		switch {
		case n.i == where:
			if !v.Local || remote {
				f.t.Errorf("%s: %s: local %v, remote %v (%v), want local", n.name, mac, v.Local, remote, m.Target)
			}
		case where == 0:
			if v.Local || remote {
				f.t.Errorf("%s: %s: local %v, remote %v (%v), want nowhere", n.name, mac, v.Local, remote, m.Target)
			}
		case v.Local || !remote || m.Target.VTEP != vtep(where):
			f.t.Errorf("%s: %s: local %v, remote %v (%v), want at leaf%d", n.name, mac, v.Local, remote, m.Target, where)
		}
	}
}

// mobilityOf returns the community with which a node announces a MAC.
func (n *node) mobilityOf(vni table.VNI, mac table.MAC) (evpn.Mobility, bool) {
	a, ok := n.announced[evpn.KeyOfMAC(evpn.NewRD(vtep(n.i), uint16(vni)), 0, mac, netip.Addr{})]
	return a.Mobility, ok
}

// remote is a peer played by the test: it announces what the test says.
type remote struct {
	n    *node
	peer evpn.PeerID
	i    int
}

// remoteOf makes leaf i a peer of n.
func remoteOf(n *node, i int) remote {
	n.PeerUp(peerOf(i))
	return remote{n, evpn.PeerID(i), i}
}

func (r remote) attrs(rts ...evpn.RT) evpn.Attrs {
	return evpn.Attrs{NextHop: vtep(r.i), RTs: rts, Encaps: evpn.EncapVXLAN, Preference: evpn.Preference{LocalPref: 100}}
}

func (r remote) announce(now int64, k evpn.Key, a evpn.Attrs) {
	r.n.Update(now, []evpn.Update{{Peer: r.peer, Route: evpn.Route{Key: k, Attrs: a}}})
}

func (r remote) withdraw(now int64, k evpn.Key) {
	r.n.Update(now, []evpn.Update{{Peer: r.peer, Withdraw: true, Route: evpn.Route{Key: k}}})
}

func (r remote) rd(vni table.VNI) evpn.RD { return evpn.NewRD(vtep(r.i), uint16(vni)) }

// mac returns a type 2 route as a leaf with symmetric IRB announces it; ip may be
// empty.
func (r remote) mac(vni table.VNI, mac table.MAC, ip string, m evpn.Mobility) (evpn.Key, evpn.Attrs) {
	r.n.t.Helper()
	a := r.attrs(rt(r.n.t, fmt.Sprintf("%d:%d", asn, vni)))
	a.Label1, a.Mobility = vni, m
	var x netip.Addr
	if ip != "" {
		x = addr(ip)
		a.RTs = append(a.RTs, rt(r.n.t, fmt.Sprintf("%d:%d", asn, l3vni)))
		a.Label2, a.RouterMAC = l3vni, routerMAC(r.i)
	}
	return evpn.KeyOfMAC(r.rd(vni), 0, mac, x), a
}

func (r remote) announceMAC(now int64, vni table.VNI, mac table.MAC, ip string, m evpn.Mobility) {
	r.n.t.Helper()
	k, a := r.mac(vni, mac, ip, m)
	r.announce(now, k, a)
}

func (r remote) prefix(p string) (evpn.Key, evpn.Attrs) {
	r.n.t.Helper()
	a := r.attrs(rt(r.n.t, fmt.Sprintf("%d:%d", asn, l3vni)))
	a.Label1, a.RouterMAC = l3vni, routerMAC(r.i)
	return evpn.KeyOfPrefix(evpn.NewRD(vtep(r.i), 1), 0, prefix(p)), a
}

func hop(i int) evpn.NextHop {
	return evpn.NextHop{Target: evpn.Target{VTEP: vtep(i), VNI: l3vni}, MAC: routerMAC(i)}
}

func sameHops(a, b []evpn.NextHop) bool { return slices.Equal(a, b) }

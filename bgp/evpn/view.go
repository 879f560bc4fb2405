package evpn

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// Known is a route of a peer, for display.
type Known struct {
	Peer    PeerID
	Route   Route
	Best    bool        // the best of its key
	Stale   bool        // kept for a graceful restart
	BDs     []table.VNI // that import it
	VRFs    []VRFID     // that import it
	Refused Reason      // a grant that it lacks
}

// Known calls f for each route of a peer, in the order in which they came, until
// it returns false. f does not change the speaker.
func (s *Speaker) Known(id PeerID, f func(Known) bool) {
	p := s.peers[id]
	if p == nil {
		return
	}
	for x := p.first; x != nil; x = x.next {
		if !f(x.view()) {
			return
		}
	}
}

// Lookup returns all paths of a key, the best first.
func (s *Speaker) Lookup(k Key) []Known {
	d, _ := s.rib.find(&k)
	if d == nil {
		return nil
	}
	var list []Known
	for x := d.best; x != nil; x = x.sibling {
		list = append(list, x.view())
	}
	return list
}

func (p *path) view() Known {
	k := Known{
		Peer:    p.peer.ID,
		Route:   Route{Key: p.dest.key, Attrs: p.attrs.attrs(p)},
		Best:    p.dest.best == p,
		Stale:   p.flags&pathStale != 0,
		Refused: p.attrs.refused,
	}
	for _, b := range p.attrs.bds {
		k.BDs = append(k.BDs, b.VNI)
	}
	for _, v := range p.attrs.vrfs {
		k.VRFs = append(k.VRFs, v.ID)
	}
	return k
}

// attrs returns a as they were received in p.
func (a *attrs) attrs(p *path) Attrs {
	return Attrs{
		NextHop: a.nextHop, RTs: slices.Clone(a.rts.rts), ESI: a.esi, Label1: a.label1, Label2: a.label2,
		Encaps:    a.encaps,
		Mobility:  Mobility{p.flags&pathMobility != 0, p.flags&pathSticky != 0, p.seq},
		RouterMAC: a.routerMAC, Gateway: a.gateway, ESImport: a.esImport, ESILabel: a.esiLabel, DF: a.df,
		PMSI: a.pmsi, Neighbour: Neighbour{a.nbPresent, a.neighbour}, IsGateway: a.isGateway, Stale: a.stale,
		NoStale:    a.noStale,
		Preference: a.preference,
	}
}

// Announced calls f for each route that this node announces, by kind, RD, MAC
// and IP, until it returns false.
func (s *Speaker) Announced(f func(Route) bool) {
	var keys []Key
	for k, r := range s.own.routes {
		if r.want != nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), compareKeys(&a, &b), slices.Compare(a.ESI[:], b.ESI[:]),
			cmp.Compare(a.Bits, b.Bits))
	})
	for _, k := range keys {
		if !f(Route{Key: k, Attrs: *s.own.routes[k].want}) {
			return
		}
	}
}

// MACView is all that is known of a MAC in a bridge domain.
type MACView struct {
	VNI       table.VNI
	MAC       table.MAC
	Local     bool // this node has it
	Port      uint32
	Mobility  Mobility     // as this node announces it, iff Local
	IPs       []netip.Addr // at this node
	Claims    []Claim      // of other nodes, the best first
	Moves     int          // in the present window
	Duplicate *Duplicate   // nil unless in quarantine
}

// Claim is another node's claim to a MAC.
type Claim struct {
	Target   Target
	ESI      ESI
	IP       netip.Addr
	Mobility Mobility
	Key      Key
	Peer     PeerID
}

// Duplicate is a MAC in quarantine. An invalid VTEP is this node.
type Duplicate struct {
	VNI      table.VNI
	MAC      table.MAC
	Keeper   netip.Addr
	Newcomer netip.Addr
	Since    int64 // ns
	Until    int64 // ns; 0: until Release
}

// MAC returns what is known of a MAC.
func (s *Speaker) MAC(vni table.VNI, mac table.MAC) (MACView, bool) {
	b := s.bds[vni]
	if b == nil || b.macs[mac] == nil {
		return MACView{}, false
	}
	e := b.macs[mac]
	v := MACView{VNI: vni, MAC: mac, Duplicate: e.duplicate()}
	if l := e.local; l != nil && !l.refused {
		v.Local, v.Port, v.Mobility = true, l.port, l.mob
		for _, ip := range l.ips {
			v.IPs = append(v.IPs, ip.addr)
		}
	}
	if s.recentlyMoved(e) {
		v.Moves = e.moves.n
	}
	var paths []*path
	e.routes.all(func(d *dest) bool {
		paths = append(paths, d.best)
		return true
	})
	slices.SortFunc(paths, func(a, b *path) int {
		return cmp.Or(compareMobility(a, b), compareKeys(&a.dest.key, &b.dest.key))
	})
	for _, p := range paths {
		a := p.attrs.attrs(p)
		v.Claims = append(v.Claims, Claim{Target{a.NextHop, a.Label1}, a.ESI, p.dest.key.IP, a.Mobility,
			p.dest.key, p.peer.ID})
	}
	return v, true
}

func (e *macEntry) duplicate() *Duplicate {
	if e.dup == nil {
		return nil
	}
	return &Duplicate{e.bd.VNI, e.mac, e.dup.keeper, e.dup.newcomer, e.dup.since, e.dup.until}
}

// Duplicates returns the MACs in quarantine, the oldest first.
func (s *Speaker) Duplicates() []Duplicate {
	var list []Duplicate
	for _, e := range s.quarantine {
		list = append(list, *e.duplicate())
	}
	return list
}

// DuplicateAddress is an IP address in quarantine.
type DuplicateAddress struct {
	VNI   table.VNI
	IP    netip.Addr
	MAC   table.MAC // of the newest claim; 0 if nobody claims it any more
	Until int64     // ns
}

// DuplicateAddresses returns the addresses in quarantine, the oldest first.
func (s *Speaker) DuplicateAddresses() []DuplicateAddress {
	list := make([]DuplicateAddress, 0, len(s.heldAddresses))
	for _, n := range s.heldAddresses {
		list = append(list, DuplicateAddress{n.bd.VNI, n.ip, n.out.mac, n.watch.until})
	}
	return list
}

// Place is where an address is, as Find sees it.
type Place struct {
	VNI   table.VNI
	MAC   table.MAC
	Local bool
	Route Key // of the claim; zero if local
}

// Find returns where an address is in each bridge domain that knows it, by VNI.
func (s *Speaker) Find(ip netip.Addr) []Place {
	var list []Place
	for _, b := range s.sortedBDs() {
		n := b.neighbours[ip]
		if n == nil {
			continue
		}
		out, p := n.decide()
		if out.mac == 0 {
			continue
		}
		x := Place{VNI: b.VNI, MAC: out.mac, Local: !out.remote}
		if p != nil {
			x.Route = p.dest.key
		}
		list = append(list, x)
	}
	return list
}

// Hops returns the next hops of a prefix as published.
func (s *Speaker) Hops(id VRFID, p netip.Prefix) []NextHop {
	v := s.vrfs[id]
	if v == nil || v.prefixes[p] == nil {
		return nil
	}
	return slices.Clone(v.prefixes[p].out)
}

// Interest returns the route targets that this node imports.
func (s *Speaker) Interest() Interest {
	return Interest{RTs: slices.Clone(s.interest.RTs), All: s.interest.All}
}

// Size counts what a speaker holds, for metrics and for finding leaks.
type Size struct {
	Peers, Keys, Paths, Attrs     int // of peers' routes
	BDs, VRFs, Segments           int
	MACs, Neighbours, Prefixes    int
	Groups, Duplicates, Announced int
}

// Size returns the counts. Announced leaves the multicast routes of BDs out.
func (s *Speaker) Size() Size {
	z := Size{Peers: len(s.peers), Attrs: len(s.in.attrs), BDs: len(s.bds), VRFs: len(s.vrfs), Segments: len(s.esis),
		Duplicates: s.quarantined, Announced: len(s.own.routes) - len(s.bds)}
	z.Keys, z.Paths = s.Routes()
	for _, b := range s.bds {
		z.MACs += len(b.macs)
		z.Neighbours += len(b.neighbours)
		for _, x := range b.segments {
			z.Groups += len(x.groups)
		}
	}
	for _, v := range s.vrfs {
		z.Prefixes += len(v.prefixes)
	}
	return z
}

package evpn

import (
	"net/netip"
	"slices"
)

// LocalPrefix is a prefix that this node announces for a VRF: type 5.
type LocalPrefix struct {
	VRF    VRFID
	Prefix netip.Prefix
	// Gateway makes it recursive: an address in a bridge domain of the VRF by
	// which the prefix is reached (RFC 9136 section 4.1). Invalid: by this node.
	Gateway netip.Addr
}

// vrf is a routing domain: its configuration, what peers say of it, and what was
// published.
type vrf struct {
	VRF
	prefixes map[netip.Prefix]*prefix
	gateways map[netip.Addr]map[*prefix]struct{} // overlay indexes, and who needs them
	hosts    map[netip.Addr]*neighbour           // addresses at this node
	local    map[netip.Prefix]LocalPrefix
	bds      []*bd // that it serves, by VNI
}

// prefix is one prefix of a VRF.
type prefix struct {
	vrf    *vrf
	p      netip.Prefix
	routes destSet // type 5
	hosts  destSet // type 2 with an L3VNI
	out    []NextHop
	needs  []netip.Addr // gateways it waits for or uses
	behind []*segment   // segments of its hosts
	dirty  bool
}

func newVRF(c VRF) *vrf {
	return &vrf{
		VRF:      c,
		prefixes: map[netip.Prefix]*prefix{},
		gateways: map[netip.Addr]map[*prefix]struct{}{},
		hosts:    map[netip.Addr]*neighbour{},
		local:    map[netip.Prefix]LocalPrefix{},
	}
}

func (v *vrf) prefix(p netip.Prefix) *prefix {
	x := v.prefixes[p]
	if x == nil {
		x = &prefix{vrf: v, p: p}
		v.prefixes[p] = x
	}
	return x
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func comparePrefixes(a, b *prefix) int {
	if c := int(a.vrf.VNI) - int(b.vrf.VNI); c != 0 {
		return c
	}
	if c := a.p.Addr().Compare(b.p.Addr()); c != 0 {
		return c
	}
	return a.p.Bits() - b.p.Bits()
}

func (s *Speaker) touchPrefix(p *prefix) {
	if !p.dirty {
		p.dirty = true
		s.dirty.prefixes = append(s.dirty.prefixes, p)
	}
}

// isHostRoute reports whether type 2 routes with k and a make a host route: "if
// Label2 is non-zero and one of its route targets identifies the IP-VRF, the
// ingress PE will use symmetric IRB" (RFC 9135 section 4.2). Link-local
// addresses are not routed.
func isHostRoute(k *Key, a *attrs) bool {
	return k.Kind == MACIP && k.IP.IsValid() && !k.IP.IsLinkLocalUnicast() && a.label2 != 0 && a.routerMAC != 0
}

// vrfTake brings v in line with the best path of d.
func (s *Speaker) vrfTake(v *vrf, d *dest, _ *attrs) {
	switch {
	case d.key.Kind == Prefix:
		p := v.prefix(d.key.Prefix())
		p.routes.add(d)
		s.touchPrefix(p)
	case isHostRoute(&d.key, d.taken) && s.cfg.grantMAC(d.taken.nextHop, v.VNI, d.key.MAC) == 0:
		p := v.prefix(hostPrefix(d.key.IP))
		p.hosts.add(d)
		s.touchPrefix(p)
	case d.key.Kind == MACIP:
		s.vrfRemove(v, d, d.taken)
	}
}

// vrfRemove removes d.
func (s *Speaker) vrfRemove(v *vrf, d *dest, _ *attrs) {
	switch d.key.Kind {
	case Prefix:
		if p := v.prefixes[d.key.Prefix()]; p != nil && p.routes.remove(d) {
			s.touchPrefix(p)
		}
	case MACIP:
		if !d.key.IP.IsValid() {
			return
		}
		if p := v.prefixes[hostPrefix(d.key.IP)]; p != nil && p.hosts.remove(d) {
			s.touchPrefix(p)
		}
	}
}

// touchHost notes that an address of b came to this node or left it.
func (s *Speaker) touchHost(b *bd, ip netip.Addr) {
	v := b.vrf
	if v == nil {
		return
	}
	n := b.neighbours[ip]
	switch {
	case n != nil && n.local != nil:
		v.hosts[ip] = n
	case v.hosts[ip] != nil && v.hosts[ip].bd == b:
		delete(v.hosts, ip)
	}
	if p := v.prefixes[hostPrefix(ip)]; p != nil {
		s.touchPrefix(p)
	}
}

// touchGateway marks prefixes that need ip.
func (v *vrf) touchGateway(s *Speaker, ip netip.Addr) {
	set := v.gateways[ip]
	if len(set) == 0 {
		return
	}
	list := make([]*prefix, 0, len(set))
	for p := range set {
		list = append(list, p)
	}
	slices.SortFunc(list, comparePrefixes)
	for _, p := range list {
		s.touchPrefix(p)
	}
}

// AddPrefix announces a prefix; it replaces what was announced for the same
// prefix. ok is false when there is no such VRF or the prefix is invalid, and
// nothing changes.
func (s *Speaker) AddPrefix(l LocalPrefix) (ok bool) {
	v := s.vrfs[l.VRF]
	if v == nil || !l.Prefix.IsValid() ||
		l.Gateway.IsValid() && (!unicast(l.Gateway) || l.Gateway.BitLen() != l.Prefix.Addr().BitLen()) {
		return false
	}
	l.Prefix = l.Prefix.Masked()
	v.local[l.Prefix] = l
	s.announcePrefix(v, l)
	return true
}

// RemovePrefix withdraws a prefix of AddPrefix.
func (s *Speaker) RemovePrefix(id VRFID, p netip.Prefix) {
	v := s.vrfs[id]
	if v == nil || !p.IsValid() {
		return
	}
	p = p.Masked()
	if _, ok := v.local[p]; ok {
		delete(v.local, p)
		s.own.unset(KeyOfPrefix(v.RD, 0, p))
	}
}

func (s *Speaker) announcePrefix(v *vrf, l LocalPrefix) {
	a := Attrs{NextHop: s.cfg.VTEP, RTs: v.Export, Encaps: EncapVXLAN, Gateway: l.Gateway}
	if !l.Gateway.IsValid() {
		// RFC 9136 section 4.4.1, interface-less: label and Router's MAC. With an
		// overlay index "the label value SHOULD be zero" (section 3.1).
		a.Label1, a.RouterMAC = v.VNI, v.RouterMAC
	}
	s.own.set(KeyOfPrefix(v.RD, 0, l.Prefix), a)
}

// announceVRF announces, retractVRF withdraws all prefixes of this node in v.
func (s *Speaker) announceVRF(v *vrf) {
	for _, l := range v.sortedLocal() {
		s.announcePrefix(v, l)
	}
}

func (s *Speaker) retractVRF(v *vrf) {
	for _, l := range v.sortedLocal() {
		s.own.unset(KeyOfPrefix(v.RD, 0, l.Prefix))
	}
}

func (v *vrf) sortedLocal() []LocalPrefix {
	list := make([]LocalPrefix, 0, len(v.local))
	for _, l := range v.local {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b LocalPrefix) int {
		if c := a.Prefix.Addr().Compare(b.Prefix.Addr()); c != 0 {
			return c
		}
		return a.Prefix.Bits() - b.Prefix.Bits()
	})
	return list
}

// flushPrefixes publishes prefixes that were touched.
func (s *Speaker) flushPrefixes() {
	for _, p := range s.dirty.prefixes {
		p.dirty = false
		s.publishPrefix(p)
		if len(p.out) == 0 && p.routes.empty() && p.hosts.empty() && p.vrf.prefixes[p.p] == p {
			delete(p.vrf.prefixes, p.p)
		}
	}
	s.dirty.prefixes = s.dirty.prefixes[:0]
}

func (s *Speaker) publishPrefix(p *prefix) {
	for _, g := range p.needs {
		if set := p.vrf.gateways[g]; set != nil {
			if delete(set, p); len(set) == 0 {
				delete(p.vrf.gateways, g)
			}
		}
	}
	for _, g := range p.behind {
		delete(g.hosts, p)
		s.dropSegment(g)
	}
	p.needs, p.behind = p.needs[:0], p.behind[:0]
	want := s.hops(p)
	if slices.Equal(want, p.out) {
		return
	}
	if slices.Equal(want, s.lastHops) {
		want = s.lastHops
	}
	p.out, s.lastHops = want, want
	s.out.Prefixes = append(s.out.Prefixes, PrefixChange{VRF: p.vrf.ID, Prefix: p.p, Hops: slices.Clone(want)})
}

// hops returns the next hops of p. A host at this node has none here: it is
// reached by its bridge domain. Host routes of type 2 come before type 5.
func (s *Speaker) hops(p *prefix) []NextHop {
	var list []NextHop
	if p.p.IsSingleIP() {
		var local bool
		if list, local = s.hostHops(p); local {
			return nil
		}
	}
	if len(list) == 0 {
		list = s.prefixHops(p)
	}
	slices.SortFunc(list, compareHops)
	list = slices.Compact(list)
	if len(list) > s.cfg.MaxPaths {
		list = list[:s.cfg.MaxPaths]
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func compareHops(a, b NextHop) int {
	if c := compareTargets(a.Target, b.Target); c != 0 {
		return c
	}
	if c := a.Gateway.Compare(b.Gateway); c != 0 {
		return c
	}
	switch {
	case a.MAC != b.MAC && a.MAC < b.MAC:
		return -1
	case a.MAC != b.MAC:
		return 1
	}
	return int(a.BD) - int(b.BD)
}

// hostHops returns the next hops of a host. Of several MACs with the address the
// newest claim wins, as in ARP and ND; of several claims to that MAC the rules of
// mobility decide (RFC 9135 section 7); nodes on one segment share the load.
func (s *Speaker) hostHops(p *prefix) (list []NextHop, local bool) {
	var newest *path
	s.eachHost(p, func(x *path) {
		xi, ni := x.immutable(), newest != nil && newest.immutable()
		if newest == nil || xi && !ni || xi == ni && x.order > newest.order {
			newest = x
		}
	})
	if n := p.vrf.hosts[p.p.Addr()]; n != nil && n.local != nil {
		if newest == nil || newest.dest.key.MAC == n.local.mac || newest.order < n.order {
			return nil, true
		}
	}
	if newest == nil {
		return nil, false
	}
	mac := newest.dest.key.MAC
	var best *path
	s.eachHost(p, func(x *path) {
		if x.dest.key.MAC != mac {
			return
		}
		if best == nil || compareMobility(x, best) < 0 {
			best = x
		}
	})
	s.eachHost(p, func(x *path) {
		if x == best || x.dest.key.MAC == mac && x.seq == best.seq && sameSegment(x.attrs.esi, best.attrs.esi) {
			a := x.attrs
			list = append(list, NextHop{Target: Target{a.nextHop, a.label2}, MAC: a.routerMAC})
		}
	})
	return list, false
}

func (p *path) immutable() bool { return p.attrs.neighbour&NeighbourImmutable != 0 }

// eachHost calls f for the usable host routes of p. One behind a segment of
// which type 1 routes are known needs that of its VTEP (RFC 7432 section 8.2).
func (s *Speaker) eachHost(p *prefix, f func(*path)) {
	p.hosts.all(func(d *dest) bool {
		a := d.best.attrs
		if a.esi.shared() {
			g := s.segment(a.esi)
			if _, ok := g.hosts[p]; !ok {
				g.hosts[p] = struct{}{}
				p.behind = append(p.behind, g)
			}
			if len(g.seen) > 0 && g.seen[a.nextHop] == 0 {
				return true
			}
		}
		f(d.best)
		return true
	})
}

// prefixHops returns the next hops of type 5 routes: of the best class that has
// any, all (RFC 4271 section 9.1.2 up to its tie-breaks).
func (s *Speaker) prefixHops(p *prefix) []NextHop {
	if p.routes.more == nil {
		if p.routes.one == nil {
			return nil
		}
		return s.resolve(p, p.routes.one.best, nil)
	}
	var paths []*path
	p.routes.all(func(d *dest) bool {
		paths = append(paths, d.best)
		return true
	})
	slices.SortFunc(paths, func(a, b *path) int {
		if c := comparePreference(a, b); c != 0 {
			return c
		}
		return compareKeys(&a.dest.key, &b.dest.key)
	})
	var list []NextHop
	var first *path
	for _, x := range paths {
		if first != nil && comparePreference(first, x) != 0 {
			break
		}
		if list = s.resolve(p, x, list); len(list) > 0 && first == nil {
			first = x
		}
	}
	return list
}

// resolve appends the next hops of a type 5 route. With a gateway it needs the
// gateway's MAC, and that MAC's place, from type 2 routes or from this node (RFC
// 9136 section 3.2): "the NVE cannot use the RT-5 unless it can recursively
// resolve the Overlay Index".
func (s *Speaker) resolve(p *prefix, x *path, list []NextHop) []NextHop {
	a := x.attrs
	if !a.gateway.IsValid() {
		return append(list, NextHop{Target: Target{a.nextHop, a.label1}, MAC: a.routerMAC})
	}
	v := p.vrf
	if !slices.Contains(p.needs, a.gateway) {
		set := v.gateways[a.gateway]
		if set == nil {
			set = map[*prefix]struct{}{}
			v.gateways[a.gateway] = set
		}
		set[p] = struct{}{}
		p.needs = append(p.needs, a.gateway)
	}
	for _, b := range v.bds {
		n := b.neighbours[a.gateway]
		if n == nil {
			continue
		}
		owner, _ := n.decide()
		if owner.mac == 0 {
			continue
		}
		hop := NextHop{MAC: owner.mac, Gateway: a.gateway, BD: b.VNI}
		for _, t := range s.whereIs(b, owner) {
			hop.Target = t
			list = append(list, hop)
		}
	}
	return list
}

// whereIs returns where the MAC of a neighbour is; an invalid VTEP is this node.
func (s *Speaker) whereIs(b *bd, n neighbourOut) []Target {
	e := b.macs[n.mac]
	switch {
	case e == nil:
		return nil
	case e.local != nil && !e.local.refused:
		return []Target{{VNI: b.VNI}}
	}
	c := e.claim(nil)
	if c == nil {
		return nil
	}
	t := Target{c.attrs.nextHop, c.attrs.label1}
	if !c.attrs.esi.shared() {
		return []Target{t}
	}
	x := b.segments[c.attrs.esi]
	if x == nil {
		return nil
	}
	if s.local(c.attrs.esi, b.VNI) {
		return []Target{{VNI: b.VNI}}
	}
	active, _ := x.members(t)
	return active
}

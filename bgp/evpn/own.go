package evpn

import (
	"net/netip"
	"slices"
	"sort"
)

// ownRoutes are what this node announces: as wanted now, and as last published.
type ownRoutes struct {
	routes map[Key]*ownRoute
	dirty  []*ownRoute
}

type ownRoute struct {
	key   Key
	want  *Attrs // nil: withdraw
	sent  *Attrs // nil: not announced
	dirty bool
}

func newOwnRoutes() ownRoutes { return ownRoutes{routes: map[Key]*ownRoute{}} }

func (o *ownRoutes) touch(r *ownRoute) {
	if !r.dirty {
		r.dirty = true
		o.dirty = append(o.dirty, r)
	}
}

func (o *ownRoutes) set(k Key, a Attrs) {
	r := o.routes[k]
	if r == nil {
		r = &ownRoute{key: k}
		o.routes[k] = r
	}
	if r.want != nil && r.want.equal(&a) {
		return
	}
	r.want = &a
	o.touch(r)
}

func (o *ownRoutes) unset(k Key) {
	if r := o.routes[k]; r != nil && r.want != nil {
		r.want = nil
		o.touch(r)
	}
}

// equal compares all fields.
func (a *Attrs) equal(b *Attrs) bool {
	return a.NextHop == b.NextHop && a.ESI == b.ESI && a.Label1 == b.Label1 && a.Label2 == b.Label2 &&
		a.Encaps == b.Encaps && a.Mobility == b.Mobility && a.RouterMAC == b.RouterMAC && a.Gateway == b.Gateway &&
		a.ESImport == b.ESImport && a.ESILabel == b.ESILabel && a.DF == b.DF && a.PMSI == b.PMSI &&
		a.Neighbour == b.Neighbour && a.IsGateway == b.IsGateway && a.Stale == b.Stale &&
		a.Preference == b.Preference && slices.Equal(a.RTs, b.RTs)
}

// flush returns what differs from what was published: withdrawals of type 1 per
// segment first (RFC 7432 section 8.2: they repair all MACs of the segment at
// once), the rest as it was touched.
func (o *ownRoutes) flush(out []RouteChange) []RouteChange {
	from := len(out)
	for _, r := range o.dirty {
		r.dirty = false
		switch {
		case r.want == nil && r.sent == nil:
		case r.want == nil:
			out = append(out, RouteChange{Withdraw: true, Route: Route{Key: r.key}})
		case r.sent == nil || !r.want.equal(r.sent):
			out = append(out, RouteChange{Route: Route{Key: r.key, Attrs: *r.want}})
		}
		if r.sent = r.want; r.sent == nil {
			delete(o.routes, r.key)
		}
	}
	o.dirty = o.dirty[:0]
	urgent := func(c *RouteChange) bool {
		return c.Withdraw && c.Route.Key.Kind == AutoDiscovery && c.Route.Key.Tag == MaxTag
	}
	batch := out[from:]
	sort.SliceStable(batch, func(i, j int) bool { return urgent(&batch[i]) && !urgent(&batch[j]) })
	return out
}

// announceBD announces all of a bridge domain: its multicast route and what is
// local in it.
func (s *Speaker) announceBD(b *bd) {
	s.own.set(KeyOfMulticast(b.RD, b.Tag, s.cfg.VTEP), Attrs{
		NextHop: s.cfg.VTEP,
		RTs:     b.Export,
		Encaps:  EncapVXLAN,
		PMSI: PMSI{Present: true, Type: PMSIIngressReplication, VNI: b.VNI,
			Endpoint: s.cfg.VTEP}, // RFC 8365 section 9
	})
	for _, e := range b.sortedLocals() {
		s.announceMAC(e)
		for _, ip := range e.local.ips {
			s.touchHost(b, ip.addr)
		}
	}
}

// retractBD undoes announceBD.
func (s *Speaker) retractBD(b *bd) {
	s.own.unset(KeyOfMulticast(b.RD, b.Tag, s.cfg.VTEP))
	for _, e := range b.sortedLocals() {
		s.retractMAC(e)
	}
}

// sortedLocals returns the entries with a claim of this node, by MAC.
func (b *bd) sortedLocals() []*macEntry {
	var list []*macEntry
	for _, e := range b.macs {
		if e.local != nil {
			list = append(list, e)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].mac < list[j].mac })
	return list
}

// announceMAC announces a MAC of this node, alone and with each address: "a
// MAC-only route can be advertised along with, but independent from, a MAC/IP
// route" (RFC 7432 section 10).
func (s *Speaker) announceMAC(e *macEntry) {
	l, b := e.local, e.bd
	if l.silent || l.refused {
		return
	}
	a := Attrs{
		NextHop:   s.cfg.VTEP,
		RTs:       b.Export,
		ESI:       l.esi,
		Label1:    b.VNI,
		Encaps:    EncapVXLAN,
		Mobility:  l.mob,
		IsGateway: l.gateway,
	}
	s.own.set(KeyOfMAC(b.RD, b.Tag, e.mac, netip.Addr{}), a)
	if len(l.ips) == 0 {
		return
	}
	routed := a
	if v := b.vrf; v != nil && !b.Asymmetric {
		// RFC 9135 section 5.1: both labels, both route targets, Router's MAC.
		routed.Label2, routed.RouterMAC = v.VNI, v.RouterMAC
		routed.RTs = slices.Concat(b.Export, v.Export)
	}
	for _, ip := range l.ips {
		r := routed
		if ip.addr.IsLinkLocalUnicast() {
			r = a // of this link only: nothing to route to
		}
		// RFC 9047 section 3.1: IPv6 always, IPv4 for what it adds.
		bits := ip.bits
		if ip.addr.Is4() {
			bits &= NeighbourImmutable
		}
		r.Neighbour = Neighbour{Present: ip.addr.Is6() || bits != 0, Bits: bits}
		s.own.set(KeyOfMAC(b.RD, b.Tag, e.mac, ip.addr), r)
	}
}

// retractMAC undoes announceMAC.
func (s *Speaker) retractMAC(e *macEntry) {
	b := e.bd
	s.own.unset(KeyOfMAC(b.RD, b.Tag, e.mac, netip.Addr{}))
	for _, ip := range e.local.ips {
		s.own.unset(KeyOfMAC(b.RD, b.Tag, e.mac, ip.addr))
	}
}

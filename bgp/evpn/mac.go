package evpn

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// macEntry is one MAC in one bridge domain: who claims it, and who has it.
type macEntry struct {
	bd     *bd
	mac    table.MAC
	local  *localMAC  // this node's claim, nil without
	routes destSet    // claims of others
	out    macOut     // as published
	moves  *moves     // nil until it first moved
	dup    *duplicate // in quarantine; nil otherwise
	dirty  bool
}

// macOut is the remote side as published. attrs nil: nothing was.
type macOut struct {
	attrs *attrs
	group *group // iff attrs has a segment
	seq   uint32
	flags outFlags
}

type outFlags uint8

const (
	outSticky outFlags = 1 << iota
	outFrozen
)

func (b *bd) entry(mac table.MAC) *macEntry {
	e := b.macs[mac]
	if e == nil {
		e = &macEntry{bd: b, mac: mac}
		b.macs[mac] = e
	}
	return e
}

func (s *Speaker) touchMAC(e *macEntry) {
	if !e.dirty {
		e.dirty = true
		s.dirty.macs = append(s.dirty.macs, e)
	}
}

// takeMAC takes a type 2 route, or what is new about it.
func (s *Speaker) takeMAC(now int64, b *bd, d *dest) {
	p := d.best
	if d.key.Tag != b.Tag {
		s.removeMAC(now, b, d)
		return
	}
	if why := s.cfg.grantMAC(p.attrs.nextHop, b.VNI, d.key.MAC); why != 0 {
		s.removeMAC(now, b, d)
		s.refuse(now, p.peer.ID, &Route{Key: d.key, Attrs: Attrs{NextHop: p.attrs.nextHop}}, why)
		return
	}
	e := b.entry(d.key.MAC)
	e.routes.add(d)
	s.touchMAC(e)
	if d.key.IP.IsValid() {
		n := b.neighbour(d.key.IP)
		n.routes.add(d)
		s.touchNeighbour(n)
	}
	if e.local != nil {
		s.contend(now, e)
	}
}

// removeMAC removes a type 2 route.
func (s *Speaker) removeMAC(_ int64, b *bd, d *dest) {
	if e := b.macs[d.key.MAC]; e != nil && e.routes.remove(d) {
		s.touchMAC(e)
	}
	if n := b.neighbours[d.key.IP]; n != nil && n.routes.remove(d) {
		s.touchNeighbour(n)
	}
}

// claim returns the best claim of others, among those of which ok, if not nil,
// says so. In quarantine only the claims of the keeper count.
func (e *macEntry) claim(ok func(*path) bool) *path {
	var best *path
	e.routes.all(func(d *dest) bool {
		p := d.best
		switch {
		case e.dup != nil && p.attrs.nextHop != e.dup.keeper:
		case ok != nil && !ok(p):
		case best == nil:
			best = p
		default:
			c := compareMobility(p, best)
			if c == 0 {
				c = compareKeys(&p.dest.key, &best.dest.key)
			}
			if c < 0 {
				best = p
			}
		}
		return true
	})
	return best
}

// flushMACs publishes the remote side of MACs that were touched.
func (s *Speaker) flushMACs() {
	for _, e := range s.dirty.macs {
		e.dirty = false
		s.publishMAC(e)
		switch {
		case e.local != nil || !e.routes.empty() || e.out.attrs != nil || e.dup != nil:
		case s.recentlyMoved(e):
			s.idle = append(s.idle, e)
		case e.bd.macs[e.mac] == e:
			delete(e.bd.macs, e.mac)
		}
	}
	s.dirty.macs = s.dirty.macs[:0]
}

func (s *Speaker) publishMAC(e *macEntry) {
	var want macOut
	if e.local == nil || e.local.refused {
		if p := e.claim(nil); p != nil {
			want.attrs, want.seq = p.attrs, p.seq
			if p.flags&pathSticky != 0 {
				want.flags |= outSticky
			}
			if e.dup != nil {
				want.flags |= outFrozen
			}
		}
	}
	have := &e.out
	if want.sameAs(have) {
		have.attrs = want.attrs // equal where it matters; do not keep an old one alive
		return
	}
	if want.attrs != nil && want.attrs.esi.shared() {
		want.group = s.groupRef(e.bd, want.attrs)
	}
	if have.group != nil {
		s.groupUnref(have.group)
	}
	c := MACChange{VNI: e.bd.VNI, MAC: e.mac, Remove: want.attrs == nil}
	if a := want.attrs; a != nil {
		c.Target, c.Seq, c.Gateway = Target{a.nextHop, a.label1}, want.seq, a.isGateway
		if want.group != nil {
			c.ESI = a.esi
		}
		c.Sticky, c.Frozen = want.flags&outSticky != 0, want.flags&outFrozen != 0
	}
	*have = want
	s.out.MACs = append(s.out.MACs, c)
}

// sameAs reports whether a and b publish the same.
func (a *macOut) sameAs(b *macOut) bool {
	if a.attrs == nil || b.attrs == nil {
		return a.attrs == b.attrs
	}
	if a.seq != b.seq || a.flags != b.flags {
		return false
	}
	x, y := a.attrs, b.attrs
	return x == y ||
		x.nextHop == y.nextHop && x.label1 == y.label1 && x.esi == y.esi && x.isGateway == y.isGateway
}

// localMAC is this node's claim to a MAC.
type localMAC struct {
	port    uint32
	esi     ESI
	gateway bool
	silent  bool
	refused bool // remembered, not claimed: in quarantine as the newcomer
	mob     Mobility
	ips     []localIP
}

type localIP struct {
	addr netip.Addr
	bits NeighbourBits
}

// fixed reports whether the MAC may not move away from this node.
func (l *localMAC) fixed() bool { return l.mob.Sticky || l.gateway }

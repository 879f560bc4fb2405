package evpn

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
)

// neighbour is one IP address in one bridge domain, and the MACs that claim it.
type neighbour struct {
	bd     *bd
	ip     netip.Addr
	routes destSet   // type 2 with this IP
	local  *macEntry // has it at this node; nil without
	order  uint64    // of local's claim
	bits   NeighbourBits
	out    neighbourOut
	shown  shownNeighbour
	watch  *watch // nil until it first changed its MAC
	dirty  bool
}

// watch counts how often an address changed its MAC.
type watch struct {
	moves
	until int64 // ns, end of the quarantine; 0: not in one
}

func (n *neighbour) duplicate() bool { return n.watch != nil && n.watch.until > 0 }

// shownNeighbour is what was published; MAC 0: nothing.
type shownNeighbour struct {
	mac  table.MAC
	bits NeighbourBits
}

// neighbourOut is who has an address.
type neighbourOut struct {
	mac    table.MAC // 0: nobody has it
	bits   NeighbourBits
	remote bool
}

func (b *bd) neighbour(ip netip.Addr) *neighbour {
	n := b.neighbours[ip]
	if n == nil {
		n = &neighbour{bd: b, ip: ip}
		b.neighbours[ip] = n
	}
	return n
}

func (s *Speaker) touchNeighbour(n *neighbour) {
	if !n.dirty {
		n.dirty = true
		s.dirty.neighbours = append(s.dirty.neighbours, n)
	}
}

// bind notes that ip is at e, which is local.
func (s *Speaker) bind(e *macEntry, ip netip.Addr, bits NeighbourBits) {
	l := e.local
	n := e.bd.neighbour(ip)
	if n.local != nil && n.local != e {
		s.unbind(n.local, ip) // the newer of two at this node
		n = e.bd.neighbour(ip)
	}
	i := slices.IndexFunc(l.ips, func(x localIP) bool { return x.addr == ip })
	if i < 0 {
		l.ips = append(l.ips, localIP{ip, bits})
	} else {
		l.ips[i].bits = bits
	}
	if n.local == nil || n.out.remote {
		s.order++
		n.order = s.order
	}
	n.local, n.bits = e, bits
	s.touchNeighbour(n)
	s.touchHost(e.bd, ip)
}

// unbind undoes bind.
func (s *Speaker) unbind(e *macEntry, ip netip.Addr) {
	i := slices.IndexFunc(e.local.ips, func(x localIP) bool { return x.addr == ip })
	if i < 0 {
		return
	}
	e.local.ips = slices.Delete(e.local.ips, i, i+1)
	s.own.unset(KeyOfMAC(e.bd.RD, e.bd.Tag, e.mac, ip))
	if n := e.bd.neighbours[ip]; n != nil && n.local == e {
		n.local = nil
		s.touchNeighbour(n)
	}
	s.touchHost(e.bd, ip)
}

// decide returns who has the address: an immutable binding, else the newest
// claim (RFC 9047 section 3.2 and RFC 9161 section 3.2: the latest information).
func (n *neighbour) decide() (out neighbourOut, best *path) {
	order, immutable := uint64(0), false
	if n.local != nil {
		out = neighbourOut{mac: n.local.mac, bits: n.bits}
		order, immutable = n.order, n.bits&NeighbourImmutable != 0
	}
	n.routes.all(func(d *dest) bool {
		p := d.best
		i := p.attrs.neighbour&NeighbourImmutable != 0
		if out.mac == 0 || i && !immutable || i == immutable && p.order > order {
			best, order, immutable = p, p.order, i
			out = neighbourOut{mac: d.key.MAC, bits: p.attrs.neighbour, remote: true}
			if n.ip.Is4() {
				out.bits &= NeighbourImmutable // "MUST ignore the received R and O flags"
			} else if !p.attrs.nbPresent {
				out.bits = NeighbourOverride // "the default O flag SHOULD be 1"
			}
		}
		return true
	})
	return out, best
}

// flushNeighbours publishes pairs that were touched.
func (s *Speaker) flushNeighbours() {
	for _, n := range s.dirty.neighbours {
		n.dirty = false
		s.publishNeighbour(n)
		if n.local == nil && n.routes.empty() && !n.duplicate() && n.bd.neighbours[n.ip] == n {
			delete(n.bd.neighbours, n.ip)
		}
	}
	s.dirty.neighbours = s.dirty.neighbours[:0]
}

func (s *Speaker) publishNeighbour(n *neighbour) {
	want, _ := n.decide()
	have := n.out
	n.out = want
	if n.bd.vrf != nil {
		// Also when the pair is the same: the MAC's place may differ.
		n.bd.vrf.touchGateway(s, n.ip)
	}
	if have.mac != 0 && want.mac != 0 && have.mac != want.mac {
		s.event(Event{Kind: EventAddressMoved, Time: s.now, VNI: n.bd.VNI, IP: n.ip, MAC: want.mac})
		s.watchAddress(n, have, want)
	}
	var show shownNeighbour
	if want.remote && !n.duplicate() {
		// A duplicate is not shown: "stop responding to ARP/NS for the duplicate IP
		// until a corrective action is taken" (RFC 9161 section 3.7).
		show = shownNeighbour{want.mac, want.bits}
	}
	if show == n.shown {
		return
	}
	n.shown = show
	c := NeighbourChange{VNI: n.bd.VNI, IP: n.ip, Remove: show.mac == 0, MAC: show.mac, Bits: show.bits}
	s.out.Neighbours = append(s.out.Neighbours, c)
}

// watchAddress counts that n changed its MAC, and puts it in quarantine when that
// was once too often. Immutable bindings are not subject to this, and end it (RFC
// 9161 section 3.7).
func (s *Speaker) watchAddress(n *neighbour, have, want neighbourOut) {
	if (have.bits|want.bits)&NeighbourImmutable != 0 {
		if want.bits&NeighbourImmutable != 0 && n.duplicate() {
			s.heldAddresses = slices.DeleteFunc(s.heldAddresses, func(x *neighbour) bool { return x == n })
			s.freeAddress(n)
		}
		return
	}
	if n.duplicate() {
		return // counted already
	}
	if n.watch == nil || s.now-n.watch.since > s.cfg.Duplicates.Window {
		n.watch = &watch{moves: moves{since: s.now}}
	}
	if n.watch.n++; n.watch.n < s.cfg.Duplicates.Moves {
		return
	}
	n.watch.until = s.now + s.cfg.Duplicates.Hold
	s.heldAddresses = append(s.heldAddresses, n)
	s.event(Event{Kind: EventDuplicateIP, Time: s.now, VNI: n.bd.VNI, IP: n.ip, MAC: want.mac})
}

// freeAddress ends the quarantine of an address.
func (s *Speaker) freeAddress(n *neighbour) {
	n.watch = nil
	s.event(Event{Kind: EventReleasedIP, Time: s.now, VNI: n.bd.VNI, IP: n.ip})
}

// ReleaseAddress ends the quarantine of an IP address and reports whether it was
// in one.
func (s *Speaker) ReleaseAddress(now int64, vni table.VNI, ip netip.Addr) bool {
	s.now = now
	b := s.bds[vni]
	if b == nil || b.neighbours[ip] == nil || !b.neighbours[ip].duplicate() {
		return false
	}
	n := b.neighbours[ip]
	s.heldAddresses = slices.DeleteFunc(s.heldAddresses, func(x *neighbour) bool { return x == n })
	s.freeAddress(n)
	s.touchNeighbour(n)
	return true
}

// releaseAddressesDue ends the quarantines whose time is over, which are in the
// order of their ends.
func (s *Speaker) releaseAddressesDue(now int64) {
	i := 0
	for ; i < len(s.heldAddresses) && s.heldAddresses[i].watch.until <= now; i++ {
		s.freeAddress(s.heldAddresses[i])
		s.touchNeighbour(s.heldAddresses[i])
	}
	s.heldAddresses = slices.Delete(s.heldAddresses, 0, i)
}

package evpn

import (
	"hash/maphash"
)

// path is a route as one peer announced it.
type path struct {
	dest    *dest
	attrs   *attrs
	peer    *peer
	sibling *path // the next worse path of dest
	prev    *path // of the peer
	next    *path
	order   uint64 // of arrival: greater is later
	seq     uint32
	flags   pathFlags
}

type pathFlags uint8

const (
	pathMobility pathFlags = 1 << iota // the mobility community was present
	pathSticky
	pathStale // the session went down; waits for the peer's end of RIB
)

// fixed reports whether the MAC may not move: it is sticky, or a gateway's.
func (p *path) fixed() bool { return p.flags&pathSticky != 0 || p.attrs.isGateway }

// mobility returns the flags and number of a, as paths hold them.
func mobility(a *Attrs) (pathFlags, uint32) {
	var f pathFlags
	if !a.Mobility.Present {
		return 0, 0
	}
	f = pathMobility
	if a.Mobility.Sticky {
		f |= pathSticky
	}
	return f, a.Mobility.Seq
}

// dest is all that is known of one key.
type dest struct {
	key   Key
	chain *dest  // others of the same hash
	best  *path  // and its siblings; nil only while dest is being removed
	taken *attrs // of the path that tables hold, nil if none does; a reference
}

// rib holds the routes of all peers.
//
// Keys are hashed by hand: the map holds 16 bytes for each, not the 56 of a Key
// a second time.
type rib struct {
	seed  maphash.Seed
	dests map[uint64]*dest
	n     int // dests
}

func newRIB() rib { return rib{seed: maphash.MakeSeed(), dests: map[uint64]*dest{}} }

func (r *rib) find(k *Key) (d *dest, h uint64) {
	h = maphash.Comparable(r.seed, *k)
	for d = r.dests[h]; d != nil && d.key != *k; d = d.chain {
	}
	return d, h
}

func (r *rib) insert(k *Key, h uint64) *dest {
	d := &dest{key: *k, chain: r.dests[h]}
	r.dests[h] = d
	r.n++
	return d
}

func (r *rib) remove(d *dest) {
	h := maphash.Comparable(r.seed, d.key)
	r.n--
	if first := r.dests[h]; first != d {
		for first.chain != d {
			first = first.chain
		}
		first.chain = d.chain
		return
	}
	if d.chain == nil {
		delete(r.dests, h)
		return
	}
	r.dests[h] = d.chain
}

// of returns the path of p, nil if it has none.
func (d *dest) of(p *peer) *path {
	for x := d.best; x != nil; x = x.sibling {
		if x.peer == p {
			return x
		}
	}
	return nil
}

// link puts p where it belongs among its siblings.
func (d *dest) link(p *path) {
	at := &d.best
	for *at != nil && comparePaths(*at, p) < 0 {
		at = &(*at).sibling
	}
	p.sibling, *at = *at, p
}

// unlink takes p out.
func (d *dest) unlink(p *path) {
	at := &d.best
	for *at != p {
		at = &(*at).sibling
	}
	*at, p.sibling = p.sibling, nil
}

// peer is a session and its paths, in the order in which they were first heard.
type peer struct {
	Peer
	first, last *path
	n           int
}

func (p *peer) append(x *path) {
	x.prev = p.last
	if p.last != nil {
		p.last.next = x
	} else {
		p.first = x
	}
	p.last = x
	p.n++
}

func (p *peer) remove(x *path) {
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		p.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		p.last = x.prev
	}
	x.prev, x.next = nil, nil
	p.n--
}

// destSet is a small set of dests in the order of insertion. Nearly all hold
// one.
type destSet struct {
	one  *dest
	more *[]*dest
}

// add puts d in and reports whether it was not there.
func (s *destSet) add(d *dest) bool {
	if s.one == d {
		return false
	}
	if s.one == nil {
		s.one = d
		return true
	}
	if s.more == nil {
		s.more = &[]*dest{d}
		return true
	}
	for _, x := range *s.more {
		if x == d {
			return false
		}
	}
	*s.more = append(*s.more, d)
	return true
}

// remove takes d out and reports whether it was there.
func (s *destSet) remove(d *dest) bool {
	if s.one == d {
		s.one = nil
		if s.more != nil {
			s.one = (*s.more)[0]
			s.cut(0)
		}
		return true
	}
	if s.more == nil {
		return false
	}
	for i, x := range *s.more {
		if x == d {
			s.cut(i)
			return true
		}
	}
	return false
}

func (s *destSet) cut(i int) {
	m := *s.more
	if len(m) == 1 {
		s.more = nil
		return
	}
	copy(m[i:], m[i+1:])
	m[len(m)-1] = nil
	*s.more = m[:len(m)-1]
}

func (s *destSet) empty() bool { return s.one == nil }

// all calls f for each until it returns false.
func (s *destSet) all(f func(*dest) bool) {
	if s.one == nil || !f(s.one) || s.more == nil {
		return
	}
	for _, d := range *s.more {
		if !f(d) {
			return
		}
	}
}

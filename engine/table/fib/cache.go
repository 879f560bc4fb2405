package fib

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"
)

// Cache is one worker's memory of the addresses that it looked up last, in any
// number of Tables: a flow's second packet does not walk the trie. A new version
// of a Table makes what was known of the old one void by itself. Worker only.
//
// It has two places for each hash. Whoever sends to more addresses than fit, or
// to chosen ones, makes lookups as slow as without it; the hash is keyed, so one
// tenant cannot choose which of another's flows it puts out.
type Cache[V any] struct {
	slots  []pair[V]
	mask   uint64 // len(slots) - 1, a power of two
	s0, s1 uint64 // hash key; s1 is odd
}

// pair is the two places of a hash, the later used one first.
type pair[V any] [2]slot[V]

type slot[V any] struct {
	version uint64 // 0: empty
	hi, lo  uint64 // the address
	four    bool   // it is an IPv4 address
	ok      bool   // there is a route; value is valid
	value   V
}

// NewCache returns a cache of size addresses, rounded up to a power of two, at
// least 2. With a pointer or a word for V an address takes 40 bytes.
func NewCache[V any](size int) *Cache[V] {
	n := uint64(1)
	for n < uint64(max(size, 2)+1)/2 {
		n *= 2
	}
	return &Cache[V]{slots: make([]pair[V], n), mask: n - 1, s0: rand.Uint64(), s1: rand.Uint64() | 1}
}

// Lookup returns what t.Lookup(addr) does. addr has no zone. A nil t is empty.
//
// Hot path: no allocation (TestNoAllocs).
func (c *Cache[V]) Lookup(t *Table[V], addr netip.Addr) (v V, ok bool) {
	if t == nil {
		return v, false
	}
	b := addr.As16()
	hi, lo, four := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), addr.Is4()
	h, l := bits.Mul64(lo^c.s0^bits.RotateLeft64(hi^t.version, 32), c.s1)
	p := &c.slots[(h^l)&c.mask]
	e := &p[0]
	if e.lo == lo && e.hi == hi && e.version == t.version && e.four == four {
		return e.value, e.ok
	}
	if e = &p[1]; e.lo == lo && e.hi == hi && e.version == t.version && e.four == four {
		p[0], p[1] = p[1], p[0]
		return p[0].value, p[0].ok
	}
	v, ok = t.Lookup(addr)
	p[1] = p[0]
	p[0] = slot[V]{version: t.version, hi: hi, lo: lo, four: four, ok: ok, value: v}
	return v, ok
}

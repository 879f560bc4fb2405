package fib

import (
	"iter"
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// Table is one version of a FIB. V is what a route leads to: a handle, or a
// pointer to paths and their adjacencies; the table never looks into it. Any
// goroutine. A nil Table is empty.
type Table[V any] struct {
	trie    *bart.Table[V]
	version uint64 // of no other Table in the process; 0 only in a nil one
}

// versions hands out the numbers by which Caches know Tables. A pointer would do
// as well, and would keep old versions in memory.
var versions atomic.Uint64

func newTable[V any](trie *bart.Table[V]) *Table[V] {
	return &Table[V]{trie: trie, version: versions.Add(1)}
}

// Lookup returns the value of the longest prefix that holds addr; ok is false
// when none does. An IPv4-mapped IPv6 address is an IPv6 address.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Table[V]) Lookup(addr netip.Addr) (v V, ok bool) {
	if t == nil {
		return v, false
	}
	return t.trie.Lookup(addr)
}

// Get returns the value of exactly this prefix, host bits cut off.
func (t *Table[V]) Get(p netip.Prefix) (v V, ok bool) {
	if t == nil {
		return v, false
	}
	return t.trie.Get(p)
}

// Len returns the number of routes, both families.
func (t *Table[V]) Len() int {
	if t == nil {
		return 0
	}
	return t.trie.Size()
}

// All returns the routes in no order.
func (t *Table[V]) All() iter.Seq2[netip.Prefix, V] {
	if t == nil {
		return func(func(netip.Prefix, V) bool) {}
	}
	return t.trie.All()
}

// Sorted returns the routes, IPv4 before IPv6, each by address and then length.
func (t *Table[V]) Sorted() iter.Seq2[netip.Prefix, V] {
	if t == nil {
		return func(func(netip.Prefix, V) bool) {}
	}
	return t.trie.AllSorted()
}

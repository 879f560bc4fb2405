package fib

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// FIB is the routes of one VRF: any number of readers that never lock, one
// writer. The zero value is empty and ready. It outlives the snapshots that
// point at it.
//
// What a value points at must live until no worker can be in a burst that began
// before the Update that took it away (table.Publisher.Settled).
type FIB[V any] struct {
	cur atomic.Pointer[Table[V]]
}

// Load returns the version in force, nil while there was no Update: an empty
// Table. A worker loads it once a burst and VRF. Any goroutine.
//
// Hot path: no allocation, inlined.
func (f *FIB[V]) Load() *Table[V] { return f.cur.Load() }

// Change is one step of an Update.
type Change[V any] struct {
	Prefix netip.Prefix // host bits are cut off
	Value  V            // of no meaning with Delete
	Delete bool         // takes the route away, if it is there
}

// Update makes the changes, in order, and publishes the result once: readers
// see all of them or none. The error, with nothing changed, names the first
// prefix that is not valid. The writer only.
//
// It costs some copied nodes for each change. For the first load of an empty
// FIB, and for batches that change a good part of a full one, each node is made
// once.
func (f *FIB[V]) Update(changes []Change[V]) error {
	for i := range changes {
		if p := changes[i].Prefix; !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("fib: %q is not a prefix", p)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	f.cur.Store(f.cur.Load().with(changes))
	return nil
}

// Replace makes routes the whole FIB in one publication, as at the end of a
// restart. The error, with nothing changed, names a prefix that is not valid.
// The writer only.
func (f *FIB[V]) Replace(routes map[netip.Prefix]V) error {
	t, err := Of(routes)
	if err != nil {
		return err
	}
	f.cur.Store(t)
	return nil
}

// Of returns a Table of routes. The error names a prefix that is not valid. Two
// prefixes that differ in host bits only are one route, with either value.
func Of[V any](routes map[netip.Prefix]V) (*Table[V], error) {
	trie := new(bart.Table[V])
	for p, v := range routes {
		if !p.IsValid() || p.Addr().Is4In6() {
			return nil, fmt.Errorf("fib: %q is not a prefix", p)
		}
		trie.Insert(p, v)
	}
	return newTable(trie), nil
}

// wholesale says from which part of the table on a batch is cheaper on a copy of
// all nodes, made once, than on copies of the path of each change. A persistent
// change copies some 8 KB of nodes, 9 to 15 us with the garbage collector's share;
// a copy of all costs 100 ns a route (BenchmarkUpdate).
const wholesale = 125

// with returns t after changes. t is not changed.
func (t *Table[V]) with(changes []Change[V]) *Table[V] {
	trie := new(bart.Table[V])
	switch {
	case t.Len() == 0:
	case len(changes) > t.Len()/wholesale:
		trie = t.trie.Clone()
	default:
		trie = t.trie
		for i := range changes {
			if c := &changes[i]; c.Delete {
				trie = trie.DeletePersist(c.Prefix)
			} else {
				trie = trie.InsertPersist(c.Prefix, c.Value)
			}
		}
		return newTable(trie)
	}
	for i := range changes {
		if c := &changes[i]; c.Delete {
			trie.Delete(c.Prefix)
		} else {
			trie.Insert(c.Prefix, c.Value)
		}
	}
	return newTable(trie)
}

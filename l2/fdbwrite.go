package l2

import (
	"math/bits"
	"sync/atomic"

	"github.com/ztos/ztos/engine/table"
)

// The methods below are the writer's: one goroutine at a time.

// Clear removes every entry.
func (f *FDB) Clear() {
	d := &directory{shift: 64, shards: make([]atomic.Pointer[shard], 1)}
	d.shards[0].Store(new(shard))
	f.meta = []shardMeta{{}}
	f.n.Store(0)
	f.dir.Store(d)
}

// Put adds e or replaces the entry of its MAC. It reports false, with nothing
// changed, when e.MAC is 0 or multicast, when e.Dest is none, or when the table
// is at its end (some tens of millions of entries).
func (f *FDB) Put(e Entry) bool {
	if e.MAC == 0 || e.MAC > table.Broadcast || e.MAC.IsMulticast() || e.Dest.Kind == DestNone {
		return false
	}
	h := f.hash(e.MAC)
	// Again after each split: all of a shard's entries may land in one half.
	for {
		d := f.dir.Load()
		i := int(h >> d.shift)
		old := d.shards[i].Load()
		known := old.find(e.MAC, h) != nil
		if !known && f.meta[i].n >= shardMax {
			if !f.split(i) {
				return false
			}
			continue
		}
		s := old.clone()
		s.put(e, h)
		m := f.meta[i]
		if !known {
			m.n++
			f.n.Add(1)
		}
		f.replace(d, i, s, m)
		f.merge(old, s, e.MAC)
		return true
	}
}

// Delete removes m and reports whether it was there.
func (f *FDB) Delete(m table.MAC) bool {
	h := f.hash(m)
	d := f.dir.Load()
	i := int(h >> d.shift)
	old := d.shards[i].Load()
	if old.find(m, h) == nil {
		return false
	}
	// Made anew without m: probes need no tombstones.
	s := new(shard)
	for j := range old {
		if e := &old[j]; e.key != 0 && e.key>>16 != uint64(m) {
			en := e.entry()
			s.put(en, f.hash(en.MAC))
		}
	}
	meta := f.meta[i]
	meta.n--
	f.n.Add(-1)
	f.replace(d, i, s, meta)
	f.merge(old, s, m)
	return true
}

// clone copies s slot by slot; the cells are read atomically, because workers
// write them.
func (s *shard) clone() *shard {
	c := new(shard)
	for j := range s {
		if s[j].key != 0 {
			c[j].key = s[j].key
			c[j].cell.Store(s[j].cell.Load())
		}
	}
	return c
}

// put writes e into a shard that nobody else sees yet and that has room.
func (s *shard) put(e Entry, h uint64) {
	for i := h; ; i++ {
		sl := &s[i%shardSlots]
		if sl.key == 0 || sl.key>>16 == uint64(e.MAC) {
			sl.key = makeKey(e)
			sl.cell.Store(uint64(e.Dest.ID)<<32 | uint64(e.Seen))
			return
		}
	}
}

// span returns the directory entries [lo, hi) that share entry i's shard.
func (f *FDB) span(d *directory, i int) (lo, hi int) {
	n := len(d.shards) >> f.meta[i].depth
	lo = i &^ (n - 1)
	return lo, lo + n
}

// replace publishes s in place of the shard at entry i.
func (f *FDB) replace(d *directory, i int, s *shard, m shardMeta) {
	lo, hi := f.span(d, i)
	for j := lo; j < hi; j++ {
		f.meta[j] = m
		d.shards[j].Store(s)
	}
}

// merge carries touches over that workers made in old after it was copied. A
// worker that is between its load of the shard and its store now is not seen:
// its MAC is then as old as its previous frame says, for as long as it stays
// silent. changed is the MAC whose entry was put or deleted, its age with it.
func (f *FDB) merge(old *shard, s *shard, changed table.MAC) {
	for j := range old {
		o := &old[j]
		if o.key == 0 || o.key>>16 == uint64(changed) {
			continue
		}
		seen := uint32(o.cell.Load())
		m := table.MAC(o.key >> 16)
		n := s.find(m, f.hash(m))
		for n != nil {
			c := n.cell.Load()
			if uint32(c) >= seen || n.cell.CompareAndSwap(c, c&^0xffffffff|uint64(seen)) {
				break
			}
		}
	}
}

// split divides the shard at directory entry i in two by the next bit of the
// hash. It reports false when the directory may not grow any more.
func (f *FDB) split(i int) bool {
	d := f.dir.Load()
	depth := f.meta[i].depth
	// Only a shard that has one directory entry alone makes the directory grow;
	// the two halves of any other fit the entries it has.
	if int(depth) == bits.Len(uint(len(d.shards)))-1 {
		if depth == maxDepth {
			return false
		}
		d = f.double(d)
		i *= 2
	}
	old := d.shards[i].Load()
	var half [2]*shard
	meta := [2]shardMeta{{depth: depth + 1}, {depth: depth + 1}}
	half[0], half[1] = new(shard), new(shard)
	for j := range old {
		if old[j].key == 0 {
			continue
		}
		e := old[j].entry()
		h := f.hash(e.MAC)
		b := h >> (63 - depth) & 1
		half[b].put(e, h)
		meta[b].n++
	}
	// Readers that loaded the old shard go on in it, whole; others find each
	// entry in its half. There is no moment in which one is in neither.
	lo, hi := f.span(d, i)
	mid := (lo + hi) / 2
	for j := lo; j < hi; j++ {
		b := 0
		if j >= mid {
			b = 1
		}
		f.meta[j] = meta[b]
		d.shards[j].Store(half[b])
	}
	f.merge(old, half[0], 0)
	f.merge(old, half[1], 0)
	return true
}

// double publishes a directory of twice the length over the same shards.
func (f *FDB) double(d *directory) *directory {
	n := len(d.shards)
	nd := &directory{shift: d.shift - 1, shards: make([]atomic.Pointer[shard], 2*n)}
	meta := make([]shardMeta, 2*n)
	for j := range n {
		s := d.shards[j].Load()
		for k := 2 * j; k < 2*j+2; k++ {
			nd.shards[k].Store(s)
			meta[k] = f.meta[j]
		}
	}
	f.meta = meta
	f.dir.Store(nd)
	return nd
}

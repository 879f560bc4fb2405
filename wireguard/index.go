package wireguard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Sizes of an IndexTable, slots.
const (
	minIndexSlots = 256
	maxIndexSlots = 1 << 22 // 3 sessions and one handshake for each of a million peers
)

// ErrIndexFull: every receiver index that the table can hold is in use.
var ErrIndexFull = errors.New("wireguard: receiver index table is full")

// IndexTable maps receiver indices to sessions. An index is 32 bits: the low
// ones are the number of a slot, the others are random. Lookup compares all 32,
// so an index that is no longer in use finds nothing even when its slot is taken
// again.
//
// Workers look up while control adds and removes; writers take a lock.
type IndexTable struct {
	slots atomic.Pointer[indexSlots]

	mu     sync.Mutex
	random io.Reader
	used   []bool // by slot: an index was reserved, with or without a session
	index  []uint32
	count  int
}

// indexSlots is one size of the table. Its length is a power of two.
type indexSlots struct {
	mask uint32
	s    []atomic.Pointer[Session]
}

func newIndexSlots(n int) *indexSlots {
	return &indexSlots{mask: uint32(n - 1), s: make([]atomic.Pointer[Session], n)}
}

// NewIndexTable returns an empty table that draws the random bits from random.
func NewIndexTable(random io.Reader) *IndexTable {
	t := &IndexTable{random: random, used: make([]bool, minIndexSlots), index: make([]uint32, minIndexSlots)}
	t.slots.Store(newIndexSlots(minIndexSlots))
	return t
}

// Lookup returns the session of a receiver index, nil when there is none.
// Worker.
//
// Hot path: no allocation, no lock.
func (t *IndexTable) Lookup(index uint32) *Session {
	p := t.slots.Load()
	s := p.s[index&p.mask].Load()
	if s == nil || s.local != index {
		return nil
	}
	return s
}

// Len returns how many indices are reserved or in use.
func (t *IndexTable) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Reserve returns a free index, above 0. Lookup finds nothing under it until
// Set.
func (t *IndexTable) Reserve() (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b [4]byte
	if _, err := io.ReadFull(t.random, b[:]); err != nil {
		return 0, fmt.Errorf("wireguard: random: %w", err)
	}
	// Keep a quarter free, so that the search below is short.
	if t.count >= len(t.used)-len(t.used)/4 {
		if err := t.growLocked(); err != nil {
			return 0, err
		}
	}
	r := binary.LittleEndian.Uint32(b[:])
	mask := uint32(len(t.used) - 1)
	for slot := r & mask; ; slot = (slot + 1) & mask {
		index := r&^mask | slot
		if t.used[slot] || index == 0 {
			continue
		}
		t.used[slot], t.index[slot] = true, index
		t.count++
		return index, nil
	}
}

// growLocked doubles the table. Every index keeps its value: its slot number is
// now one bit longer, and indices that differed in fewer bits still differ.
// Readers go on in the old slots until the new ones are published.
func (t *IndexTable) growLocked() error {
	n := 2 * len(t.used)
	if n > maxIndexSlots {
		return ErrIndexFull
	}
	old := t.slots.Load()
	fresh := newIndexSlots(n)
	used, index := make([]bool, n), make([]uint32, n)
	for i, u := range t.used {
		if !u {
			continue
		}
		slot := t.index[i] & fresh.mask
		used[slot], index[slot] = true, t.index[i]
		fresh.s[slot].Store(old.s[i].Load())
	}
	t.used, t.index = used, index
	t.slots.Store(fresh)
	return nil
}

// Set makes Lookup find s under its own index, which must be reserved.
func (t *IndexTable) Set(s *Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.slots.Load()
	slot := s.local & p.mask
	if !t.used[slot] || t.index[slot] != s.local {
		panic("wireguard: index was not reserved")
	}
	p.s[slot].Store(s)
}

// Release frees an index, with its session if it has one. An index that is not
// in use is ignored.
func (t *IndexTable) Release(index uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.slots.Load()
	slot := index & p.mask
	if !t.used[slot] || t.index[slot] != index {
		return
	}
	p.s[slot].Store(nil)
	t.used[slot], t.index[slot] = false, 0
	t.count--
}

// slotBits returns how many low bits of an index are the slot number; tests
// use it.
func (t *IndexTable) slotBits() int { return bits.Len32(t.slots.Load().mask) }

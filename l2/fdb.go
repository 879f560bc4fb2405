package l2

import (
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/ztos/ztos/engine/table"
)

// DestKind says what a Dest names.
type DestKind uint8

const (
	DestNone    DestKind = iota
	DestLocal            // an attachment circuit of this node
	DestVTEP             // a remote VTEP
	DestDrop             // nowhere: a blackhole entry
	DestGateway          // the anycast gateway of the bridge domain, which every leaf has
	DestGroup            // a Group: an Ethernet segment of several nodes
)

// Dest is where a MAC lives. The zero value is nowhere known.
type Dest struct {
	Kind DestKind
	ID   uint32 // table.ACID, table.VTEPID or GroupID; 0 for DestDrop and DestGateway
}

// Local returns the destination of attachment circuit id.
func Local(id table.ACID) Dest { return Dest{DestLocal, uint32(id)} }

// Remote returns the destination of remote VTEP id.
func Remote(id table.VTEPID) Dest { return Dest{DestVTEP, uint32(id)} }

// Blackhole is the destination that drops.
var Blackhole = Dest{Kind: DestDrop}

// Gateway is the destination of the gateway's MAC. Frames to it are routed; no
// attachment circuit may use it as a source.
var Gateway = Dest{Kind: DestGateway}

// String returns "ac 3", "vtep 7", "drop", "gateway", "group 2" or "none".
func (d Dest) String() string {
	switch d.Kind {
	case DestLocal:
		return fmt.Sprintf("ac %d", d.ID)
	case DestVTEP:
		return fmt.Sprintf("vtep %d", d.ID)
	case DestDrop:
		return "drop"
	case DestGateway:
		return "gateway"
	case DestGroup:
		return fmt.Sprintf("group %d", d.ID)
	}
	return "none"
}

// Entry is one line of an FDB.
type Entry struct {
	MAC    table.MAC
	Dest   Dest
	Static bool // configured, or sticky at another node: it does not move
	// External: another node says that it is there (EVPN). It does not age, frames
	// from another VTEP do not have it as their source, and unless it is Static too
	// an attachment circuit may have it when it appears there.
	External bool
	// Frozen: in quarantine. Frames from elsewhere are dropped; a MAC that was
	// learned may still move between circuits.
	Frozen bool
	Seen   uint32 // seconds since start when the MAC was last a source; of no meaning when it does not age
}

// learned reports whether e was learned from a frame: it ages, and counts for
// limits.
func (e Entry) learned() bool { return !e.Static && !e.External }

// countedAt returns e's destination if e counts for limits there.
func (e Entry) countedAt() Dest {
	if e.learned() {
		return e.Dest
	}
	return Dest{}
}

// FDB is the MAC table of one bridge domain: any number of readers that never
// lock, one writer.
//
// It is an extendible hash of small shards. The directory picks a shard by the
// high bits of the hash; a shard is 64 slots of 16 bytes, searched linearly from
// the hash's low bits. A change copies one shard, 1 KB, and publishes it by one
// store; a full shard splits in two; the directory doubles when it has to. So a
// lookup is two dependent loads and a probe whatever the size, and a change
// costs the same at ten entries and at a million. Shards hold no pointers: the
// garbage collector does not look into them.
//
//	directory  | 0 | 1 | 2 | 3 |        shard  key  MAC 48 | 5 bits 0, flags 3 | kind 8
//	             |   |   \___/                 cell ID 32 | last seen 32   (atomic)
//	          shard shard shard
//
// The hash is keyed per FDB, so a tenant cannot choose MACs that meet in one
// shard. An FDB does not shrink but by Clear.
type FDB struct {
	dir    atomic.Pointer[directory]
	groups atomic.Pointer[[]*Group] // by GroupID; immutable, replaced whole; nil: none yet
	s0, s1 uint64                   // hash key; s1 is odd

	meta []shardMeta // writer only, parallel to the directory
	n    atomic.Int64
}

// directory is immutable in its length; its pointers are replaced by the writer.
type directory struct {
	shift  uint8 // 64 - log2(len(shards)); a shift by 64 gives 0
	shards []atomic.Pointer[shard]
}

type shardMeta struct {
	depth uint8 // how many high bits of the hash all entries share
	n     uint8
}

const (
	shardSlots = 64
	shardMax   = 48 // entries; 3/4 of the slots keep the probes short
	maxDepth   = 21 // 2 M directory entries; never reached below some 30 M MACs
)

type shard [shardSlots]slot

type slot struct {
	key  uint64        // 0: empty. Written before the shard is published
	cell atomic.Uint64 // ID << 32 | seen; workers write seen, the ID stays
}

// Flags in a key.
const (
	keyStatic   = 1 << 8
	keyExternal = 1 << 9
	keyFrozen   = 1 << 10
)

func makeKey(e Entry) uint64 {
	w := uint64(e.MAC)<<16 | uint64(e.Dest.Kind)
	for _, f := range [...]struct {
		set bool
		bit uint64
	}{{e.Static, keyStatic}, {e.External, keyExternal}, {e.Frozen, keyFrozen}} {
		if f.set {
			w |= f.bit
		}
	}
	return w
}

func (s *slot) dest(cell uint64) Dest { return Dest{DestKind(s.key), uint32(cell >> 32)} }

func (s *slot) entry() Entry {
	c := s.cell.Load()
	return Entry{
		MAC: table.MAC(s.key >> 16), Dest: s.dest(c), Seen: uint32(c),
		Static: s.key&keyStatic != 0, External: s.key&keyExternal != 0, Frozen: s.key&keyFrozen != 0,
	}
}

// NewFDB returns an empty table; it holds 1 KB.
func NewFDB() *FDB {
	f := &FDB{s0: rand.Uint64(), s1: rand.Uint64() | 1}
	f.Clear()
	return f
}

func (f *FDB) hash(m table.MAC) uint64 {
	hi, lo := bits.Mul64(uint64(m)^f.s0, f.s1)
	return hi ^ lo
}

// find returns m's slot, nil when m is not there.
func (f *FDB) find(m table.MAC) *slot {
	h := f.hash(m)
	d := f.dir.Load()
	return d.shards[h>>d.shift].Load().find(m, h)
}

// find walks from the slot that h names. A shard always has empty slots.
func (s *shard) find(m table.MAC, h uint64) *slot {
	for i := h; ; i++ {
		e := &s[i%shardSlots]
		if e.key>>16 == uint64(m) && e.key != 0 {
			return e
		}
		if e.key == 0 {
			return nil
		}
	}
}

// Lookup returns where m lives. Any goroutine.
//
// Hot path: no allocation (TestNoAllocs).
func (f *FDB) Lookup(m table.MAC) (Dest, bool) {
	e := f.find(m)
	if e == nil {
		return Dest{}, false
	}
	return e.dest(e.cell.Load()), true
}

// Get returns the whole entry of m. Any goroutine.
func (f *FDB) Get(m table.MAC) (Entry, bool) {
	e := f.find(m)
	if e == nil {
		return Entry{}, false
	}
	return e.entry(), true
}

// Source is what an FDB knows about the source MAC of a frame.
type Source uint8

const (
	SourceUnknown Source = iota // not in the FDB
	SourceSame                  // where it was, or may be; its age is reset
	SourceMoved                 // in the FDB with another destination, and may move
	SourceStatic                // in the FDB with another destination, and may not move
	SourceDrop                  // a blackhole entry
	SourceGateway               // the gateway's
	SourceFrozen                // in the FDB with another destination, and in quarantine
	SourceForeign               // another node has it, and from is a third one
)

// Touch compares what is known of source m with from, where a frame of it came
// from at second now, and resets its age when they agree. The cell is written
// only when the second changed, so workers that see one MAC do not fight for its
// cache line. Any goroutine.
//
// Hot path: no allocation (TestNoAllocs).
func (f *FDB) Touch(m table.MAC, from Dest, now uint32) Source {
	e := f.find(m)
	if e == nil {
		return SourceUnknown
	}
	c := e.cell.Load()
	if e.dest(c) == from {
		if uint32(c) != now {
			e.cell.Store(c&^0xffffffff | uint64(now))
		}
		return SourceSame
	}
	if DestKind(e.key) == DestGroup && f.offers(e, c, from) {
		// One of the nodes on its segment sent it: no move. At the circuit here it
		// is learned, unless it is not to be.
		if from.Kind == DestVTEP || e.key&(keyStatic|keyFrozen) != 0 {
			return SourceSame
		}
		return SourceMoved
	}
	switch {
	case e.key&keyFrozen != 0 && (e.key&keyExternal != 0 || from.Kind == DestVTEP):
		return SourceFrozen
	case DestKind(e.key) == DestDrop:
		return SourceDrop
	case DestKind(e.key) == DestGateway:
		return SourceGateway
	case e.key&keyStatic != 0 && (e.key&keyExternal == 0 || from.Kind != DestVTEP):
		return SourceStatic
	case e.key&keyExternal != 0 && from.Kind == DestVTEP:
		return SourceForeign
	}
	return SourceMoved
}

// offers reports whether a MAC in a group may be seen at from.
func (f *FDB) offers(e *slot, cell uint64, from Dest) bool {
	g := f.Group(GroupID(e.dest(cell).ID))
	return g != nil && slices.Contains(g.Sources, from)
}

// Len returns the number of entries. Any goroutine.
func (f *FDB) Len() int { return int(f.n.Load()) }

// All returns the entries in no order. A change during the walk may or may not
// be seen; an entry that stays is returned exactly once unless its shard splits
// meanwhile. Any goroutine.
func (f *FDB) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		d := f.dir.Load()
		var last *shard
		for i := range d.shards {
			s := d.shards[i].Load()
			if s == last {
				continue // one shard under several directory entries
			}
			last = s
			for j := range s {
				if s[j].key != 0 && !yield(s[j].entry()) {
					return
				}
			}
		}
	}
}

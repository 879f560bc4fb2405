package trace

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
)

// Record is one sighting of a frame at a stage.
type Record struct {
	ID     uint32         // of the sampled frame within its node; 0 in a capture
	Stage  Stage          // where
	Worker string         // which worker had it
	Nanos  int64          // when, ns since the engine started
	Reason counter.Reason // why it was dropped here; None when it went on
	VNI    uint32         // 0 when not known at this stage
	Port   uint32         // table.PortID; 0 when none
	Peer   netip.AddrPort // the other end at underlay stages
	Out    bool           // towards Peer rather than from it
	Len    int            // bytes at this stage, before Data was cut
	Segs   int            // GSO segments, 1 for a plain frame
	Data   []byte         // the first bytes; owned by the receiver of the record
	Note   string         // one short sentence for people
}

// Filter chooses records; zero fields match everything. A frame is matched by
// what is known of it at the stage in question.
type Filter struct {
	VNI   uint32
	Match func(r *Record) bool // optional; must not keep r or r.Data
}

func (f *Filter) accepts(r *Record) bool {
	if f.VNI != 0 && r.VNI != f.VNI {
		return false
	}
	return f.Match == nil || f.Match(r)
}

// Watch is one observer. Its records arrive on C.
type Watch struct {
	C <-chan Record // bounded; records that find it full are counted in Missed

	c       chan Record
	stages  uint32 // bit per stage
	follow  bool   // follows single frames rather than capturing stages
	filter  Filter
	snap    int
	left    int // frames still to sample, when follow
	ids     map[uint32]struct{}
	missed  atomic.Uint64
	tap     *Tap
	stopped bool
}

// Missed returns how many records were lost because C was full. Any goroutine.
func (w *Watch) Missed() uint64 { return w.missed.Load() }

// Stop ends the watch. C is closed. It may be called more than once.
func (w *Watch) Stop() { w.tap.remove(w) }

// Tap is the engine's one observation point. The zero value is ready. Methods
// that start watches are for any goroutine; the others are for workers.
type Tap struct {
	active atomic.Uint32 // bit per stage watched; bit 0: frames are being sampled

	mu      sync.Mutex
	watches []*Watch
	nextID  uint32
}

const sampling = 1 << 0

// Capture starts a watch that copies every frame that passes one of the stages
// and f, up to snap bytes of each, into a channel of the given depth.
func (t *Tap) Capture(stages []Stage, f Filter, snap, depth int) *Watch {
	w := &Watch{filter: f, snap: snap, tap: t}
	for _, s := range stages {
		w.stages |= 1 << s
	}
	return t.add(w, depth)
}

// Follow starts a watch that samples up to n frames that pass f where they enter
// the node, and records each at every stage until it leaves or is dropped.
func (t *Tap) Follow(n int, f Filter, snap, depth int) *Watch {
	return t.add(&Watch{filter: f, snap: snap, tap: t, follow: true, left: n, ids: map[uint32]struct{}{}}, depth)
}

func (t *Tap) add(w *Watch, depth int) *Watch {
	w.c = make(chan Record, max(depth, 1))
	w.C = w.c
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watches = append(t.watches, w)
	t.refreshLocked()
	return w
}

func (t *Tap) remove(w *Watch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	close(w.c)
	for i, o := range t.watches {
		if o == w {
			t.watches = append(t.watches[:i:i], t.watches[i+1:]...)
			break
		}
	}
	t.refreshLocked()
}

func (t *Tap) refreshLocked() {
	var m uint32
	for _, w := range t.watches {
		m |= w.stages
		if w.follow {
			m |= sampling
		}
	}
	t.active.Store(m)
}

// Active reports whether anybody watches. Workers ask once a burst.
//
// Hot path: one atomic load, no allocation.
func (t *Tap) Active() bool { return t.active.Load() != 0 }

// Enter is called for a frame that enters the node while the tap is active. It
// decides whether the frame is sampled and returns its ID, 0 when it is not.
// r.Data is borrowed for the call.
func (t *Tap) Enter(r *Record) (id uint32) {
	m := t.active.Load()
	if m&sampling != 0 {
		id = t.sample(r)
	}
	r.ID = id
	t.See(r)
	return id
}

func (t *Tap) sample(r *Record) (id uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.watches {
		if !w.follow || w.left <= 0 || !w.filter.accepts(r) {
			continue
		}
		if id == 0 {
			t.nextID++
			if t.nextID == 0 {
				t.nextID = 1
			}
			id = t.nextID
		}
		w.left--
		w.ids[id] = struct{}{}
	}
	return id
}

// See hands r to every watch that wants it: those that capture r.Stage, and
// those that follow the frame r.ID. r.Data is borrowed and copied.
func (t *Tap) See(r *Record) {
	m := t.active.Load()
	if m&(1<<r.Stage) == 0 && (r.ID == 0 || m&sampling == 0) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.watches {
		if w.wants(r) {
			w.put(*r)
		}
	}
}

func (w *Watch) wants(r *Record) bool {
	if w.follow {
		_, ok := w.ids[r.ID]
		return r.ID != 0 && ok
	}
	// A drop is not a passage: captures hold what went on.
	return w.stages&(1<<r.Stage) != 0 && r.Reason == counter.None && w.filter.accepts(r)
}

func (w *Watch) put(r Record) {
	if len(w.c) == cap(w.c) {
		w.missed.Add(1)
		return
	}
	r.Data = append([]byte(nil), r.Data[:min(len(r.Data), w.snap)]...)
	w.c <- r // never blocks: this is the one sender, under the tap's lock
}

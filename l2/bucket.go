package l2

import "sync/atomic"

// Rate is a limit per second; 0 in a field is no limit of that kind.
type Rate struct {
	Frames uint64 // frames per second; a super-frame counts as its segments
	Bits   uint64 // bits per second of Ethernet frames, without preamble, FCS and gap
}

// burstNs is how long a bucket may be ahead of its rate: what comes in a burst
// after silence may be as much as the rate allows in this time.
const burstNs = 100e6

// Bucket is a token bucket of one word, for any number of workers. It keeps the
// time at which all that was let pass would have been due at the rate (the
// generic cell rate algorithm), in 1/64 ns so that a 64-byte frame at 100 Gbit/s
// still counts exactly enough. That lasts 4.5 years of uptime.
//
// The zero value has no limit.
type Bucket struct {
	cost uint64 // 1/64 ns per unit, times 2^16; 0: no limit
	tol  int64  // 1/64 ns
	due  atomic.Int64
}

const (
	tickShift = 6  // ticks of 1/64 ns
	costShift = 16 // fraction bits of cost
)

// NewBucket returns a bucket that lets perSecond units pass each second and, of
// those, at most burst at once after silence; 0 perSecond is no limit.
func NewBucket(perSecond, burst uint64) *Bucket {
	b := &Bucket{}
	b.init(perSecond, int64(float64(burst)/float64(max(perSecond, 1))*1e9))
	return b
}

func (b *Bucket) init(perSecond uint64, tolNs int64) {
	if perSecond == 0 {
		return
	}
	b.cost = uint64(1e9 * float64(uint64(1)<<(tickShift+costShift)) / float64(perSecond))
	b.cost = max(b.cost, 1)
	// One unit is always let pass when the bucket is full: the first costs
	// nothing ahead of time.
	b.tol = max(tolNs<<tickShift-int64(b.cost>>costShift), 0)
	b.due.Store(-1 << 62)
}

// Open reports whether a unit would pass at now, ns since start, without taking
// it.
func (b *Bucket) Open(now int64) bool {
	return b.cost == 0 || b.due.Load() <= now<<tickShift+b.tol
}

// Take lets n units pass at now, ns since start, and reports whether it did.
// They pass together when there is room for the first: a super-frame is not cut
// by a limit, its excess is paid for later.
//
// Hot path: no allocation, no lock; a compare-and-swap when there is a limit.
func (b *Bucket) Take(n int, now int64) bool {
	if b.cost == 0 {
		return true
	}
	t := now << tickShift
	add := int64(uint64(n) * b.cost >> costShift)
	for {
		due := b.due.Load()
		if due > t+b.tol {
			return false
		}
		if b.due.CompareAndSwap(due, max(due, t)+add) {
			return true
		}
	}
}

// Class is what kind of flooded traffic a frame is.
type Class uint8

const (
	Broadcast Class = iota
	Multicast
	UnknownUnicast
	numClasses
)

// StormLimits are the rates of BUM traffic of a port or VNI.
type StormLimits struct {
	Broadcast, Multicast, UnknownUnicast Rate
}

// Storm is the buckets of an attachment circuit or a VNI. A nil Storm has no
// limit.
type Storm struct {
	frames, bits [numClasses]Bucket
}

// NewStorm returns the buckets for l, nil when l limits nothing.
func NewStorm(l StormLimits) *Storm {
	if l == (StormLimits{}) {
		return nil
	}
	s := &Storm{}
	for c, r := range [numClasses]Rate{l.Broadcast, l.Multicast, l.UnknownUnicast} {
		s.frames[c].init(r.Frames, burstNs)
		s.bits[c].init(r.Bits, burstNs)
	}
	return s
}

// Take lets frames of class c with bytes in all pass at now, and reports whether
// it did. When the bits do not pass the frames are spent nevertheless: the two
// limits are not one transaction.
//
// Hot path: no allocation.
func (s *Storm) Take(c Class, frames, bytes int, now int64) bool {
	return s == nil || s.frames[c].Take(frames, now) && s.bits[c].Take(bytes*8, now)
}

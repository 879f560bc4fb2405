package replay

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// Verdict is what the window says of a number.
type Verdict uint8

// Verdicts. The zero value is not one, so that a forgotten verdict accepts
// nothing.
const (
	// OK: not seen, and not too old.
	OK Verdict = 1 + iota
	// Late: too old for the window. Whether it was seen is not known.
	Late
	// Replayed: inside the window, and seen.
	Replayed
)

// String returns ok, late or replayed.
func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Late:
		return "late"
	case Replayed:
		return "replayed"
	}
	return fmt.Sprintf("verdict-%d", uint8(v))
}

const (
	bitShift = 3             // a word covers 8 numbers
	perWord  = 1 << bitShift // numbers in a word
	minWords = 32            // with less the tag would not fit: 64-3-5 = 56 bits
	tagShift = 8             // of the tag in a word
	tagMask  = ^uint64(1<<tagShift - 1)
)

// MaxSize is the largest window, numbers. It costs as many bytes.
const MaxSize = 1 << 24

// MaxNumber is the greatest number that can be accepted. 1<<64 - 1 is always
// Late, because the window keeps one more than the greatest number.
const MaxNumber = 1<<64 - 2

// Window is a replay window. Make it with New. Check, Mark and Highest may be
// called from any goroutine.
type Window struct {
	size     uint64 // numbers accepted below next; 0: none
	words    []atomic.Uint64
	mask     uint64 // len(words) - 1, a power of two
	ringBits uint8  // log2(len(words))

	_    [64]byte // next is written for every number; what is above, never
	next atomic.Uint64
	_    [56]byte
}

// New returns a window that has seen nothing. It accepts a number once, if it
// is above the highest accepted, or one of the size numbers that end with the
// highest. size 0 accepts only strictly increasing numbers, size 1 the same.
//
// Memory: one byte for each number of 8 * 2^k - 7 >= size, at least 256; sizes
// just below a power of two are the thrifty ones (1017, 8185), and 1024 takes
// 2048 bytes. New panics when size exceeds MaxSize.
func New(size uint32) *Window {
	if size > MaxSize {
		panic(fmt.Sprintf("replay: window of %d numbers, at most %d", size, MaxSize))
	}
	w := &Window{size: uint64(size)}
	if size == 0 {
		return w
	}
	// The ring must not hold two blocks of one index inside the window. The
	// window's oldest number is at most size-1 below the highest, and may be the
	// last of its block: words * 8 >= size - 1 + 8.
	n := max(minWords, (uint64(size)+perWord-1+perWord-1)/perWord)
	w.ringBits = uint8(bits.Len64(n - 1))
	w.words = make([]atomic.Uint64, 1<<w.ringBits)
	w.mask = uint64(len(w.words) - 1)
	return w
}

// Size returns the window's size as given to New.
func (w *Window) Size() uint32 { return uint32(w.size) }

// Highest returns the greatest number accepted; ok is false while there is none.
func (w *Window) Highest() (n uint64, ok bool) {
	next := w.next.Load()
	return next - 1, next != 0
}

// Next returns one more than the greatest number accepted, 0 in the beginning.
//
// Hot path: inlined.
func (w *Window) Next() uint64 { return w.next.Load() }

// late reports whether n lies below the window that ends with next-1. n is not
// above MaxNumber.
func (w *Window) late(n, next uint64) bool {
	// n < next, so next-n-1 is the distance from the highest number. With size
	// 0 the highest itself is late too.
	return n < next && next-n-1 >= w.size
}

// locate splits n: the word it belongs to, that word's tag in place, and n's bit.
func (w *Window) locate(n uint64) (word *atomic.Uint64, tag, bit uint64) {
	block := n >> bitShift
	word = &w.words[block&w.mask]
	tag = block >> w.ringBits << tagShift
	bit = 1 << (n & (perWord - 1))
	return word, tag, bit
}

// Check says what Mark would, without remembering n. OK is not a promise: another
// worker may mark n in between.
//
// Hot path: no allocation, no locked instruction.
func (w *Window) Check(n uint64) Verdict {
	if n > MaxNumber {
		return Late
	}
	if w.size == 0 {
		if w.late(n, w.next.Load()) {
			return Late
		}
		return OK
	}
	word, tag, bit := w.locate(n)
	v := word.Load()
	next := w.next.Load() // after the word: see the package comment
	switch {
	case n >= next:
		return OK
	case w.late(n, next):
		return Late
	case v&tagMask == tag && v&bit != 0:
		return Replayed
	}
	return OK
}

// Mark remembers n and says whether the message that carries it may be accepted.
// Of all calls with one n, exactly one returns OK, unless n is late first. Call
// it only for authenticated messages: a forged number would move the window.
//
// Hot path: no allocation; two locked instructions for a number above the
// highest, one below.
func (w *Window) Mark(n uint64) Verdict {
	if n > MaxNumber {
		return Late
	}
	for {
		next := w.next.Load()
		if w.late(n, next) {
			return Late
		}
		if n < next {
			break
		}
		if w.next.CompareAndSwap(next, n+1) {
			if w.size == 0 {
				return OK // raising next is what only one can do
			}
			break
		}
	}
	word, tag, bit := w.locate(n)
	for {
		v := word.Load()
		if w.late(n, w.next.Load()) {
			return Late // others moved the window on
		}
		marked := tag | bit // replaces an older block
		if v&tagMask == tag {
			if v&bit != 0 {
				return Replayed
			}
			marked = v | bit
		}
		if word.CompareAndSwap(v, marked) {
			return OK
		}
	}
}

// Reset makes w forget everything. Nobody may use w meanwhile.
func (w *Window) Reset() {
	w.next.Store(0)
	for i := range w.words {
		w.words[i].Store(0)
	}
}

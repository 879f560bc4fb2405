package fdio

import (
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of the tries of a Spin. One is a sched_yield(2) and a receive that finds
// nothing, 1 to 2 us on a processor that nobody else wants.
const (
	minTries = 4
	maxTries = 32
)

// Somebody else wants the processor when a yield takes longer than longYield:
// no burst of a worker does. Then a Spin does not spin for so many waits.
const (
	longYield = time.Millisecond
	minRest   = 64
	maxRest   = 1 << 14
)

// Spin lets a receive side ask again, a few times, before it sleeps. Between two
// bursts of a busy flow lie microseconds; a thread that sleeps in them pays for
// its wake-up, and the next stage waits for it (ADR 0010). Each try yields first,
// so that other workers run. It adapts: what was in vain is tried half as often,
// what paid twice as often, and beside a thread that computes all the time, to
// which a yield gives milliseconds, next to never. The zero Spin is ready; one
// goroutine.
//
//	n := receive()
//	for i := spin.Tries(); n == 0 && i > 0 && spin.Yield(); i-- {
//		n = receive()
//	}
//	spin.Paid(n > 0)
type Spin struct {
	more  int // tries beyond minTries
	pause int // waits without a spin after the next long yield
	rest  int // of them, yet to come
}

// Tries returns how often to ask again, perhaps 0.
func (s *Spin) Tries() int {
	if s.rest > 0 {
		s.rest--
		return 0
	}
	return minTries + s.more
}

// Yield lets other threads run first, if there are any. It returns false when
// that took so long that the caller had better sleep: who sleeps is woken at once.
func (s *Spin) Yield() bool {
	start := time.Now()
	unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	return s.yielded(time.Since(start))
}

// yielded notes how long a yield took.
func (s *Spin) yielded(took time.Duration) bool {
	if took < longYield {
		return true
	}
	s.pause = min(4*s.pause+minRest, maxRest)
	s.rest = s.pause
	return false
}

// Paid says whether one of the tries found something.
func (s *Spin) Paid(found bool) {
	switch {
	case s.rest > 0: // there were none, or the last took too long
	case found:
		s.more = min(2*(minTries+s.more), maxTries) - minTries
		s.pause -= s.pause / 8
	default:
		s.more /= 2
		s.pause -= s.pause / 8
	}
}

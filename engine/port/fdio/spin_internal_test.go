package fdio

import (
	"testing"
	"time"
)

// TestSpinAdapts: tries that pay become more up to a bound, those in vain fewer,
// and never none.
func TestSpinAdapts(t *testing.T) {
	var s Spin
	first := s.Tries()
	if first < 1 {
		t.Fatalf("%d tries at first", first)
	}
	for range 100 {
		before := s.Tries()
		s.Paid(true)
		if s.Tries() < before {
			t.Fatalf("%d tries after %d that paid", s.Tries(), before)
		}
	}
	if most := s.Tries(); most <= first || most > maxTries {
		t.Fatalf("%d tries at most, %d at first", most, first)
	}
	for range 100 {
		s.Paid(false)
	}
	if s.Tries() != first {
		t.Fatalf("%d tries after many in vain, want %d", s.Tries(), first)
	}
}

// TestSpinRests: a yield that took long ends the spin and many after it, the
// more the more often that happens, and when it does not any more it is
// forgotten.
func TestSpinRests(t *testing.T) {
	var s Spin
	// waits counts those until the next spin.
	waits := func() int {
		for n := range maxRest + 2 {
			if s.Tries() > 0 {
				return n
			}
			s.Paid(false)
		}
		t.Fatal("it never spins again")
		return 0
	}
	last := 0
	for range 10 {
		waits()
		if s.yielded(5 * time.Millisecond) {
			t.Fatal("it goes on after a long yield")
		}
		s.Paid(true)
		n := waits()
		if n < last || n < minRest/2 {
			t.Fatalf("%d waits without a spin after %d", n, last)
		}
		last = n
	}
	if last < maxRest-1 {
		t.Errorf("%d waits without a spin at most, want %d", last, maxRest)
	}
	for range 200 {
		waits()
		if !s.yielded(10 * time.Microsecond) {
			t.Fatal("it ends after a short yield")
		}
		s.Paid(true)
	}
	s.yielded(5 * time.Millisecond)
	if n := waits(); n > 2*minRest {
		t.Errorf("%d waits without a spin long after, want about %d", n, minRest)
	}
}

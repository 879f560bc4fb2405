package udpgen

import "math"

// Plan bounds a search for the highest rate. Rates are frames per second.
type Plan struct {
	Start     float64 // first attempt
	Step      float64 // factor of the next one up or down, above 1; it is squared each time, up to 2
	Min, Max  float64 // bounds of the search
	Precision float64 // it ends when the lowest rate that failed is less than this part above the best; 0.03 is 3 %
	MaxLoss   float64 // part that may be lost: below it is good
	Trials    int     // most short attempts
	Confirms  int     // most long attempts
}

// Found is the result of a search.
type Found struct {
	Rate      float64 `json:"rate"`      // frames per second that arrived in the attempt that confirmed it; 0 when none did
	Loss      float64 `json:"loss"`      // of that attempt, 0 to 1
	Confirmed bool    `json:"confirmed"` // a long attempt was good
	// SenderLimited says that the generator, not the path, was at its end.
	SenderLimited bool `json:"sender_limited"`
	Trials        int  `json:"trials"` // attempts, long ones too
	Count              // of the attempt that Rate is from
}

// limited is the part of the wanted rate below which a sender has not sent as
// wanted; gain is how much more it must send than before, when it is asked for
// more, not to be at its end.
const (
	limited = 0.95
	gain    = 1.02
)

// search is the state of a Search.
type search struct {
	plan  Plan
	try   func(rate float64, long bool) (Trial, error)
	found Found
	low   float64 // highest rate that was good, 0 for none
	high  float64 // lowest rate that was not, +Inf for none
}

// Search finds the highest rate whose loss is below p.MaxLoss. It gallops from
// p.Start up or down to the first change, bisects, looks again at the rate that
// failed and goes on from there if it is good now, and confirms what it found by
// a long attempt, lower when that fails. A search that is good up to p.Max ends
// there. An error of try ends it.
func Search(p Plan, try func(rate float64, long bool) (Trial, error)) (Found, error) {
	s := &search{plan: p, try: try, high: math.Inf(1)}
	for from := p.Start; ; from = s.low {
		if err := s.gallop(from); err != nil {
			return s.found, err
		}
		for s.low > 0 && s.narrow() && s.high/s.low > 1+p.Precision {
			if _, err := s.short(math.Sqrt(s.low * s.high)); err != nil {
				return s.found, err
			}
		}
		if s.low == 0 || s.found.SenderLimited || !s.narrow() {
			break
		}
		// One bad moment far below the capacity would otherwise be the result.
		again := s.high
		s.high = math.Inf(1)
		if good, err := s.short(again); err != nil || !good {
			if err != nil {
				return s.found, err
			}
			break
		}
	}
	return s.found, s.confirm()
}

// narrow reports whether there is a bound above, and an attempt left.
func (s *search) narrow() bool { return !math.IsInf(s.high, 1) && s.found.Trials < s.plan.Trials }

// gallop goes on from a rate in the direction of the first result until the
// result changes or a bound is reached.
func (s *search) gallop(from float64) error {
	step := s.plan.Step
	rate := min(max(from, s.plan.Min), s.plan.Max)
	up, err := s.short(rate)
	if err != nil {
		return err
	}
	for s.found.Trials < s.plan.Trials {
		next := rate * step
		if !up {
			next = rate / step
		}
		next = min(max(next, s.plan.Min), s.plan.Max)
		if next == rate || up && !math.IsInf(s.high, 1) {
			return nil
		}
		good, err := s.short(next)
		if err != nil {
			return err
		}
		if good != up {
			return nil
		}
		rate, step = next, min(step*step, 2)
	}
	return nil
}

// short makes a short attempt. One that failed, though not by far, or that the
// sender could not make as wanted, gets a second chance: on a shared machine a
// neighbour is as likely a cause as the path.
func (s *search) short(rate float64) (good bool, err error) {
	const byFar = 10 // times the loss that is allowed
	var slow []Trial // without loss, but not as fast as wanted
	for range 2 {
		t, err := s.try(rate, false)
		if err != nil {
			return false, err
		}
		s.found.Trials++
		switch {
		case t.Loss() > byFar*s.plan.MaxLoss:
			s.high = min(s.high, rate)
			return false, nil
		case t.Loss() >= s.plan.MaxLoss:
		case t.Offered >= limited*rate:
			s.good(rate, t)
			return true, nil
		default:
			slow = append(slow, t)
		}
	}
	if len(slow) == 0 {
		s.high = min(s.high, rate)
		return false, nil
	}
	// What could not be sent is no proof of anything but of the rate that was
	// sent. When that is no more than was good before, the sender is at its end
	// and there is no point in asking for more.
	before := s.low
	for _, t := range slow {
		s.good(t.Offered, t)
	}
	if s.low < gain*before {
		s.found.SenderLimited = true
		s.high = min(s.high, rate)
	}
	return true, nil
}

// good notes an attempt without loss at rate.
func (s *search) good(rate float64, t Trial) {
	if rate > s.low {
		s.low = rate
		s.note(t)
	}
}

// note makes t the attempt that the result is from.
func (s *search) note(t Trial) {
	s.found.Rate = t.Offered * (1 - t.Loss())
	s.found.Loss = t.Loss()
	s.found.Count = t.Count
}

// confirm makes long attempts, each below the last one. What buffers take in a
// short attempt they do not in a long one, so what arrived of one that failed is
// a better guess than the rate that was asked for, but no bad moment may more
// than halve it. A rate that nothing confirms is none.
func (s *search) confirm() error {
	rate := s.low
	less := 0.97
	for range s.plan.Confirms {
		if rate <= 0 || rate < s.plan.Min {
			break
		}
		t, err := s.try(rate, true)
		if err != nil {
			return err
		}
		s.found.Trials++
		if t.Loss() < s.plan.MaxLoss {
			s.note(t)
			s.found.Confirmed = true
			return nil
		}
		rate = less * max(min(rate, t.Offered*(1-t.Loss())), rate/2)
		less *= less // 3 %, 6 %, 11 %, 22 % less
	}
	s.found.Rate, s.found.Loss, s.found.Count = 0, 0, Count{}
	return nil
}

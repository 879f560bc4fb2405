package moves

import "time"

// Step is a datagram of a flow: when it was sent, and when it came to either place;
// 0: it did not. Times are from the flow's begin.
type Step struct {
	Sent time.Duration
	At   [2]time.Duration
}

// flowOf returns a flow of those datagrams.
func flowOf(begin time.Time, steps []Step) *flow {
	f := &flow{}
	for _, s := range steps {
		f.sent = append(f.sent, begin.Add(s.Sent))
		for i := range f.at {
			f.at[i] = append(f.at[i], time.Time{})
		}
	}
	for n, s := range steps {
		for i, at := range s.At {
			if at != 0 {
				f.arrived(i, uint32(n), begin.Add(at))
			}
		}
	}
	return f
}

// Account is what a move to place 1 at that time did to a flow.
func Account(steps []Step, moved time.Duration) Move {
	begin := time.Unix(0, 0)
	return flowOf(begin, steps).account(1, begin.Add(moved))
}

// Alone reports whether a flow that began so long ago comes to a place alone.
func Alone(ago time.Duration, steps []Step, place int) bool {
	begin := time.Unix(0, 0)
	return flowOf(begin, steps).only(place, quiet, begin.Add(ago)) == nil
}

// Series summarizes moves at a rate.
func Series(rate int, m []Move) []float64 { return (&Point{Rate: rate, Moves: m}).values() }

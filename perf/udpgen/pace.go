package udpgen

import "time"

// Interval is the longest time that one burst stands for.
const Interval = 50 * time.Microsecond

// maxDebt is how far a sender may fall behind its clock and still make up for
// it. What it owes beyond is forgiven: a burst of milliseconds would measure
// the path's buffers.
const maxDebt = time.Millisecond

// pacer says how many frames are due. Plain arithmetic on the caller's clock.
type pacer struct {
	rate     float64       // frames per second, above 0
	sent     uint64        // frames given out
	forgiven time.Duration // by which the clock was set back
}

// due returns how many frames are to be sent at once at elapsed since the
// start, at most what Interval stands for and at least one, or 0 and how long
// there is nothing to do. It counts them as sent.
func (p *pacer) due(elapsed time.Duration) (n int, wait time.Duration) {
	// When the last frame given out was due; the next one is due after it.
	at := time.Duration(float64(p.sent) / p.rate * float64(time.Second))
	behind := elapsed - p.forgiven - at
	if behind < 0 {
		return 0, -behind
	}
	if behind > maxDebt {
		p.forgiven += behind - maxDebt
		behind = maxDebt
	}
	n = 1 + int(min(behind, Interval).Seconds()*p.rate)
	p.sent += uint64(n)
	return n, 0
}

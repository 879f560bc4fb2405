package moves

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// flow is the stream to one MAC, and what became of each of its datagrams. Any
// goroutine.
type flow struct {
	move uint32 // that it is for

	mu    sync.Mutex
	sent  []time.Time    // by number
	at    [2][]time.Time // arrival at either place, by number; zero: not there
	last  [2]time.Time   // arrival of the latest
	count [2]int         // arrivals
}

// send puts the next datagram on a leg.
func (f *flow) send(l *leg, frame []byte) error {
	f.mu.Lock()
	n := uint32(len(f.sent))
	f.sent = append(f.sent, time.Now())
	for i := range f.at {
		f.at[i] = append(f.at[i], time.Time{})
	}
	f.mu.Unlock()
	binary.BigEndian.PutUint32(frame[numberAt:], f.move)
	binary.BigEndian.PutUint32(frame[numberAt+4:], n)
	return l.send(frame)
}

// arrived notes datagram n at a place.
func (f *flow) arrived(place int, n uint32, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(n) >= len(f.sent) {
		return // not one of ours
	}
	f.at[place][n] = now
	f.last[place] = now
	f.count[place]++
}

// only returns nil when datagrams have come to a place, and for that time to no other.
// The first ones, of an address that leaves do not know yet, are flooded to both.
func (f *flow) only(place int, quiet time.Duration, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count[place] == 0 || now.Sub(f.sent[0]) < quiet || now.Sub(f.last[place]) > quiet || now.Sub(f.last[1-place]) < quiet {
		return fmt.Errorf("moves: %d datagrams came to %s, %d to %s, the latest %v and %v ago; want them at %s alone",
			f.count[0], places[0], f.count[1], places[1], now.Sub(f.last[0]), now.Sub(f.last[1]), places[place])
	}
	return nil
}

// Move is what one move of a host did to a stream to it.
type Move struct {
	// From the host's first frame at its new place until a datagram comes there.
	First float64 `json:"first_s"`
	// From that frame until datagrams are sent of which all come there: what a host
	// that has moved loses, as time.
	Window float64 `json:"window_s"`
	Astray int     `json:"astray"` // datagrams of the window that did not come there
	Lost   int     `json:"lost"`   // datagrams of before that frame that came to neither place
	Sent   int     `json:"sent"`
}

// account says how the flow followed a move to a place, which began at that moment.
func (f *flow) account(place int, moved time.Time) (m Move) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m.Sent = len(f.sent)
	for n, sent := range f.sent {
		here, there := f.at[place][n], f.at[1-place][n]
		switch {
		case !sent.After(moved):
			if here.IsZero() && there.IsZero() {
				m.Lost++
			}
		case here.IsZero():
			m.Astray++
			next := sent
			if n+1 < len(f.sent) {
				next = f.sent[n+1]
			}
			m.Window = next.Sub(moved).Seconds()
		case m.First == 0:
			m.First = here.Sub(moved).Seconds()
		}
	}
	return m
}

package routes

import (
	"time"
)

// Speaker's address.
var Speaker = speaker

// Updates returns the UPDATEs of n MACs, or prefixes.
func Updates(ofMACs bool, n int, withdraw bool) [][]byte {
	if ofMACs {
		return macs.updates(n, withdraw)
	}
	return prefixes.updates(n, withdraw)
}

// Messages returns the OPEN and the route that floods.
func Messages() [][]byte { return [][]byte{openMessage(), floodRoute()} }

// Tally counts numbers that come a millisecond apart.
func Tally(numbers ...uint32) (received, duplicates int, gap time.Duration) {
	var t tally
	now := time.Unix(0, 0)
	for _, n := range numbers {
		now = now.Add(time.Millisecond)
		t.add(n, now)
	}
	return t.received, t.duplicates, t.gap
}

// Pure parts.
var (
	TriePrefixes = triePrefixes
	CountFDB     = countFDB
)

// Summarize is summarize.
func (r *Report) Summarize() { r.summarize() }

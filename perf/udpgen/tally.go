package udpgen

// maxFrames bounds the datagrams of one trial, so that the map of those seen
// stays below 4 MiB.
const maxFrames = 1 << 25

// Count is what a receiver saw of one trial.
type Count struct {
	Received   uint64 `json:"received"`   // different datagrams
	Duplicates uint64 `json:"duplicates"` // that had come before
	Reordered  uint64 `json:"reordered"`  // that came after a later one, duplicates left out
	// SocketDrops is how many the receiver's own socket lost for want of room:
	// they are part of the loss, but not the path's fault.
	SocketDrops uint64 `json:"socket_drops"`
}

// tally counts the datagrams of one trial. One goroutine at a time.
type tally struct {
	trial uint32
	next  uint64   // one above the highest sequence number seen
	seen  []uint64 // one bit for each sequence number
	count Count
}

// reset begins a trial of at most frames datagrams.
func (t *tally) reset(trial uint32, frames uint64) {
	words := int(min(frames, maxFrames)+63) / 64
	if cap(t.seen) < words {
		t.seen = make([]uint64, words)
	}
	t.seen = t.seen[:words]
	clear(t.seen)
	t.trial, t.next, t.count = trial, 0, Count{}
}

// add counts one payload. Those of other trials, and sequence numbers that were
// not announced, are ignored.
func (t *tally) add(payload []byte) {
	h, ok := decode(payload)
	if !ok || h.trial != t.trial || h.seq/64 >= uint64(len(t.seen)) {
		return
	}
	word, bit := &t.seen[h.seq/64], uint64(1)<<(h.seq%64)
	if *word&bit != 0 {
		t.count.Duplicates++
		return
	}
	*word |= bit
	t.count.Received++
	if h.seq < t.next {
		t.count.Reordered++
		return
	}
	t.next = h.seq + 1
}

// addBundle counts the payloads of a datagram that the kernel has merged from
// segments of size bytes each, the last of which may be shorter. A size of 0 is
// a datagram by itself.
func (t *tally) addBundle(b []byte, size int) {
	if size <= 0 {
		size = len(b)
	}
	for len(b) > size {
		t.add(b[:size])
		b = b[size:]
	}
	t.add(b)
}

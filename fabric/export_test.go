package fabric

import "github.com/ztos/ztos/engine/pkt"

// Waiting reports whether a packet waits for the slow path: a seam for tests that
// step graphs.
func (p *Punts) Waiting() bool { return p.peek(0) != nil }

// ByPath returns the order in which frames of these source ports leave, by index.
func ByPath(paths []uint8) (order []int) {
	run := make([]remote, len(paths))
	for i, p := range paths {
		run[i] = remote{path: p, segs: i}
	}
	(&leafTx{}).byPath(run)
	for _, r := range run {
		order = append(order, r.segs)
	}
	return order
}

// Speaker returns the speaker that f is for.
func (i *IRB) Speaker(f *pkt.Frame) *Speaker { return i.speaker(f) }

package l2

import (
	"slices"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
)

// Segment is an Ethernet segment of several nodes (RFC 7432 section 5) as the
// circuit that leads to it sees it: a cell that control changes by one store and
// that outlives the circuits that point at it. Any number of readers, one writer.
type Segment struct{ state atomic.Pointer[SegmentState] }

// SegmentState is what this node does for a segment in one bridge domain.
// Immutable once set.
type SegmentState struct {
	// DF: this node is the designated forwarder, which sends BUM frames of other
	// nodes to the segment.
	DF bool
	// SingleActive: only the designated forwarder uses the segment at all.
	SingleActive bool
	// Peers are the other VTEPs on the segment. Unless SingleActive they have sent
	// their BUM frames to it themselves: local bias, RFC 8365 section 8.3.1.
	Peers []table.VTEPID
}

// NewSegment returns the cell of a segment in state s.
func NewSegment(s SegmentState) *Segment {
	c := &Segment{}
	c.Set(s)
	return c
}

// Set makes s what workers go by from now on. s.Peers is not changed afterwards.
func (c *Segment) Set(s SegmentState) { c.state.Store(&s) }

// State returns what workers go by. Any goroutine.
func (c *Segment) State() SegmentState { return *c.state.Load() }

// blocked reports whether nothing may pass between the circuit and its segment.
//
// Hot path: no allocation.
func (a *AC) blocked() bool {
	if a == nil || a.Segment == nil {
		return false
	}
	s := a.Segment.state.Load()
	return s.SingleActive && !s.DF
}

// peer reports whether a leads to a segment that VTEP id is on too.
//
// Hot path: no allocation.
func (a *AC) peer(id uint32) bool {
	return a.Segment != nil && slices.Contains(a.Segment.state.Load().Peers, table.VTEPID(id))
}

// Held counts copies of a flooded frame that were kept from segments.
type Held struct {
	NotDF   int // another node sends them: BUMNotDF
	Peer    int // they came from a node that has sent them itself: SplitHorizon
	Blocked int // another node alone uses the segment: SegmentNotDF
}

// add notes a copy that was kept back for r, BUMNotDF, SegmentNotDF or SplitHorizon.
func (h *Held) add(r counter.Reason) {
	switch r {
	case counter.BUMNotDF:
		h.NotDF++
	case counter.SegmentNotDF:
		h.Blocked++
	case counter.SplitHorizon:
		h.Peer++
	}
}

// reason returns why a frame of which nothing is sent is dropped.
func (h *Held) reason() counter.Reason {
	switch {
	case h.NotDF > 0:
		return counter.BUMNotDF
	case h.Blocked > 0:
		return counter.SegmentNotDF
	case h.Peer > 0:
		return counter.SplitHorizon
	}
	return counter.NoDestination
}

// Count drops n frames for each copy in h.
func (h *Held) Count(drops *counter.Block, n int) {
	if *h == (Held{}) {
		return
	}
	drops.Drop(counter.BUMNotDF, uint64(n*h.NotDF))
	drops.Drop(counter.SegmentNotDF, uint64(n*h.Blocked))
	drops.Drop(counter.SplitHorizon, uint64(n*h.Peer))
}

// withheld says why a flooded frame is not sent to the segment behind out, None:
// it is. from is the VTEP that it came from, 0: this node. What came in here goes
// out here, whoever the designated forwarder is; all that comes from elsewhere is
// its business, unless it came from a node that has sent it there itself.
//
// Hot path: no allocation.
func withheld(out *AC, from table.VTEPID) counter.Reason {
	if out.Segment == nil {
		return counter.None
	}
	s := out.Segment.state.Load()
	switch {
	case s.SingleActive:
		if !s.DF {
			return counter.SegmentNotDF
		}
	case from == 0:
	case slices.Contains(s.Peers, from):
		return counter.SplitHorizon
	case !s.DF:
		return counter.BUMNotDF
	}
	return counter.None
}

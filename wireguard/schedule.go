package wireguard

import (
	"cmp"
	"container/heap"
	"slices"
	"sync"
)

// schedule says which peers control has to look at, so that a Tick costs what
// is due and not what is there: with 1,000 peers that probe each other every
// 300 ms, 3,333 Ticks a second would look at 1,000 peers each.
//
// A peer is looked at when its earliest timer is due, when a worker asked for it
// (Peer.want), when control changed it, and in any case after half a
// KeepaliveTimeout or the peer's Anchor: traffic starts timers at any moment
// without telling, and none of those fires earlier than that after its start.
type schedule struct {
	queue   peerQueue
	changed []*Peer // by control: their place in the queue is not known
	last    uint64  // number of the last peer added
	due     []*Peer // scratch of take
	looks   uint64  // peers that take returned; for tests

	mu    sync.Mutex // guards asked
	asked []*Peer    // by workers
}

// place is a peer's place in the schedule. Control goroutine only.
type place struct {
	number uint64 // peers that are due together are looked at in this order
	at     int64  // when to look, ns
	index  int    // in the queue
	gone   bool   // the peer was removed
}

// add takes p in, to be looked at by the next Tick.
func (s *schedule) add(p *Peer) {
	s.last++
	p.control.place = place{number: s.last, at: never, index: len(s.queue)}
	heap.Push(&s.queue, p)
	s.change(p)
	s.mu.Lock()
	if need := maxWants * len(s.queue); cap(s.asked) < need {
		s.asked = slices.Grow(s.asked, 2*need)
	}
	s.mu.Unlock()
}

// remove takes p out; an ask of a worker for it is ignored from now on.
func (s *schedule) remove(p *Peer) {
	if !p.control.place.gone {
		heap.Remove(&s.queue, p.control.place.index)
		p.control.place.gone = true
	}
}

// change says that control did something to p.
func (s *schedule) change(p *Peer) { s.changed = append(s.changed, p) }

// ask says that a worker did. Any goroutine. There is room for all that workers can
// ask for between two calls of news: a worker must not allocate.
func (s *schedule) ask(p *Peer) {
	s.mu.Lock()
	s.asked = append(s.asked, p)
	s.mu.Unlock()
}

// news returns the peers that control changed or workers asked for, each once,
// and forgets them. The slice is s.changed's: no change before it was used up.
func (s *schedule) news() []*Peer {
	s.mu.Lock()
	s.changed = append(s.changed, s.asked...)
	clear(s.asked)
	s.asked = s.asked[:0]
	s.mu.Unlock()
	slices.SortFunc(s.changed, byNumber)
	out := slices.Compact(s.changed)
	s.changed = s.changed[:0]
	return out
}

func byNumber(a, b *Peer) int { return cmp.Compare(a.control.place.number, b.control.place.number) }

// take returns the peers to look at now, in the order they were added. Each is
// to be given back by set.
func (s *schedule) take(now int64) []*Peer {
	s.due = append(s.due[:0], s.news()...)
	for _, p := range s.due {
		s.set(p, never)
	}
	for len(s.queue) > 0 && s.queue[0].control.place.at <= now {
		p := s.queue[0]
		s.set(p, never)
		s.due = append(s.due, p)
	}
	slices.SortFunc(s.due, byNumber)
	s.looks += uint64(len(s.due))
	return s.due
}

// set says when to look at p next.
func (s *schedule) set(p *Peer, at int64) {
	if p.control.place.gone {
		return
	}
	p.control.place.at = at
	heap.Fix(&s.queue, p.control.place.index)
}

// first returns the earliest time in the queue, never when it is empty.
func (s *schedule) first() int64 {
	if len(s.queue) == 0 {
		return never
	}
	return s.queue[0].control.place.at
}

// peerQueue is a heap of peers by the time to look at them.
type peerQueue []*Peer

// Len implements heap.Interface, as do the methods below.
func (q peerQueue) Len() int { return len(q) }

func (q peerQueue) Less(i, j int) bool { return q[i].control.place.at < q[j].control.place.at }

func (q peerQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].control.place.index, q[j].control.place.index = i, j
}

// Push implements heap.Interface.
func (q *peerQueue) Push(x any) { *q = append(*q, x.(*Peer)) }

// Pop implements heap.Interface.
func (q *peerQueue) Pop() any {
	old := *q
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return p
}

// look returns when control has to look at the peer next, as of now.
func (c *control) look(now int64) int64 {
	at := min(c.due(now), now+int64(c.peer.node.params.KeepaliveTimeout)/2)
	if c.cfg.Anchor > 0 {
		at = min(at, now+int64(c.cfg.Anchor))
	}
	return at
}

// Tick does everything that is due at now and returns the messages to send. Call
// it when Wake was called and at NextDeadline.
func (n *Node) Tick(now int64) []Out {
	var out []Out
	for _, p := range n.schedule.take(now) {
		if p.control.place.gone {
			continue
		}
		out = p.control.tick(now, out)
		n.schedule.set(p, p.control.look(now))
	}
	return out
}

// NextDeadline returns when to call Tick again, unless Wake is called before: a
// time from now on. It is never more than half a KeepaliveTimeout away, because
// traffic can start timers at any moment without waking control.
func (n *Node) NextDeadline(now int64) int64 {
	for _, p := range n.schedule.news() {
		n.schedule.set(p, p.control.look(now))
	}
	return max(min(n.schedule.first(), now+int64(n.params.KeepaliveTimeout)/2), now)
}

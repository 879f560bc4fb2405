package fabric

import (
	"sync/atomic"
	"time"

	"github.com/ztos/ztos/engine/bell"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
)

const (
	// puntCells is how many packets wait for the slow path at most.
	puntCells = 256
	// puntRoom holds a whole frame of a tenant MTU of 9000 with its tags; longer
	// ones are cut, which is enough to tell their senders of them.
	puntRoom = 9216
)

// Punts takes copies of packets from any number of workers, and frames of the
// gateways from control, to the slow path. It is bounded and never blocks a
// writer: a full one refuses. One reader.
//
// It is a ring of cells with sequence numbers, as ring.Ring is, with the bytes in
// the cells.
type Punts struct {
	cells []puntCell
	tail  atomic.Uint64 // writers take places here
	_     [56]byte      // the reader's word is on a cache line of its own
	head  uint64        // reader only
	bell  *bell.Bell
	ended atomic.Bool
}

type puntCell struct {
	turn atomic.Uint64 // = place: free for the writer; = place+1: filled
	punt
}

// punt is one packet for the slow path.
type punt struct {
	cause   l3.Cause  // 0: a frame of the gateway, to be sent in vni
	mtu     int       // of the way; valid iff PacketTooBig
	vni     table.VNI // that the packet came into
	ac      uint32    // table.ACID it came by; 0: from a VTEP
	vtep    uint32    // table.VTEPID it came from; 0: by an attachment circuit
	own     bool      // a packet of this leaf itself, to be sent by the routes of vni's VRF
	offload pkt.Offload
	length  int    // of the frame, bytes; more than len(bytes) when it was cut
	bytes   []byte // of buf
	buf     [puntRoom]byte
}

// NewPunts returns an empty queue. Its memory is touched only as it is used. The
// error is that of bell.New.
func NewPunts() (*Punts, error) {
	b, err := bell.New()
	if err != nil {
		return nil, err
	}
	p := &Punts{cells: make([]puntCell, puntCells), bell: b}
	for i := range p.cells {
		p.cells[i].turn.Store(uint64(i))
	}
	return p, nil
}

// push copies f, which came into vni and is punted for c; false when the queue is
// full. Any goroutine.
//
// Hot path: no allocation, no lock.
func (p *Punts) push(c l3.Cause, mtu int, vni table.VNI, f *pkt.Frame) bool {
	cell, at := p.take()
	if cell == nil {
		return false
	}
	cell.cause, cell.mtu, cell.vni, cell.own = c, mtu, vni, false
	cell.ac, cell.vtep, cell.offload = f.InAC, f.VTEP, f.Offload
	if f.VTEP != 0 {
		cell.ac = 0
	}
	cell.length = f.Len
	n := copy(cell.buf[:], f.Head)
	for _, b := range f.Frags {
		n += copy(cell.buf[n:], b)
	}
	cell.bytes = cell.buf[:n]
	p.give(cell, at)
	return true
}

// Send queues a copy of b, a whole frame from the gateway of bridge domain vni, to
// be sent there; false when the queue is full. Any goroutine.
func (p *Punts) Send(vni table.VNI, b []byte) bool { return p.send(vni, b, false) }

// SendOwn queues a copy of b, a whole frame with an IP packet of this leaf itself and
// any MACs, to be sent by the routes of the VRF that bridge domain vni is in; false
// when the queue is full. Any goroutine.
func (p *Punts) SendOwn(vni table.VNI, b []byte) bool { return p.send(vni, b, true) }

func (p *Punts) send(vni table.VNI, b []byte, own bool) bool {
	if len(b) > puntRoom {
		return false
	}
	cell, at := p.take()
	if cell == nil {
		return false
	}
	cell.cause, cell.mtu, cell.vni, cell.ac, cell.vtep, cell.offload = 0, 0, vni, 0, 0, pkt.Offload{}
	cell.own = own
	cell.bytes = cell.buf[:copy(cell.buf[:], b)]
	cell.length = len(b)
	p.give(cell, at)
	return true
}

// take returns a cell that is the caller's until give; nil when there is none.
func (p *Punts) take() (*puntCell, uint64) {
	for {
		at := p.tail.Load()
		c := &p.cells[at%puntCells]
		switch turn := c.turn.Load(); {
		case turn == at:
			if p.tail.CompareAndSwap(at, at+1) {
				return c, at
			}
		case turn < at:
			return nil, 0
		}
	}
}

func (p *Punts) give(c *puntCell, at uint64) {
	c.turn.Store(at + 1)
	p.bell.Ring()
}

// peek returns the k-th packet that waits, from 0; nil when there are not so many.
// It stays there until release. Reader only.
func (p *Punts) peek(k int) *punt {
	at := p.head + uint64(k)
	if c := &p.cells[at%puntCells]; k < puntCells && c.turn.Load() == at+1 {
		return &c.punt
	}
	return nil
}

// release gives the first n packets' cells back to writers. Reader only.
func (p *Punts) release(n int) {
	for range n {
		p.cells[p.head%puntCells].turn.Store(p.head + puntCells)
		p.head++
	}
}

// Wake lets the slow path look again at the packets that it holds: a neighbour was
// resolved. Any goroutine.
func (p *Punts) Wake() { p.bell.Ring() }

// Close ends the slow path's worker. Any goroutine.
func (p *Punts) Close() {
	p.ended.Store(true)
	p.bell.Ring()
}

// wait waits for something to do, and reports whether there is. Reader only.
func (p *Punts) wait(limit time.Duration) bool {
	return p.peek(0) != nil || p.bell.Wait(limit)
}

package afxdp

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"golang.org/x/sys/unix"
)

// Sizes of a send batch, and how long it waits for the device.
const (
	batch     = 64
	fullWait  = 10 // milliseconds, the longest wait for a place
	fullWaits = 3  // waits in one batch
)

const (
	etherLen = 14
	addrLen  = 12 // the two MAC addresses, which tags go behind
	vlanLen  = 4
)

// Tx is a transmit side: a batch in front of a queue's socket, which it shares
// with other Tx of the port. One worker.
//
// AF_XDP takes frames as the wire does: super-frames are cut and checksums are
// made here.
type Tx struct {
	port   *Port
	serial int
	sock   atomic.Pointer[socket] // nil when there is no device

	queue [batch]*pkt.Frame
	n     int

	ends  [batch]uint32 // place in the ring behind each frame that was put since the last push
	put   int           // frames put since the last push
	waits int           // in this batch

	split   gso.Splitter
	frame   pkt.Frame // a view of frames in UMEM, or of whole
	whole   []byte    // a super-frame in one piece, made when the first comes
	sent    int       // since the last Flush
	refused int
	reason  counter.Reason // of the last refusal since the last Flush
	refusal counter.Reason // what Refusal returns
}

// Push queues f; see port.Tx.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Push(f *pkt.Frame) {
	if t.n == batch {
		t.send()
	}
	t.queue[t.n] = f
	t.n++
}

// Flush sends what is queued; see port.Tx. Frames that the kernel has not taken
// from the ring when it returns count as sent: they leave with the next ones.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Flush() (sent, refused int) {
	if t.n > 0 {
		t.send()
	}
	sent, refused, t.refusal = t.sent, t.refused, t.reason
	t.sent, t.refused, t.reason = 0, 0, counter.None
	return sent, refused
}

// Refusal returns why the last Flush refused; see port.Tx.
func (t *Tx) Refusal() counter.Reason { return t.refusal }

// CanUDPGSO returns false: what is merged has to be cut again here, which TCP's
// acknowledgements are worth and UDP is not.
func (t *Tx) CanUDPGSO() bool { return false }

// Close frees the Tx before its port is closed. Not while the worker uses it.
func (t *Tx) Close() error {
	t.port.mu.Lock()
	defer t.port.mu.Unlock()
	delete(t.port.tx, t)
	t.sock.Store(nil)
	return nil
}

func (t *Tx) refuse(n int, why counter.Reason) {
	t.refused += n
	t.reason = why
}

// send empties the batch: every frame is sent or refused.
func (t *Tx) send() {
	n := t.n
	t.n, t.put, t.waits = 0, 0, 0
	s := t.sock.Load()
	// Frames in the ring of a device that is down would leave when it is up
	// again, so it is asked first.
	if s == nil || !t.port.dev.Up() {
		t.refuse(n, counter.PortDown)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		t.refuse(n, counter.PortDown)
		return
	}
	s.reclaim()
	for _, f := range t.queue[:n] {
		why := t.add(s, f)
		for why == counter.PortTxFull && t.waits < fullWaits {
			if t.push(s); s.reclaim() == 0 {
				t.waits++
				unix.Poll(nil, fullWait)
				s.reclaim()
			}
			why = t.add(s, f)
		}
		if why != counter.None {
			t.refuse(1, why)
			continue
		}
		t.ends[t.put] = s.tx.next
		t.put++
	}
	t.push(s)
}

// add puts f into the ring as one or more frames; nothing of it when it says why
// not.
func (t *Tx) add(s *socket, f *pkt.Frame) counter.Reason {
	switch {
	case len(f.Head) < etherLen:
		return counter.FrameTooShort
	case f.Len+vlanLen*int(f.NumTags) > port.MaxRecvFrame:
		return counter.FrameTooLong
	case f.Offload.GSOType != pkt.GSONone:
		return t.addSuper(s, f)
	case t.tooLong(f.Head, f.Len, f.NumTags):
		return counter.FrameTooLong
	case !s.has(1):
		return counter.PortTxFull
	}
	b := s.next()
	n := gather(b, f)
	if f.Offload.NeedsCsum {
		t.frame.Reset(b[:n])
		t.frame.Offload = f.Offload
		t.frame.Offload.CsumStart += vlanLen * uint16(f.NumTags)
		if r := gso.CompleteChecksum(&t.frame); r != counter.None {
			return r
		}
	}
	s.enqueue(n)
	return counter.None
}

// addSuper cuts f. The cutting destroys what it cuts, and f may go to other ports
// too, so it works on a copy.
func (t *Tx) addSuper(s *socket, f *pkt.Frame) counter.Reason {
	if t.whole == nil {
		t.whole = make([]byte, port.MaxRecvFrame)
	}
	n := gather(t.whole, f)
	t.frame.Reset(t.whole[:n])
	t.frame.Offload = f.Offload
	if f.Offload.NeedsCsum {
		t.frame.Offload.CsumStart += vlanLen * uint16(f.NumTags)
	}
	segs, r := t.split.Init(&t.frame)
	if r != counter.None {
		return counter.BadOffload
	}
	first, _ := t.split.SegmentLen()
	switch {
	case t.tooLong(f.Head, first-vlanLen*int(f.NumTags), f.NumTags):
		return counter.FrameTooLong
	case !s.has(segs):
		return counter.PortTxFull
	}
	for b := t.split.Next(); b != nil; b = t.split.Next() {
		s.enqueue(copy(s.next(), b))
	}
	return counter.None
}

// tooLong reports whether a frame of n bytes and more tags is longer than the
// device takes: as in the kernel, one tag does not count.
func (t *Tx) tooLong(head []byte, n int, tags uint8) bool {
	limit := int(t.port.mtu.Load()) + etherLen
	if typ := binary.BigEndian.Uint16(head[addrLen:]); tags > 0 || typ == 0x8100 || typ == 0x88a8 {
		limit += vlanLen
	}
	return n+vlanLen*int(tags) > limit
}

// gather copies f with its tags to b and returns how long it is.
func gather(b []byte, f *pkt.Frame) int {
	n := copy(b, f.Head[:addrLen])
	for _, tag := range f.Tags[:f.NumTags] {
		binary.BigEndian.PutUint16(b[n:], tag.TPID)
		binary.BigEndian.PutUint16(b[n+2:], tag.TCI)
		n += vlanLen
	}
	n += copy(b[n:], f.Head[addrLen:])
	for _, g := range f.Frags {
		n += copy(b[n:], g)
	}
	return n
}

// push shows the kernel what was put and has it sent.
func (t *Tx) push(s *socket) {
	if t.put == 0 {
		return
	}
	s.tx.publish()
	lost, down := s.flush()
	for _, end := range t.ends[:t.put] {
		if down && int32(end-s.taken()) > 0 {
			t.refuse(1, counter.PortDown)
		} else {
			t.sent++
		}
	}
	if down {
		// What is left in the ring must not leave late.
		t.port.stale.Store(true)
	}
	if lost = min(lost, t.put); lost > 0 {
		t.sent -= lost
		t.refuse(lost, counter.PortTxFull)
	}
	t.put = 0
}

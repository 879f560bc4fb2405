package xdp

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/underlay"
)

// batch is how many frames are handed to a device at once.
const batch = 64

// Tx is a transmit side: frames for the devices, and a Sender of the sockets for
// what has no known next hop. One worker.
type Tx struct {
	conn *Conn
	udp  underlay.Sender
	legs []txLeg // by device

	sent, failed, over int // segments, since the last Flush
	oversized          int // of the last Flush
}

// txLeg is the batch of one device.
type txLeg struct {
	tx     port.Tx // nil when the device was closed
	n      int     // frames queued
	frames [batch]pkt.Frame
	heads  [batch][head6]byte
	data   [batch][1][]byte
}

var _ underlay.Sender = (*Tx)(nil)

func newTx(c *Conn) *Tx {
	t := &Tx{conn: c, udp: c.mux.NewSender(), legs: make([]txLeg, len(c.legs))}
	for i, l := range c.legs {
		t.legs[i].tx = l.newTx()
	}
	return t
}

// Push queues data; see underlay.Sender.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Push(dst *underlay.Endpoint, path int, data []byte, segSize int) {
	known := t.conn.hops.Load()
	if known == nil {
		t.udp.Push(dst, path, data, segSize)
		return
	}
	r := (*known)[dst.Addr().Addr()]
	if r == nil || t.legs[r.leg].tx == nil {
		t.udp.Push(dst, path, data, segSize)
		return
	}
	if segSize <= 0 || segSize > len(data) {
		segSize = len(data)
	}
	most := int(t.conn.legs[r.leg].mtu.Load()) - r.overhead()
	src, to := t.conn.ports[uint(path)%uint(len(t.conn.ports))], dst.Addr().Port()
	l := &t.legs[r.leg]
	for len(data) > 0 {
		d := data[:min(segSize, len(data))]
		data = data[len(d):]
		if len(d) > most {
			t.failed++
			t.over++
			continue
		}
		if l.n == batch {
			t.send(l)
		}
		i := l.n
		l.n++
		n := r.put(&l.heads[i], src, to, d)
		f := &l.frames[i]
		f.Reset(l.heads[i][:n])
		l.data[i][0] = d
		f.Frags = l.data[i][:]
		f.Len = n + len(d)
		l.tx.Push(f)
	}
}

// send has a device send its batch.
func (t *Tx) send(l *txLeg) {
	l.n = 0
	sent, refused := l.tx.Flush()
	t.sent += sent
	t.failed += refused
	if refused > 0 && l.tx.Refusal() == counter.FrameTooLong {
		t.over += refused // the MTU became less since the last Update
	}
}

// Flush sends what is queued; see underlay.Sender.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Flush() (sentSegments, failedSegments int) {
	for i := range t.legs {
		if l := &t.legs[i]; l.n > 0 {
			t.send(l)
		}
	}
	sent, failed := t.udp.Flush()
	sentSegments, failedSegments, t.oversized = t.sent+sent, t.failed+failed, t.over+t.udp.Oversized()
	t.sent, t.failed, t.over = 0, 0, 0
	return sentSegments, failedSegments
}

// Paths returns how many source ports there are; see underlay.Sender.
func (t *Tx) Paths() int { return t.udp.Paths() }

// Oversized returns how many segments of the last Flush were larger than the
// MTU; see underlay.Sender.
func (t *Tx) Oversized() int { return t.oversized }

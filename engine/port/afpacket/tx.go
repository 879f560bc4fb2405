package afpacket

import (
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/fdio"
	"github.com/ztos/ztos/engine/port/vnet"
	"golang.org/x/sys/unix"
)

// Sizes of a send batch. A merged super-frame of 1448-byte segments has 46
// pieces; one of small datagrams may have hundreds. The batch ends early when
// the iovecs are used up.
const (
	batch     = 64
	iovecs    = 4096
	fullWait  = 10 * time.Millisecond // longest wait for room in the socket's buffer
	fullWaits = 3                     // waits in one batch, each after some progress
)

// Tx is a transmit side: a socket and a batch. One worker.
type Tx struct {
	port *Port
	h    *fdio.Handle

	msgs  [batch]fdio.Msg
	heads [batch]vnet.Scratch
	udp   [batch]bool // message i is a UDP super-frame
	iovs  []unix.Iovec
	n     int // messages queued

	sent, refused int            // since the last Flush
	reason        counter.Reason // of the last refusal since the last Flush
	refusal       counter.Reason // what Refusal returns
}

func newTx(p *Port, fd int) (*Tx, error) {
	h, err := fdio.New(fd)
	if err != nil {
		return nil, err
	}
	return &Tx{port: p, h: h, iovs: make([]unix.Iovec, 0, iovecs)}, nil
}

// Push queues f; see port.Tx.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Push(f *pkt.Frame) {
	if t.n == batch || len(t.iovs)+vnet.Iovecs(f) > cap(t.iovs) {
		t.send()
	}
	start := len(t.iovs)
	if vnet.Iovecs(f) > fdio.MaxIovecs {
		t.refuse(1, counter.FrameTooLong)
		return
	}
	iovs, ok := t.heads[t.n].Append(t.iovs, f)
	if !ok {
		why := counter.BadOffload
		switch {
		case len(f.Head) < 14:
			why = counter.FrameTooShort
		case f.Len > port.MaxRecvFrame-4*pkt.MaxTags:
			why = counter.FrameTooLong
		}
		t.refuse(1, why)
		return
	}
	t.iovs = iovs
	m := &t.msgs[t.n]
	m.Hdr.Iov = &t.iovs[start]
	m.Hdr.SetIovlen(len(iovs) - start)
	t.udp[t.n] = f.Offload.GSOType == pkt.GSOUDP
	t.n++
}

// Flush sends what is queued; see port.Tx.
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

// CanUDPGSO reports whether UDP super-frames are taken; see port.Tx.
func (t *Tx) CanUDPGSO() bool { return t.port.CanUDPGSO() }

// Close frees the Tx before its port is closed. Not while the worker uses it.
func (t *Tx) Close() error {
	t.port.mu.Lock()
	delete(t.port.tx, t)
	t.port.mu.Unlock()
	t.h.Close()
	return nil
}

func (t *Tx) refuse(n int, why counter.Reason) {
	t.refused += n
	t.reason = why
}

// send empties the batch: every message is sent or refused.
func (t *Tx) send() {
	n := t.n
	t.n, t.iovs = 0, t.iovs[:0]
	fd, ok := t.h.Enter()
	if !ok {
		t.refuse(n, counter.PortDown)
		return
	}
	waits, stuck := 0, -1 // stuck: the message that the last wait was for
	for i := 0; i < n; {
		k, errno := fdio.SendMsgs(fd, t.msgs[i:n])
		t.sent += k
		i += k
		switch errno {
		case 0, unix.EINTR:
		case unix.EAGAIN:
			if stuck == i || waits == fullWaits {
				t.refuse(n-i, counter.PortTxFull)
				i = n
				break
			}
			stuck, waits = i, waits+1
			t.h.Wait(unix.POLLOUT, fullWait)
		case unix.ENETDOWN, unix.ENODEV, unix.ENXIO:
			t.refuse(n-i, counter.PortDown)
			i = n
		case unix.ENOBUFS, unix.ENOMEM:
			// The queueing discipline dropped it, or no memory: the next one may
			// still get through.
			t.refuse(1, counter.PortTxFull)
			i++
		case unix.EMSGSIZE:
			t.refuse(1, counter.FrameTooLong)
			i++
		case unix.EINVAL:
			if t.udp[i] && !t.port.usoProven.Load() {
				t.port.usoOff.Store(true)
			}
			t.refuse(1, counter.BadOffload)
			i++
		default:
			t.refuse(1, counter.PortDown)
			i++
		}
	}
	t.h.Leave()
	if t.udp[n-1] && t.reason == counter.None && !t.port.usoProven.Load() {
		t.port.usoProven.Store(true)
	}
}

package tap

import (
	"fmt"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/fdio"
	"github.com/ztos/ztos/engine/port/vnet"
	"golang.org/x/sys/unix"
)

// stride is the distance of two receive buffers: header, longest frame, and a
// remainder that is not a multiple of 4096, or all frames' headers would compete
// for the same cache sets.
const stride = (vnet.Len+port.MaxRecvFrame+63)/64*64 + 64

// Rx is one receive queue. One worker.
type Rx struct {
	port    *Port
	h       *fdio.Handle
	buf     []byte
	burst   int
	errDown error
	dropped counter.Cell
	spin    fdio.Spin
}

// newRx takes ownership of fd, also on an error.
func newRx(p *Port, fd int) (*Rx, error) {
	h, err := fdio.New(fd)
	if err != nil {
		return nil, err
	}
	return &Rx{
		port: p, h: h, burst: p.cfg.Burst,
		buf:     make([]byte, p.cfg.Burst*stride),
		errDown: fmt.Errorf("tap: %s: %w", p.cfg.Name, port.ErrDown),
	}, nil
}

// Recv fills v with what has arrived; see port.Rx. The device hands over one
// frame a call, so Recv reads until it has no more or v is full.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(v *pkt.Vector) error {
	v.Reset()
	fd, ok := r.h.Enter()
	if !ok {
		return port.ErrClosed
	}
	errno := r.read(fd, v)
	if v.N == 0 && errno == unix.EAGAIN {
		for i := r.spin.Tries(); v.N == 0 && errno == unix.EAGAIN && i > 0 && r.spin.Yield(); i-- {
			errno = r.read(fd, v)
		}
		r.spin.Paid(v.N > 0)
	}
	if v.N == 0 && errno == unix.EAGAIN {
		if r.h.Wait(unix.POLLIN, port.IdleTimeout) == 0 {
			r.h.Leave()
			return r.idle()
		}
		errno = r.read(fd, v)
	}
	r.h.Leave()
	switch {
	case v.N > 0:
		return nil
	case errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR:
		return port.ErrTimeout
	}
	return r.gone()
}

// read reads until the device has no more, v is full, or the burst is done. The
// error is that of the last read.
func (r *Rx) read(fd int, v *pkt.Vector) (errno fdio.Errno) {
	for i := 0; i < r.burst && !v.Full(); i++ {
		b := r.buf[i*stride : (i+1)*stride : (i+1)*stride]
		n, errno := fdio.Read(fd, b)
		if errno != 0 {
			return errno
		}
		if n < vnet.Len+14 || n == len(b) {
			r.dropped.Add(1)
			continue
		}
		o, ok := vnet.Decode(b, b[vnet.Len:n])
		if !ok {
			r.dropped.Add(1)
			continue
		}
		v.Add(b[vnet.Len:n]).Offload = o
	}
	return 0
}

// idle is the end of a Recv in which nothing came: the moment to look whether
// the device is still there.
func (r *Rx) idle() error {
	if r.port.heal() {
		return port.ErrTimeout
	}
	if _, ok := r.h.Enter(); !ok {
		return port.ErrClosed
	}
	r.h.Leave()
	return r.errDown
}

// gone is the end of a Recv that found the device deleted: poll does not wait on
// such a descriptor, so gone does, unless the device could be created again.
func (r *Rx) gone() error {
	if !r.port.heal() {
		if _, ok := r.h.Enter(); !ok {
			return port.ErrClosed
		}
		r.h.Pause(port.IdleTimeout)
		r.h.Leave()
	}
	return r.errDown
}

// Dropped returns how many frames could not be handed over: cut off, too short,
// or with a virtio-net header that does not fit. What the device's own queue had
// no room for is in the device's statistics. Any goroutine.
func (r *Rx) Dropped() uint64 { return r.dropped.Load() }

// Sizes of a send batch, and how long a Tx waits for room.
const (
	batch    = 64
	fullWait = 10 * time.Millisecond
)

// Tx is a transmit side. One worker.
type Tx struct {
	port    *Port
	h       *fdio.Handle
	queue   [batch]*pkt.Frame
	n       int
	scratch vnet.Scratch
	iovs    []unix.Iovec

	sent, refused int            // since the last Flush
	reason        counter.Reason // of the last refusal since the last Flush
	refusal       counter.Reason // what Refusal returns
}

// newTx takes ownership of fd, also on an error.
func newTx(p *Port, fd int) (*Tx, error) {
	h, err := fdio.New(fd)
	if err != nil {
		return nil, err
	}
	return &Tx{port: p, h: h, iovs: make([]unix.Iovec, 0, fdio.MaxIovecs)}, nil
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

// send empties the batch: every frame is sent or refused.
func (t *Tx) send() {
	n := t.n
	t.n = 0
	fd, ok := t.h.Enter()
	if !ok {
		t.refuse(n, counter.PortDown)
		return
	}
	waited := false
	for i := range n {
		why := t.write(fd, t.queue[i])
		if why == counter.PortTxFull && !waited {
			waited = true // once a batch
			t.h.Wait(unix.POLLOUT, fullWait)
			why = t.write(fd, t.queue[i])
		}
		switch why {
		case counter.None:
			t.sent++
		case counter.PortDown:
			t.refuse(n-i, why)
			t.h.Leave()
			return
		default:
			t.refuse(1, why)
		}
	}
	t.h.Leave()
}

func (t *Tx) refuse(n int, why counter.Reason) {
	t.refused += n
	t.reason = why
}

// write writes one frame, and returns why it could not.
func (t *Tx) write(fd int, f *pkt.Frame) counter.Reason {
	if vnet.Iovecs(f) > fdio.MaxIovecs || f.Len > port.MaxRecvFrame-4*pkt.MaxTags {
		return counter.FrameTooLong
	}
	if len(f.Head) < 14 {
		return counter.FrameTooShort
	}
	iovs, ok := t.scratch.Append(t.iovs, f)
	if !ok {
		return counter.BadOffload
	}
	_, errno := fdio.Writev(fd, iovs)
	for errno == unix.EINTR {
		_, errno = fdio.Writev(fd, iovs)
	}
	isUDP := f.Offload.GSOType == pkt.GSOUDP
	switch errno {
	case 0:
		if isUDP && !t.port.usoProven.Load() {
			t.port.usoProven.Store(true)
		}
		return counter.None
	case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
		return counter.PortTxFull
	case unix.EINVAL:
		if isUDP && !t.port.usoProven.Load() {
			t.port.usoOff.Store(true)
		}
		return counter.BadOffload
	}
	return counter.PortDown // EIO: down; EBADFD: deleted
}

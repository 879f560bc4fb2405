package afpacket

import (
	"fmt"
	"sync/atomic"
	"unsafe"

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

// Length of the auxiliary data, and of the control message around it.
const auxLen = int(unsafe.Sizeof(unix.TpacketAuxdata{}))

// slot is what one message of a receive batch needs besides its buffer.
type slot struct {
	iov  unix.Iovec
	ctrl [40]byte // CMSG_SPACE(auxLen)
}

// Rx is one receive queue: a socket and DefaultBurst buffers. One worker.
type Rx struct {
	port    *Port
	h       *fdio.Handle
	msgs    []fdio.Msg
	slots   []slot
	buf     []byte
	errDown error
	spin    fdio.Spin

	dropped counter.Cell  // frames the driver could not hand over
	kernel  atomic.Uint64 // frames the kernel had no room for, as far as collected
}

// newRx returns a queue without a device: Reopen gives it one.
func newRx(p *Port, q int) (*Rx, error) {
	if unix.CmsgSpace(auxLen) > len(slot{}.ctrl) {
		panic("afpacket: control buffer too small")
	}
	fd, err := socket()
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	h, err := fdio.New(fd)
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	n := p.cfg.Burst
	r := &Rx{
		port: p, h: h,
		msgs:    make([]fdio.Msg, n),
		slots:   make([]slot, n),
		buf:     make([]byte, n*stride),
		errDown: fmt.Errorf("afpacket: %s: %w", p.cfg.Name, port.ErrDown),
	}
	for i := range r.msgs {
		s, m := &r.slots[i], &r.msgs[i]
		s.iov = fdio.Iov(r.frame(i))
		m.Hdr.Iov = &s.iov
		m.Hdr.SetIovlen(1)
		m.Hdr.Control = &s.ctrl[0]
		m.Hdr.SetControllen(len(s.ctrl))
	}
	return r, nil
}

// frame returns buffer i: the virtio-net header and the frame behind it.
func (r *Rx) frame(i int) []byte {
	return r.buf[i*stride : (i+1)*stride : (i+1)*stride]
}

// Recv fills v with what has arrived; see port.Rx.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(v *pkt.Vector) error {
	v.Reset()
	fd, ok := r.h.Enter()
	if !ok {
		return port.ErrClosed
	}
	msgs := r.msgs[:min(len(r.msgs), len(v.Frames))]
	n, errno := fdio.RecvMsgs(fd, msgs)
	if errno == unix.EAGAIN {
		for i := r.spin.Tries(); errno == unix.EAGAIN && i > 0 && r.spin.Yield(); i-- {
			n, errno = fdio.RecvMsgs(fd, msgs)
		}
		r.spin.Paid(errno == 0)
	}
	if errno == unix.EAGAIN {
		if r.h.Wait(unix.POLLIN, port.IdleTimeout) == 0 {
			r.h.Leave()
			return r.idle()
		}
		n, errno = fdio.RecvMsgs(fd, msgs)
	}
	r.h.Leave()
	if errno != 0 {
		return r.fail(errno)
	}
	for i := range msgs[:n] {
		r.take(v, i)
	}
	if v.N == 0 {
		return port.ErrTimeout
	}
	return nil
}

// take hands message i over, or counts it, and readies it for the next batch.
func (r *Rx) take(v *pkt.Vector, i int) {
	m, s := &r.msgs[i], &r.slots[i]
	n, trunc := int(m.Len), m.Hdr.Flags&unix.MSG_TRUNC != 0
	ctrl := s.ctrl[:min(uint64(m.Hdr.Controllen), uint64(len(s.ctrl)))]
	m.Hdr.Flags = 0
	m.Hdr.SetControllen(len(s.ctrl))

	if trunc || n < vnet.Len+14 {
		r.dropped.Add(1)
		return
	}
	b := r.frame(i)
	o, ok := vnet.Decode(b, b[vnet.Len:n])
	if !ok {
		r.dropped.Add(1)
		return
	}
	f := v.Add(b[vnet.Len:n])
	f.Offload = o
	if p := fdio.Cmsg(ctrl, unix.SOL_PACKET, unix.PACKET_AUXDATA, auxLen); p != nil {
		aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&p[0]))
		if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
			tpid := uint16(unix.ETH_P_8021Q)
			if aux.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				tpid = aux.Vlan_tpid
			}
			f.PushTag(pkt.Tag{TPID: tpid, TCI: aux.Vlan_tci})
		}
	}
}

// idle is the end of a Recv in which nothing came: the moment to look whether
// the device is still there and still the same.
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

// fail says what an error of recvmmsg means.
func (r *Rx) fail(errno fdio.Errno) error {
	switch errno {
	case unix.EAGAIN, unix.EINTR:
	case unix.ENETDOWN, unix.ENODEV, unix.ENXIO:
		return r.errDown
	default:
		// A frame for which the kernel has no virtio-net header (EINVAL), or no
		// memory. It is gone.
		r.dropped.Add(1)
	}
	return port.ErrTimeout
}

// collect adds the kernel's drop count, which every reading resets.
func (r *Rx) collect() {
	r.h.With(func(fd int) {
		if s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			r.kernel.Add(uint64(s.Drops))
		}
	})
}

// Dropped returns how many frames the kernel had no room for in the socket's
// buffer, and how many could not be handed over: cut off, too short, or with a
// virtio-net header that does not fit. Any goroutine.
func (r *Rx) Dropped() uint64 {
	r.collect()
	return r.kernel.Load() + r.dropped.Load()
}

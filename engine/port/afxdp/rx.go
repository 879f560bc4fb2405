package afxdp

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"golang.org/x/sys/unix"
)

// Rx is one receive queue of the port: one or more sockets. One worker.
//
// Its mutex is held while rings are read, never while waiting, so it is free
// unless control replaces the sockets in that very moment. Frames that are lent
// lie in Go's memory, not in a mapping: a worker may go on with them whatever
// happens to their socket.
type Rx struct {
	port    *Port
	errDown error
	dropped counter.Cell // frames the driver could not hand over

	mu      sync.Mutex // guards what follows
	closed  bool
	waiting bool // the worker is in ppoll and frees wake when closed meanwhile
	socks   []*socket
	first   int           // socket that is asked first: each in turn
	polls   []unix.PollFd // wake, watch, sockets; a new slice with new sockets
	wake    int           // eventfd
	watch   int           // packet socket that fails when the device goes down; -1 when none
	past    uint64        // what sockets dropped that are closed
}

// newRx returns a queue without a device: Reopen gives it one.
func newRx(p *Port) (*Rx, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("afxdp: %s: eventfd: %w", p.cfg.Name, err)
	}
	r := &Rx{
		port: p, wake: wake, watch: -1,
		errDown: fmt.Errorf("afxdp: %s: %w", p.cfg.Name, port.ErrDown),
	}
	r.replace(nil, -1)
	return r, nil
}

// replace takes the sockets away and gives others, and the watch of their device,
// which the Rx owns from here on. Nobody closes sockets that an Rx has.
func (r *Rx) replace(socks []*socket, watch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.socks {
		r.past += s.dropped()
	}
	if r.watch >= 0 {
		unix.Close(r.watch)
	}
	r.socks, r.watch, r.first = socks, watch, 0
	r.polls = []unix.PollFd{{Fd: int32(r.wake), Events: unix.POLLIN}, {Fd: int32(watch)}}
	for _, s := range socks {
		r.polls = append(r.polls, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
	if r.waiting {
		kick(r.wake)
	}
}

// close ends the Rx, which has no sockets any more.
func (r *Rx) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.closed = true
	if r.waiting {
		kick(r.wake)
		return
	}
	unix.Close(r.wake)
}

// Recv fills v with what has arrived; see port.Rx.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(v *pkt.Vector) error {
	v.Reset()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return port.ErrClosed
	}
	r.giveBack()
	if r.take(v); v.N > 0 {
		r.mu.Unlock()
		return nil
	}
	polls := r.polls
	r.waiting = true
	r.mu.Unlock()

	happened := wait(polls)

	r.mu.Lock()
	r.waiting = false
	if r.closed {
		unix.Close(r.wake)
		r.mu.Unlock()
		return port.ErrClosed
	}
	r.take(v)
	down := false
	if polls[0].Revents != 0 {
		drain(r.wake)
	}
	if v.N == 0 && &polls[0] == &r.polls[0] && polls[1].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
		// Reading the error clears it: the next Recv waits.
		unix.GetsockoptInt(r.watch, unix.SOL_SOCKET, unix.SO_ERROR)
		down = true
	}
	r.mu.Unlock()
	switch {
	case v.N > 0:
		return nil
	case down:
		return r.errDown
	case !happened:
		return r.idle()
	}
	return port.ErrTimeout
}

// idle is the end of a Recv in which nothing came: the moment to look whether
// the device is still there and still the same.
func (r *Rx) idle() error {
	if r.port.heal() {
		return port.ErrTimeout
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return port.ErrClosed
	}
	return r.errDown
}

// giveBack returns what the worker had to the fill rings, which always have room:
// there are no more frames than places.
func (r *Rx) giveBack() {
	for _, s := range r.socks {
		if len(s.lent) > 0 {
			s.fill.room(uint32(len(s.lent)))
			for _, a := range s.lent {
				s.fill.put(a)
			}
			s.fill.publish()
			s.lent = s.lent[:0]
		}
		if s.fill.needsWakeup() {
			s.kickFill()
		}
	}
}

// take fills v from the receive rings, beginning with another socket each time.
func (r *Rx) take(v *pkt.Vector) {
	n := len(r.socks)
	for i := range n {
		s := r.socks[(r.first+i)%n]
		ready := s.rx.ready()
		for ; ready > 0 && !v.Full(); ready-- {
			d := s.rx.get()
			s.lent = append(s.lent, d.addr&^(frameSize-1))
			if !r.hand(v, s, d) {
				r.dropped.Add(1)
			}
		}
		s.rx.release()
	}
	if r.first++; r.first >= n {
		r.first = 0
	}
}

// hand gives one frame to the worker, and reports whether it was fit.
func (r *Rx) hand(v *pkt.Vector, s *socket, d desc) bool {
	if d.len < 14 || d.options&unix.XDP_PKT_CONTD != 0 || d.addr+uint64(d.len) > uint64(len(s.umem)) {
		return false
	}
	b := s.umem[d.addr : d.addr+uint64(d.len) : d.addr+uint64(d.len)]
	if !s.hints.any() {
		v.Add(b)
		return true
	}
	return decode(v, s.umem[d.addr-metaLen:d.addr], b)
}

// decode adds the frame b to v with what its metadata m says (metaLen); ok is
// false, and v unchanged, when that does not fit the frame.
func decode(v *pkt.Vector, m, b []byte) (ok bool) {
	_ = m[metaLen-1]
	flags := binary.NativeEndian.Uint32(m[8:])
	var o pkt.Offload
	if flags&metaCsum != 0 {
		o.NeedsCsum = true
		o.CsumStart = binary.NativeEndian.Uint16(m[4:])
		o.CsumOff = binary.NativeEndian.Uint16(m[6:])
		if o.CsumStart < 14 || int(o.CsumStart)+int(o.CsumOff)+2 > len(b) {
			return false
		}
	}
	f := v.Add(b)
	f.Offload = o
	if flags&metaTag != 0 {
		f.PushTag(pkt.Tag{TPID: binary.BigEndian.Uint16(m), TCI: binary.NativeEndian.Uint16(m[2:])})
	}
	return true
}

// Dropped returns how many frames the kernel had no room for, or that were longer
// than a UMEM frame, and how many could not be handed over. Any goroutine.
func (r *Rx) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.past + r.dropped.Load()
	for _, s := range r.socks {
		n += s.dropped()
	}
	return n
}

// wait blocks until something happens to polls, or port.IdleTimeout is over.
func wait(polls []unix.PollFd) bool {
	ts := unix.NsecToTimespec(int64(port.IdleTimeout))
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(polls))),
		uintptr(len(polls)), uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno == 0 && n > 0
}

var one = [8]byte{1}

// kick makes an eventfd readable.
func kick(fd int) { unix.Write(fd, one[:]) }

// drain makes an eventfd unreadable.
func drain(fd int) {
	var b [8]byte
	unix.Read(fd, b[:])
}

package underlay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"unsafe"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// Receive buffers hold the largest bundle that GRO makes, and lie at distances
// that are not a multiple of 4096, or all headers would compete for the same
// cache sets.
const (
	bufLen = 1 << 16
	stride = bufLen + 128
)

// rxSlot is what one message of a receive batch needs besides its buffer.
type rxSlot struct {
	iov  unix.Iovec
	name unix.RawSockaddrInet6 // large enough for IPv4 too
	ctrl [24]byte              // CMSG_SPACE(4): the GRO segment size
}

// Rx is one receive queue: a socket on the listening port, and its share of
// the source ports. One worker.
type Rx struct {
	mux    *Mux
	gate   fdio.Gate
	socks  []int
	epoll  int // of socks and wake
	wake   int // eventfd, written by Close
	events []unix.EpollEvent

	msgs  []fdio.Msg
	slots []rxSlot
	buf   []byte
	zones map[uint32]string // interface index in decimal
	spin  fdio.Spin

	truncated counter.Cell
}

var _ Receiver = (*Rx)(nil)

func newRx(m *Mux, socks []int, burst int) (*Rx, error) {
	r := &Rx{
		mux: m, socks: socks,
		events: make([]unix.EpollEvent, len(socks)+1),
		msgs:   make([]fdio.Msg, burst),
		slots:  make([]rxSlot, burst),
		buf:    make([]byte, burst*stride),
		zones:  map[uint32]string{},
	}
	for i := range r.msgs {
		s := &r.slots[i]
		s.iov = fdio.Iov(r.buf[i*stride:][:bufLen])
		h := &r.msgs[i].Hdr
		h.Iov = &s.iov
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&s.name))
		h.Namelen = unix.SizeofSockaddrInet6
		h.Control = &s.ctrl[0]
		h.SetControllen(len(s.ctrl))
	}
	var err error
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		unix.Close(r.wake)
		return nil, fmt.Errorf("epoll: %w", err)
	}
	for _, fd := range append([]int{r.wake}, socks...) {
		if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd,
			&unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			unix.Close(r.wake)
			unix.Close(r.epoll)
			return nil, fmt.Errorf("epoll: %w", err)
		}
	}
	return r, nil
}

// Recv fills b with what has arrived; see Receiver.
//
// Hot path: no allocation (TestNoAllocs).
func (r *Rx) Recv(b []Bundle) (n int, err error) {
	if !r.gate.Enter() {
		return 0, ErrClosed
	}
	k := min(len(b), len(r.msgs))
	n = r.poll(k)
	if n == 0 {
		for i := r.spin.Tries(); n == 0 && i > 0 && r.spin.Yield(); i-- {
			n = r.poll(k)
		}
		r.spin.Paid(n > 0)
	}
	if n == 0 && r.wait() {
		n = r.poll(k)
	}
	if r.gate.Leave() {
		r.mux.leave()
		return 0, ErrClosed
	}
	out := 0
	for i := range n {
		if r.take(&b[out], i) {
			out++
		}
	}
	if out == 0 {
		return 0, ErrTimeout
	}
	return out, nil
}

// poll receives up to k messages that are there already. With several sockets
// it asks epoll which have some, and takes from those in turn: epoll moves a
// socket that stays ready to the end of its list.
func (r *Rx) poll(k int) (n int) {
	if len(r.socks) == 1 {
		n, _ = fdio.RecvMsgs(r.socks[0], r.msgs[:k])
		return n
	}
	ready := r.epollWait(0)
	for i := range r.events[:ready] {
		fd := int(r.events[i].Fd)
		if fd == r.wake {
			continue
		}
		m, _ := fdio.RecvMsgs(fd, r.msgs[n:k])
		if n += m; n == k {
			break
		}
	}
	return n
}

// wait blocks until a socket has something, or Close, or the time-out; it
// reports whether it is worth asking again.
func (r *Rx) wait() bool { return r.epollWait(int(port.IdleTimeout.Milliseconds())) > 0 }

// epollWait returns how many of r.events are valid. ms is 0, and the scheduler
// need not know of the call, or it may block.
func (r *Rx) epollWait(ms int) int {
	p, n := uintptr(unsafe.Pointer(&r.events[0])), uintptr(len(r.events))
	var got uintptr
	var errno fdio.Errno
	if ms == 0 {
		got, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll), p, n, 0, 0, 0)
	} else {
		got, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll), p, n, uintptr(ms), 0, 0)
	}
	if errno != 0 {
		return 0
	}
	return int(got)
}

// take makes message i a bundle and readies it for the next batch; false: it
// was cut off, and is counted.
func (r *Rx) take(b *Bundle, i int) bool {
	m, s := &r.msgs[i], &r.slots[i]
	trunc, ctrl := m.Hdr.Flags&unix.MSG_TRUNC != 0, s.ctrl[:min(uint64(m.Hdr.Controllen), uint64(len(s.ctrl)))]
	n := int(m.Len)
	m.Hdr.Flags = 0
	m.Hdr.Namelen = unix.SizeofSockaddrInet6
	m.Hdr.SetControllen(len(s.ctrl))
	if trunc {
		r.truncated.Add(1)
		return false
	}
	b.Buf = r.buf[i*stride : i*stride+n : (i+1)*stride]
	b.SegSize = n
	if p := fdio.Cmsg(ctrl, unix.SOL_UDP, unix.UDP_GRO, 4); p != nil {
		if size := int(int32(binary.NativeEndian.Uint32(p))); size > 0 {
			b.SegSize = min(size, n)
		}
	}
	b.Src = r.source(&s.name)
	return true
}

// source returns the sender's address. Zones are interned, so that only the
// first datagram from a link-local address of an interface allocates.
func (r *Rx) source(sa *unix.RawSockaddrInet6) netip.AddrPort {
	if sa.Family == unix.AF_INET {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), getPort(&sa4.Port))
	}
	ip := netip.AddrFrom16(sa.Addr).Unmap()
	if sa.Scope_id != 0 {
		zone, ok := r.zones[sa.Scope_id]
		if !ok {
			zone = strconv.FormatUint(uint64(sa.Scope_id), 10)
			r.zones[sa.Scope_id] = zone
		}
		ip = ip.WithZone(zone)
	}
	return netip.AddrPortFrom(ip, getPort(&sa.Port))
}

// Truncated returns how many datagrams were larger than a buffer, since open.
// Any goroutine.
func (r *Rx) Truncated() uint64 { return r.truncated.Load() }

package afxdp

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// Geometry of a queue's memory: 6144 frames of 4096 bytes, 24 MB. The rings of
// each direction hold all of its frames.
//
// Receiving has more than a TCP stream keeps on its way (4 MB by Linux's default
// tcp_wmem: 2900 segments of 1448): a worker that the machine keeps from running
// for a while, beside a sender that runs, then loses nothing. 2048 frames, 17 ms
// of 1.4 Gbit/s, were too few on two busy cores.
const (
	frameSize = 4096 // the most that UMEM takes in aligned mode
	rxFrames  = 4096 // a power of 2
	txFrames  = 2048 // a power of 2
	umemSize  = (rxFrames + txFrames) * frameSize
)

// socket is one AF_XDP socket, bound to one queue of the device, with memory of
// its own. The receive side (rx, fill, lent) belongs to the Rx that has the
// socket, under its mutex; the transmit side to mu: every Tx of the queue shares
// it, because the kernel gives a queue to one memory only.
type socket struct {
	fd       int
	queue    int
	zeroCopy bool
	hints    hints  // what the program puts in front of frames
	umem     []byte // Go's memory, pinned by the kernel: what is lent outlives the socket
	maps     [][]byte

	rx   consumer[desc]
	fill producer[uint64]
	lent []uint64 // addresses of frames that the worker has

	mu   sync.Mutex
	shut bool // fd is closed, and the rings are gone
	tx   producer[desc]
	done consumer[uint64]
	free []uint64 // addresses of frames to send from
}

// openSocket returns a socket on a queue of the device, without a copy when the
// driver can. The queue of a socket that was closed moments ago may still be
// taken: then it fails with EBUSY.
func openSocket(index, queue int, zeroCopy bool, h hints) (_ *socket, err error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("AF_XDP socket: %w", err)
	}
	s := &socket{fd: fd, queue: queue, zeroCopy: zeroCopy, hints: h}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.register(); err != nil {
		return nil, err
	}
	if err := s.mapRings(); err != nil {
		return nil, err
	}
	for i := range uint64(rxFrames) {
		s.fill.put(i * frameSize)
	}
	s.fill.publish()
	for i := range uint64(txFrames) {
		s.free = append(s.free, (rxFrames+i)*frameSize)
	}
	s.lent = make([]uint64, 0, rxFrames)
	// As much as all frames may account for on their way through the stack.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, txFrames*frameSize) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, txFrames*frameSize)
	}
	flags := uint16(unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY)
	if zeroCopy {
		flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	}
	if err := unix.Bind(fd, &unix.SockaddrXDP{Flags: flags, Ifindex: uint32(index), QueueID: uint32(queue)}); err != nil {
		return nil, fmt.Errorf("bind to queue %d: %w", queue, err)
	}
	return s, nil
}

// register gives the socket its memory and the sizes of its rings.
func (s *socket) register() error {
	b := make([]byte, umemSize+frameSize)
	skip := -uintptr(unsafe.Pointer(&b[0])) % frameSize
	s.umem = b[skip : skip+umemSize]
	reg := &unix.XDPUmemReg{
		Addr: uint64(uintptr(unsafe.Pointer(&s.umem[0]))), Len: uint64(len(s.umem)), Size: frameSize,
	}
	if err := setsockopt(s.fd, unix.XDP_UMEM_REG, unsafe.Pointer(reg), unsafe.Sizeof(*reg)); err != nil {
		if errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("%w: %w", ErrMemory, err)
		}
		return fmt.Errorf("%d bytes of frame memory: %w", len(s.umem), err)
	}
	for _, r := range []struct{ opt, size int }{
		{unix.XDP_UMEM_FILL_RING, rxFrames}, {unix.XDP_RX_RING, rxFrames},
		{unix.XDP_UMEM_COMPLETION_RING, txFrames}, {unix.XDP_TX_RING, txFrames},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.opt, r.size); err != nil {
			return fmt.Errorf("ring size: %w", err)
		}
	}
	return nil
}

// mapRings maps the four rings into our memory.
func (s *socket) mapRings() error {
	off := new(unix.XDPMmapOffsets)
	if err := getsockopt(s.fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(off), unsafe.Sizeof(*off)); err != nil {
		return fmt.Errorf("ring offsets: %w", err)
	}
	var err error
	if s.rx.ring, err = mapRing[desc](s, unix.XDP_PGOFF_RX_RING, &off.Rx, rxFrames); err != nil {
		return err
	}
	if s.tx.ring, err = mapRing[desc](s, unix.XDP_PGOFF_TX_RING, &off.Tx, txFrames); err != nil {
		return err
	}
	if s.fill.ring, err = mapRing[uint64](s, unix.XDP_UMEM_PGOFF_FILL_RING, &off.Fr, rxFrames); err != nil {
		return err
	}
	s.done.ring, err = mapRing[uint64](s, unix.XDP_UMEM_PGOFF_COMPLETION_RING, &off.Cr, txFrames)
	return err
}

func mapRing[T any](s *socket, page int64, off *unix.XDPRingOffset, entries int) (r ring[T], err error) {
	var t T
	n := int(off.Desc) + entries*int(unsafe.Sizeof(t))
	b, err := unix.Mmap(s.fd, page, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return r, fmt.Errorf("map a ring: %w", err)
	}
	s.maps = append(s.maps, b)
	return ring[T]{
		producer: (*uint32)(unsafe.Pointer(&b[off.Producer])),
		consumer: (*uint32)(unsafe.Pointer(&b[off.Consumer])),
		flags:    (*uint32)(unsafe.Pointer(&b[off.Flags])),
		slots:    unsafe.Slice((*T)(unsafe.Pointer(&b[off.Desc])), entries),
	}, nil
}

// close frees the socket and its rings; what is lent stays readable. Nobody may
// use the receive side any more.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return
	}
	s.shut = true
	unix.Close(s.fd)
	for _, b := range s.maps {
		unix.Munmap(b)
	}
	s.maps = nil
}

// dropped returns how many frames the kernel had for this socket and could not
// give to it.
func (s *socket) dropped() uint64 {
	st := new(unix.XDPStatistics)
	if s.shut || getsockopt(s.fd, unix.XDP_STATISTICS, unsafe.Pointer(st), unsafe.Sizeof(*st)) != nil {
		return 0
	}
	return st.Rx_dropped + st.Rx_ring_full
}

// reclaim takes back the frames that were sent, and returns how many.
//
// Hot path: no allocation.
func (s *socket) reclaim() (n int) {
	for s.done.ready() > 0 {
		s.free = append(s.free, s.done.get())
		n++
	}
	if n > 0 {
		s.done.release()
	}
	return n
}

// has reports whether n frames can be sent.
func (s *socket) has(n int) bool {
	return len(s.free) >= n && s.tx.room(uint32(n)) >= uint32(n)
}

// next returns the memory of the next frame to send; has(1) must be true.
func (s *socket) next() []byte {
	a := s.free[len(s.free)-1]
	return s.umem[a : a+frameSize : a+frameSize]
}

// enqueue puts n bytes of what next returned into the ring.
func (s *socket) enqueue(n int) {
	a := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.tx.put(desc{addr: a, len: uint32(n)})
}

// taken returns the place in the transmit ring up to which the kernel has taken.
func (s *socket) taken() uint32 { return s.tx.next - s.tx.pending() }

// stalls is how often flush asks in vain before it leaves frames in the ring.
const stalls = 3

// flush has the kernel send what was published. lost is how many frames the
// device dropped; down is true when it is gone or down, with frames still in the
// ring.
//
// Hot path: no allocation.
func (s *socket) flush() (lost int, down bool) {
	if s.zeroCopy && !s.tx.needsWakeup() {
		return 0, false
	}
	for vain := 0; vain < stalls; {
		was := s.tx.pending()
		errno := s.kick()
		left := s.tx.pending()
		switch errno {
		case 0:
			if left == 0 || s.zeroCopy {
				return lost, false
			}
		case unix.EBUSY: // the device dropped a frame; the ring goes on behind it
			lost++
		case unix.EAGAIN, unix.EINTR, unix.ENOBUFS, unix.ENOMEM:
			if s.zeroCopy {
				return lost, false
			}
		default:
			return lost, left > 0
		}
		if left == was {
			vain++
			s.reclaim() // the completion ring may be what is full
		}
	}
	return lost, false
}

// kick makes the kernel look at the transmit ring. In copy mode it sends, at most
// 32 frames a call, and says EAGAIN when there are more.
//
// Hot path: no allocation.
func (s *socket) kick() fdio.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return e
}

// kickFill makes the driver look at the fill ring.
//
// Hot path: no allocation.
func (s *socket) kickFill() {
	unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
}

func setsockopt(fd, opt int, p unsafe.Pointer, n uintptr) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt), uintptr(p), n, 0)
	if e != 0 {
		return e
	}
	return nil
}

// getsockopt fills the n bytes at p. A kernel that knows fewer fields fills
// fewer, and one that knows fewer than we need is too old.
func getsockopt(fd, opt int, p unsafe.Pointer, n uintptr) error {
	size := new(uint32)
	*size = uint32(n)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(p), uintptr(unsafe.Pointer(size)), 0)
	if e != 0 {
		return e
	}
	if uintptr(*size) != n {
		return errors.New("the kernel's answer is too short")
	}
	return nil
}

package fdio

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Handle is one file descriptor, used by one worker between Enter and Leave,
// and closed or replaced by control at any time.
type Handle struct {
	gate    Gate
	changed atomic.Bool // next holds a descriptor for the worker to take over

	fd   int // the worker's, between Enter and Leave; mu otherwise
	poll [2]unix.PollFd

	mu   sync.Mutex // guards what follows, and fd outside of the gate
	next int        // -1 when there is none
	wake int        // eventfd; -1 once freed
}

// New takes ownership of fd. On an error fd is closed.
func New(fd int) (*Handle, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("fdio: eventfd: %w", err)
	}
	return &Handle{fd: fd, next: -1, wake: wake}, nil
}

// Enter gives the worker the descriptor until Leave. false: closed.
//
// Hot path: no allocation.
func (h *Handle) Enter() (fd int, ok bool) {
	if !h.gate.Enter() {
		return -1, false
	}
	if h.changed.Load() {
		h.takeOver()
	}
	return h.fd, true
}

// takeOver closes the old descriptor and goes on with the new one.
func (h *Handle) takeOver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed.Store(false)
	drain(h.wake)
	if h.next >= 0 {
		unix.Close(h.fd)
		h.fd, h.next = h.next, -1
	}
}

// Leave ends what Enter began.
//
// Hot path: no allocation.
func (h *Handle) Leave() {
	if h.gate.Leave() {
		h.free()
	}
}

// Wait blocks until the descriptor has one of events (unix.POLLIN, POLLOUT), or
// an error or hang-up, and returns what it has; 0 after timeout, a signal,
// Replace or Close. Between Enter and Leave only.
func (h *Handle) Wait(events int16, timeout time.Duration) (revents int16) {
	h.poll[0] = unix.PollFd{Fd: int32(h.fd), Events: events}
	h.poll[1] = unix.PollFd{Fd: int32(h.wake), Events: unix.POLLIN}
	if !h.ppoll(timeout) {
		return 0
	}
	return h.poll[0].Revents
}

// ppoll waits for h.poll and reports whether anything in it happened.
func (h *Handle) ppoll(timeout time.Duration) bool {
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&h.poll[0])), 2,
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno == 0 && n > 0
}

// Pause blocks until timeout, a signal, Replace or Close. Between Enter and
// Leave only.
func (h *Handle) Pause(timeout time.Duration) {
	h.poll[0] = unix.PollFd{Fd: -1}
	h.poll[1] = unix.PollFd{Fd: int32(h.wake), Events: unix.POLLIN}
	h.ppoll(timeout)
}

// Replace takes ownership of fd and hands it to the worker at its next Enter; a
// Wait in progress ends. The old descriptor is closed when the worker no longer
// uses it. Any goroutine.
func (h *Handle) Replace(fd int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gate.IsShut() {
		unix.Close(fd)
		return
	}
	if h.next >= 0 {
		unix.Close(h.next)
	}
	h.next = fd
	h.changed.Store(true)
	kick(h.wake)
}

// With calls f with the newest descriptor, which stays open meanwhile; not at
// all when closed. Any goroutine; f must not block.
func (h *Handle) With(f func(fd int)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.wake < 0:
	case h.next >= 0:
		f(h.next)
	default:
		f(h.fd)
	}
}

// Close closes the descriptor, or makes the worker close it on leaving; a Wait
// in progress ends at once. Any goroutine, any number of times.
func (h *Handle) Close() {
	free, busy := h.gate.Shut()
	if free {
		h.free()
	}
	if busy {
		h.mu.Lock()
		kick(h.wake)
		h.mu.Unlock()
	}
}

// free closes everything, once, by whom the gate chose.
func (h *Handle) free() {
	h.mu.Lock()
	defer h.mu.Unlock()
	unix.Close(h.fd)
	if h.next >= 0 {
		unix.Close(h.next)
	}
	unix.Close(h.wake)
	h.fd, h.next, h.wake = -1, -1, -1
}

var one = [8]byte{1}

// kick makes an eventfd readable; harmless on -1.
func kick(fd int) {
	if fd >= 0 {
		unix.Write(fd, one[:])
	}
}

// drain makes an eventfd unreadable.
func drain(fd int) {
	var b [8]byte
	unix.Read(fd, b[:])
}

// Errno is the error number of a system call; 0 when it succeeded.
type Errno = syscall.Errno

package bell

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bell wakes a worker, which waits in a system call as it does for a socket: a
// channel would take its thread from it at each wait, and allocate now and then.
// One goroutine waits; any may ring.
type Bell struct {
	fd   int         // an eventfd(2), closed when the bell is collected
	rung atomic.Bool // and not heard yet
}

// New returns a bell that has not rung. The error is that of eventfd(2).
func New() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	b := &Bell{fd: fd}
	runtime.AddCleanup(b, func(fd int) { unix.Close(fd) }, fd)
	return b, nil
}

// Ring rings. Any goroutine.
//
// Hot path: no allocation; a system call when it has not rung since the last
// Wait.
func (b *Bell) Ring() {
	if b.rung.Swap(true) {
		return
	}
	one := [8]byte{}
	binary.NativeEndian.PutUint64(one[:], 1)
	// It fails only at the counter's end, 2^64 - 1, which rung keeps away.
	_, _ = unix.Write(b.fd, one[:])
	runtime.KeepAlive(b)
}

// Wait waits until the bell rings, unless it has since the last Wait, and reports
// whether it did before the limit, which is counted in whole milliseconds. One
// goroutine.
func (b *Bell) Wait(limit time.Duration) bool {
	fds := [1]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], int(limit.Milliseconds()))
	if err == unix.EINTR {
		return true // the caller looks and waits again
	}
	if n <= 0 {
		return false
	}
	var count [8]byte
	_, _ = unix.Read(b.fd, count[:]) // to 0; there is something, as poll said
	// Not before the read: a ring between the two would be lost.
	b.rung.Store(false)
	runtime.KeepAlive(b)
	return true
}

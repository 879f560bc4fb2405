package udpgen

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many messages one system call takes.
const batch = 64

// mmsg is struct mmsghdr: a message, and how many bytes of it were moved.
type mmsg struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// messages is one batch, with the memory that its headers point at.
type messages struct {
	msgs [batch]mmsg
	iovs [batch]unix.Iovec
}

// newMessages returns a batch whose i-th message is bufs[i]; control, unless
// nil, has room for the control data of each.
func newMessages(bufs [][]byte, control [][]byte) *messages {
	m := &messages{}
	for i := range m.msgs {
		m.iovs[i].Base = &bufs[i][0]
		m.iovs[i].SetLen(len(bufs[i]))
		m.msgs[i].hdr.Iov = &m.iovs[i]
		m.msgs[i].hdr.SetIovlen(1)
		if control != nil {
			m.msgs[i].hdr.Control = &control[i][0]
			m.msgs[i].hdr.SetControllen(len(control[i]))
		}
	}
	return m
}

// send sends the first n messages, all of them: it waits for room. It returns
// how many went out before an error.
func (m *messages) send(fd, n int) (sent int, err error) {
	for sent < n {
		r, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&m.msgs[sent])), uintptr(n-sent), 0, 0, 0)
		switch errno {
		case 0:
			sent += int(r)
		case unix.EINTR:
		default:
			return sent, os.NewSyscallError("sendmmsg", errno)
		}
	}
	return sent, nil
}

// receive waits for a message, at most as long as the socket's receive timeout,
// and takes those that are there. It returns 0 when the time is over.
func (m *messages) receive(fd int) (n int, err error) {
	r, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&m.msgs[0])), batch, unix.MSG_WAITFORONE, 0, 0)
	switch errno {
	case 0:
		return int(r), nil
	case unix.EINTR, unix.EAGAIN:
		return 0, nil
	}
	return 0, os.NewSyscallError("recvmmsg", errno)
}

package fdio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Msg is struct mmsghdr: one message of a batch. Len is the number of bytes
// received or sent.
type Msg struct {
	Hdr unix.Msghdr
	Len uint32
}

// RecvMsgs receives into msgs, at most len(msgs), what is there already; it
// never waits. n > 0 goes with errno 0.
//
// Everything msgs points at must be on the heap. Worker only.
//
// Hot path: no allocation.
func RecvMsgs(fd int, msgs []Msg) (n int, errno Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(msgs))), uintptr(len(msgs)),
		unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// SendMsgs sends msgs in order until one is refused; it never waits. n messages
// were sent; errno is that of message n, and 0 when n > 0: only the next call
// finds out why message n stayed behind.
//
// Everything msgs points at must be on the heap. Worker only.
//
// Hot path: no allocation.
func SendMsgs(fd int, msgs []Msg) (n int, errno Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(msgs))), uintptr(len(msgs)),
		unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Read reads once from a descriptor that is non-blocking.
//
// Hot path: no allocation.
func Read(fd int, b []byte) (n int, errno Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// Writev writes iovs as one record to a descriptor that is non-blocking.
//
// Hot path: no allocation.
func Writev(fd int, iovs []unix.Iovec) (n int, errno Errno) {
	r, _, e := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(iovs))), uintptr(len(iovs)))
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}

// MaxIovecs is the most iovecs one message or write may have: UIO_MAXIOV.
const MaxIovecs = 1024

// Iov returns an iovec over b, which must not be empty.
//
// Hot path: no allocation, inlined.
func Iov(b []byte) (v unix.Iovec) {
	v.Base = &b[0]
	v.SetLen(len(b))
	return v
}

// Cmsg returns the payload of the first control message of the given level and
// type in b, at least n bytes of it; nil when there is none.
//
// Hot path: no allocation.
func Cmsg(b []byte, level, typ int32, n int) []byte {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		l := uint64(h.Len)
		if l < unix.SizeofCmsghdr || l > uint64(len(b)) {
			return nil
		}
		if h.Level == level && h.Type == typ {
			p := b[unix.CmsgLen(0):l]
			if len(p) < n {
				return nil
			}
			return p
		}
		b = b[min(unix.CmsgSpace(int(l)-unix.SizeofCmsghdr), len(b)):]
	}
	return nil
}

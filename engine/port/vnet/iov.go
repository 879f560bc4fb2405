package vnet

import (
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// addrLen is the length of the two MAC addresses, which tags go behind.
const addrLen = 12

// Iovecs returns how many iovecs Append needs at most for f.
//
// Hot path: no allocation, inlined.
func Iovecs(f *pkt.Frame) int { return 4 + len(f.Frags) }

// Append appends to iovs the header of f, f's bytes with its tags among them,
// and f's fragments, all borrowed. The capacity of iovs must suffice (Iovecs).
// ok is false, and iovs unchanged, when f is not fit for sending: too short,
// longer than port.MaxRecvFrame, with headers outside of Head, or in too many
// pieces.
//
// Hot path: no allocation.
func (s *Scratch) Append(iovs []unix.Iovec, f *pkt.Frame) (_ []unix.Iovec, ok bool) {
	if Iovecs(f) > fdio.MaxIovecs || !s.put(f) {
		return iovs, false
	}
	iovs = append(iovs, fdio.Iov(s.hdr[:]))
	if f.NumTags == 0 {
		iovs = append(iovs, fdio.Iov(f.Head))
	} else {
		iovs = append(iovs, fdio.Iov(f.Head[:addrLen]),
			fdio.Iov(s.tags[:int(f.NumTags)*vlanLen]),
			fdio.Iov(f.Head[addrLen:]))
	}
	for _, b := range f.Frags {
		if len(b) > 0 {
			iovs = append(iovs, fdio.Iov(b))
		}
	}
	return iovs, true
}

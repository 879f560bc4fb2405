package underlay

import (
	"encoding/binary"
	"unsafe"

	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// Sizes of a send batch, of each path.
const (
	batch     = 64
	fullWait  = 10 // longest wait for room in the socket's buffer, ms
	fullWaits = 3  // waits in one batch, each after some progress
)

// lane is the batch of one path.
type lane struct {
	sock  *socket
	n     int // messages queued
	msgs  [batch]fdio.Msg
	iovs  [batch]unix.Iovec
	ctrl  [batch][24]byte // CMSG_SPACE(2): the segment size
	size  [batch]int      // bytes of each segment but the last
	count [batch]int      // segments

	// One message, for groups that must be sent segment by segment.
	one    [1]fdio.Msg
	oneIov unix.Iovec
}

// Tx is a transmit side. One worker.
type Tx struct {
	mux   *Mux
	gate  fdio.Gate
	lanes []*lane // by path; that of path 0 uses a listening socket
	dirty []*lane // those with messages

	sent, failed, over int // segments, since the last Flush
	oversized          int // of the last Flush
}

var _ Sender = (*Tx)(nil)

func newTx(m *Mux, number int) *Tx {
	t := &Tx{mux: m, lanes: make([]*lane, m.Paths()), dirty: make([]*lane, 0, m.Paths())}
	t.lanes[0] = newLane(&m.socks[number%m.queues])
	for p := 1; p < len(t.lanes); p++ {
		t.lanes[p] = newLane(&m.socks[m.queues+p-1])
	}
	return t
}

// newLane returns the batch of the path that leaves by a socket.
func newLane(sock *socket) *lane {
	l := &lane{sock: sock}
	for i := range l.ctrl {
		c := l.ctrl[i][:]
		binary.NativeEndian.PutUint64(c, uint64(unix.CmsgLen(2)))
		binary.NativeEndian.PutUint32(c[8:], unix.SOL_UDP)
		binary.NativeEndian.PutUint32(c[12:], unix.UDP_SEGMENT)
	}
	return l
}

// Push queues data; see Sender.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Push(dst *Endpoint, path int, data []byte, segSize int) {
	if len(data) == 0 {
		return
	}
	if segSize <= 0 || segSize > len(data) {
		segSize = len(data)
	}
	l := t.lanes[uint(path)%uint(len(t.lanes))]
	name, nameLen, ok := dst.sockaddr(l.sock.v6)
	if n := segments(data, segSize); !ok || segSize > MaxGroup {
		t.failed += n
		if ok {
			t.over += n
		}
		return
	}
	group := segSize
	if t.mux.gsoOff.Load() == nil {
		group *= max(1, min(MaxGroup/segSize, int(t.mux.maxSegs.Load())))
	}
	for len(data) > 0 {
		piece := data[:min(group, len(data))]
		data = data[len(piece):]
		if l.n == batch {
			t.sendLane(l)
		}
		if l.n == 0 {
			t.dirty = append(t.dirty, l)
		}
		i := l.n
		l.n++
		l.iovs[i] = fdio.Iov(piece)
		l.size[i], l.count[i] = segSize, segments(piece, segSize)
		h := &l.msgs[i].Hdr
		h.Name, h.Namelen = name, nameLen
		h.Iov = &l.iovs[i]
		h.SetIovlen(1)
		if l.count[i] > 1 {
			binary.NativeEndian.PutUint16(l.ctrl[i][16:], uint16(segSize))
			h.Control = &l.ctrl[i][0]
			h.SetControllen(len(l.ctrl[i]))
		} else {
			h.Control = nil
			h.SetControllen(0)
		}
	}
}

// segments returns how many datagrams data is.
func segments(data []byte, size int) int { return (len(data) + size - 1) / size }

// Flush sends what is queued; see Sender.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Flush() (sentSegments, failedSegments int) {
	for _, l := range t.dirty {
		t.send(l)
	}
	t.dirty = t.dirty[:0]
	sentSegments, failedSegments, t.oversized = t.sent, t.failed, t.over
	t.sent, t.failed, t.over = 0, 0, 0
	return sentSegments, failedSegments
}

// Paths returns how many source ports there are; see Sender.
func (t *Tx) Paths() int { return len(t.lanes) }

// Oversized returns how many segments of the last Flush were larger than the
// MTU; see Sender.
func (t *Tx) Oversized() int { return t.oversized }

// sendLane empties a lane in the middle of a burst.
func (t *Tx) sendLane(l *lane) {
	t.send(l)
	for i, d := range t.dirty {
		if d == l {
			t.dirty = append(t.dirty[:i], t.dirty[i+1:]...)
			return
		}
	}
}

// send empties a lane: every segment is sent or failed.
func (t *Tx) send(l *lane) {
	n := l.n
	l.n = 0
	if !t.gate.Enter() {
		for _, c := range l.count[:n] {
			t.failed += c
		}
		return
	}
	waits, stuck := 0, -1 // stuck: the message that the last wait was for
	for i := 0; i < n; {
		if l.count[i] > 1 && t.mux.gsoOff.Load() != nil {
			t.sendSingly(l, i)
			i++
			continue
		}
		k, errno := fdio.SendMsgs(l.sock.fd, l.msgs[i:n])
		for _, c := range l.count[i : i+k] {
			t.sent += c
		}
		if i += k; errno == 0 || errno == unix.EINTR {
			continue
		}
		switch {
		case isFull(errno) && stuck != i && waits < fullWaits:
			stuck, waits = i, waits+1
			waitRoom(l.sock.fd)
			continue
		case l.count[i] > 1 && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EOPNOTSUPP):
			t.degrade(l, i, errno)
		default:
			t.failSegments(l.count[i], errno)
		}
		i++
	}
	if t.gate.Leave() {
		t.mux.leave()
	}
}

func isFull(errno fdio.Errno) bool { return errno == unix.EAGAIN || errno == unix.ENOBUFS }

// waitRoom blocks a short while until the socket has room.
func waitRoom(fd int) {
	unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, fullWait)
}

// failSegments counts n segments that were refused for errno.
func (t *Tx) failSegments(n int, errno fdio.Errno) {
	t.failed += n
	if errno == unix.EMSGSIZE {
		t.over += n
	}
	t.mux.fail(errno)
}

// degrade sends a group that the kernel refused segment by segment, and learns
// from it: kernels before 6.9 take 64 segments only; otherwise, when segments
// get through alone, GSO does not work here (no checksum offload on the device
// on older kernels: EIO) and is turned off for good. When alone they are too
// large for the MTU, GSO is not to blame: some kernels say EINVAL for that.
func (t *Tx) degrade(l *lane, i int, errno fdio.Errno) {
	t.mux.refused.Add(1)
	sent := t.sent
	t.sendSingly(l, i)
	if t.sent-sent != l.count[i] {
		return
	}
	if l.count[i] > oldMaxSegments && errno == unix.EINVAL {
		t.mux.maxSegs.Store(oldMaxSegments)
		return
	}
	t.mux.stopGSO("kernel: " + errno.Error())
}

// sendSingly sends the segments of message i as single datagrams.
func (t *Tx) sendSingly(l *lane, i int) {
	iov := l.iovs[i]
	data, size := sliceOf(iov), l.size[i]
	h := &l.one[0].Hdr
	h.Name, h.Namelen = l.msgs[i].Hdr.Name, l.msgs[i].Hdr.Namelen
	h.Iov = &l.oneIov
	h.SetIovlen(1)
	waited := false
	for len(data) > 0 {
		piece := data[:min(size, len(data))]
		l.oneIov = fdio.Iov(piece)
		n, errno := fdio.SendMsgs(l.sock.fd, l.one[:])
		switch {
		case n == 1:
			t.sent++
			waited = false
		case errno == unix.EINTR:
			continue
		case isFull(errno) && !waited:
			waited = true
			waitRoom(l.sock.fd)
			continue
		default:
			t.failSegments(1, errno)
		}
		data = data[len(piece):]
	}
}

// sliceOf returns the bytes of an iovec.
func sliceOf(v unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }

package udpgen

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffers of the sockets, bytes. The receiver's is large: what is to be seen is
// the path's loss, not that of the machine's smallest queue.
const (
	sendBuffer    = 4 << 20
	receiveBuffer = 32 << 20
)

// Times of a trial: it begins when nothing has come for quiet, so that it does
// not queue behind what an earlier one has left in the path's buffers, at the
// latest after settle. It ends when all has come, at the latest patience after
// the last was sent. What is still on its way then counts as lost: a path that
// falls behind has not carried the rate, however much its buffers hold.
const (
	quiet    = 40 * time.Millisecond
	settle   = 2 * time.Second
	patience = 20 * time.Millisecond
)

// request is what a sender asks a receiver over the control socket, one JSON
// document a line; the answer is a Count.
type request struct {
	Op     string `json:"op"` // opBegin or opEnd
	Trial  uint32 `json:"trial"`
	Frames uint64 `json:"frames"` // opBegin: at most; opEnd: how many were sent
}

// The requests.
const (
	opBegin = "begin"
	opEnd   = "end"
)

// Receiver counts datagrams on a UDP socket with UDP_GRO. Make it with Listen.
type Receiver struct {
	fd      int
	control net.Listener

	mu      sync.Mutex
	tally   tally
	drops   uint32    // of the socket, when the trial began
	arrived time.Time // when the last datagram came, of whatever trial
}

// Listen opens the UDP port on all addresses of the namespace, and the unix
// socket over which senders say what they do.
func Listen(port uint16, control string) (*Receiver, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, fmt.Errorf("udpgen: %w", os.NewSyscallError("socket", err))
	}
	r := &Receiver{fd: fd}
	for _, o := range []struct {
		name             string
		level, opt, want int
	}{
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer},
		{"UDP_GRO", unix.SOL_UDP, unix.UDP_GRO, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.want); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("udpgen: %s: %w", o.name, err)
		}
	}
	// So that Close is noticed.
	timeout := unix.NsecToTimeval((20 * time.Millisecond).Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}))
	if err == nil {
		r.control, err = net.Listen("unix", control)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("udpgen: listen on port %d: %w", port, err)
	}
	return r, nil
}

// Serve receives until Close, which is no error. It returns once.
func (r *Receiver) Serve() error {
	defer unix.Close(r.fd)
	var serving sync.WaitGroup
	closed := make(chan struct{})
	serving.Go(func() {
		defer close(closed)
		for {
			c, err := r.control.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				r.answer(c)
			})
		}
	})
	err := r.receive(closed)
	r.control.Close()
	serving.Wait()
	return err
}

// Close ends Serve. Any goroutine.
func (r *Receiver) Close() error { return r.control.Close() }

// receive counts until closed.
func (r *Receiver) receive(closed <-chan struct{}) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const controlLen = 64
	bufs, control := buffers(1<<16), buffers(controlLen)
	m := newMessages(bufs, control)
	for {
		select {
		case <-closed:
			return nil
		default:
		}
		for i := range m.msgs {
			m.msgs[i].hdr.SetControllen(controlLen)
		}
		n, err := m.receive(r.fd)
		if err != nil {
			return fmt.Errorf("udpgen: %w", err)
		}
		now := time.Now()
		r.mu.Lock()
		if n > 0 {
			r.arrived = now
		}
		for i := range n {
			msg := &m.msgs[i]
			r.tally.addBundle(bufs[i][:msg.n], segmentSize(control[i][:msg.hdr.Controllen]))
		}
		r.mu.Unlock()
	}
}

// segmentSize returns the size of the segments of a bundle from the control
// data of its message, 0 when it is a single datagram.
func segmentSize(control []byte) int {
	for len(control) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0
		}
		if h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4 {
			return int(*(*int32)(unsafe.Pointer(&data[0])))
		}
		control = rest
	}
	return 0
}

// answer serves one sender until it hangs up.
func (r *Receiver) answer(c net.Conn) {
	lines := bufio.NewScanner(c)
	out := json.NewEncoder(c)
	for lines.Scan() {
		var q request
		if json.Unmarshal(lines.Bytes(), &q) != nil {
			return
		}
		var count Count
		switch q.Op {
		case opBegin:
			r.begin(q)
		case opEnd:
			count = r.end(q)
		default:
			return
		}
		if out.Encode(count) != nil {
			return
		}
	}
}

// begin waits for what earlier trials have left on its way.
func (r *Receiver) begin(q request) {
	for start := time.Now(); time.Since(start) < settle; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		idle := time.Since(r.arrived)
		r.mu.Unlock()
		if idle > quiet {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.reset(q.Trial, q.Frames)
	r.drops = socketDrops(r.fd)
}

// end waits for what is still on its way.
func (r *Receiver) end(q request) Count {
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		late := time.Since(start) > patience
		r.mu.Lock()
		count := r.tally.count
		count.SocketDrops = uint64(socketDrops(r.fd) - r.drops)
		r.mu.Unlock()
		if late || count.Received >= q.Frames {
			return count
		}
	}
}

// socketDrops returns how many datagrams a socket has dropped since it is open.
// Where the kernel does not tell, it is 0.
func socketDrops(fd int) uint32 {
	const memDrops, fields = 8, 9 // SK_MEMINFO_DROPS, SK_MEMINFO_VARS
	var info [fields]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return info[memDrops]
}

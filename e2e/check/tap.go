package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a tap, so that a capture never fills the machine.
const (
	tapFrames = 200_000
	tapBytes  = 256 << 20
	tapBuffer = 32 << 20 // receive buffer of the socket, bytes
)

// frame is a frame that a tap saw.
type frame struct {
	dev  string
	out  bool   // the node sent it; otherwise it was received
	data []byte // from the destination MAC, tags too; perhaps a super-frame, with checksums not filled in
}

// tap is a packet socket on devices of one node: it collects what passes in
// either direction and puts frames on links. Any goroutine.
type tap struct {
	fd    int
	devs  map[int]string // by index
	stop  chan struct{}
	ended chan struct{}
	keep  func(frame) bool

	mu     sync.Mutex
	frames []frame
	bytes  int
	seen   int // frames that passed, kept or not
	full   bool
	err    error
}

// tap opens a tap in a node on the given devices, all but the loopback for none.
// keep says which frames to keep; its frame is only borrowed. nil keeps all.
// Close it.
func (b *Bench) tap(node string, keep func(frame) bool, devs ...string) (*tap, error) {
	if keep == nil {
		keep = func(frame) bool { return true }
	}
	t := &tap{fd: -1, devs: map[int]string{}, stop: make(chan struct{}), ended: make(chan struct{}), keep: keep}
	if err := b.in(node, func() error { return t.open(devs) }); err != nil {
		if t.fd >= 0 {
			unix.Close(t.fd)
		}
		return nil, fmt.Errorf("check: tap in %s: %w", node, err)
	}
	go t.read()
	return t, nil
}

// open makes the socket, in the namespace.
func (t *tap) open(devs []string) error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if len(devs) == 0 && i.Flags&net.FlagLoopback == 0 || slices.Contains(devs, i.Name) {
			t.devs[i.Index] = i.Name
		}
	}
	if len(t.devs) == 0 || len(t.devs) < len(devs) {
		return fmt.Errorf("not all of the devices %q are there", devs)
	}
	const all16 = uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // network order
	if t.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all16)); err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	// The kernel takes the outermost VLAN tag out of what it shows.
	if err := unix.SetsockoptInt(t.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	// The reader looks up now and then whether to stop.
	tv := unix.NsecToTimeval(int64(20 * time.Millisecond))
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(t.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
}

func (t *tap) read() {
	defer close(t.ended)
	const tag = 4 // room in front for one
	buf, oob := make([]byte, 1<<17), make([]byte, 128)
	for {
		n, noob, _, from, err := unix.Recvmsg(t.fd, buf[tag:], oob, 0)
		if err == nil {
			if at, ok := from.(*unix.SockaddrLinklayer); ok {
				t.add(at, untake(buf[:tag+n], oob[:noob]))
			}
			continue
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENETDOWN) {
			t.mu.Lock()
			t.err = os.NewSyscallError("recvfrom", err)
			t.mu.Unlock()
			return
		}
		select {
		case <-t.stop: // and nothing is waiting
			return
		default:
		}
	}
}

// untake puts the VLAN tag back that the kernel has taken out of the frame
// b[4:], and returns the frame.
func untake(b, oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(b) < 4+14 {
		return b[4:]
	}
	for _, m := range msgs {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
			continue
		}
		// struct tpacket_auxdata: status 4, len 4, snaplen 4, mac 2, net 2,
		// tci 2, tpid 2; host order.
		const tciValid, tpidValid = 1 << 4, 1 << 6
		status := binary.NativeEndian.Uint32(m.Data)
		if status&tciValid == 0 {
			continue
		}
		tpid := uint16(0x8100)
		if status&tpidValid != 0 {
			tpid = binary.NativeEndian.Uint16(m.Data[18:])
		}
		copy(b, b[4:4+12])
		binary.BigEndian.PutUint16(b[12:], tpid)
		binary.BigEndian.PutUint16(b[14:], binary.NativeEndian.Uint16(m.Data[16:]))
		return b
	}
	return b[4:]
}

func (t *tap) add(at *unix.SockaddrLinklayer, data []byte) {
	f := frame{dev: t.devs[at.Ifindex], out: at.Pkttype == unix.PACKET_OUTGOING, data: data}
	if f.dev == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen++
	if !t.keep(f) {
		return
	}
	if len(t.frames) >= tapFrames || t.bytes+len(data) > tapBytes {
		t.full = true
		return
	}
	f.data = slices.Clone(data)
	t.frames = append(t.frames, f)
	t.bytes += len(data)
}

// kept returns how many frames were kept up to now.
func (t *tap) kept() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.frames)
}

// first returns the first kept frame that match takes, waiting for it.
func (t *tap) first(most time.Duration, match func(frame) bool) (frame, bool) {
	deadline := time.Now().Add(most)
	for at := 0; ; {
		t.mu.Lock()
		fresh := t.frames[at:]
		t.mu.Unlock()
		for _, f := range fresh {
			if match(f) {
				return f, true
			}
		}
		at += len(fresh)
		if time.Now().After(deadline) {
			return frame{}, false
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// close ends the tap and returns what it kept. Error: frames were lost, because
// the kernel or the tap had no room: what it kept proves nothing.
func (t *tap) close() ([]frame, error) {
	close(t.stop)
	<-t.ended
	defer unix.Close(t.fd)
	if t.err != nil {
		return t.frames, fmt.Errorf("check: tap: %w", t.err)
	}
	st, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return t.frames, fmt.Errorf("check: tap: %w", os.NewSyscallError("getsockopt", err))
	}
	if st.Drops > 0 || t.full {
		return t.frames, fmt.Errorf("check: tap: %d frames lost for want of room", st.Drops)
	}
	return t.frames, nil
}

// send puts frames on the link of a device, as if the node had sent them.
func (t *tap) send(dev string, frames ...[]byte) error {
	for index, name := range t.devs {
		if name != dev {
			continue
		}
		for _, f := range frames {
			if err := unix.Sendto(t.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				return fmt.Errorf("check: send on %s: %w", dev, os.NewSyscallError("sendto", err))
			}
		}
		return nil
	}
	return fmt.Errorf("check: send: no device %s in this tap", dev)
}

package routes

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab/netplumb"
)

// Datagrams of a stream: rate of them each second, of a few octets.
const (
	streamRate   = 1000
	streamBuffer = 8 << 20
	streamDrain  = 2 * time.Second // until the last is taken for lost
)

// Stream is what became of numbered datagrams.
type Stream struct {
	Sent       int     `json:"sent"`
	Lost       int     `json:"lost"`
	Duplicates int     `json:"duplicates"`
	Gap        float64 `json:"longest_gap_s"` // between two that arrived
}

// tally counts numbered datagrams.
type tally struct {
	seen       []bool // by number
	received   int
	duplicates int
	last       time.Time
	gap        time.Duration
}

// add counts number n, which came at now.
func (t *tally) add(n uint32, now time.Time) {
	for uint32(len(t.seen)) <= n {
		t.seen = append(t.seen, false)
	}
	if t.received > 0 {
		t.gap = max(t.gap, now.Sub(t.last))
	}
	t.last = now
	if t.seen[n] {
		t.duplicates++
		return
	}
	t.seen[n] = true
	t.received++
}

// stream is a running stream. End it with end.
type stream struct {
	tx, rx  *net.UDPConn
	stop    chan struct{}
	sending sync.WaitGroup
	taking  sync.WaitGroup

	sent int // the sender's

	mu    sync.Mutex
	tally tally
	err   error
}

// startStream sends from a namespace to an address of another.
func startStream(from, to string, at netip.Addr) (*stream, error) {
	s := &stream{stop: make(chan struct{})}
	err := netplumb.Do(to, func() (err error) {
		s.rx, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 0)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("routes: stream: %w", err)
	}
	if err := enlarge(s.rx); err != nil {
		return nil, errors.Join(err, s.rx.Close())
	}
	err = netplumb.Do(from, func() (err error) {
		s.tx, err = net.DialUDP("udp4", nil, s.rx.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("routes: stream: %w", err), s.rx.Close())
	}
	s.taking.Go(s.receive)
	s.sending.Go(s.send)
	return s, nil
}

// enlarge gives a socket a buffer that a busy machine does not fill: what is to be
// seen is the engine's loss.
func enlarge(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("routes: stream: %w", err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, streamBuffer)
	})
	if err = errors.Join(err, serr); err != nil {
		return fmt.Errorf("routes: stream: SO_RCVBUFFORCE: %w", err)
	}
	return nil
}

func (s *stream) send() {
	start := time.Now()
	for ; ; s.sent++ {
		due := start.Add(time.Duration(s.sent) * time.Second / streamRate)
		select {
		case <-s.stop:
			return
		case <-time.After(time.Until(due)):
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(s.sent))
		_, _ = s.tx.Write(b[:]) // what the kernel refuses counts as lost
	}
}

func (s *stream) receive() {
	var b [64]byte
	for {
		n, err := s.rx.Read(b[:])
		now := time.Now()
		s.mu.Lock()
		switch {
		case errors.Is(err, net.ErrClosed):
			s.mu.Unlock()
			return
		case err != nil:
			s.err = err
			s.mu.Unlock()
			return
		case n == 4:
			s.tally.add(binary.BigEndian.Uint32(b[:]), now)
		}
		s.mu.Unlock()
	}
}

// received returns how many different datagrams have come.
func (s *stream) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tally.received
}

// end ends the stream, waits for what is on its way and returns the account.
func (s *stream) end() (Stream, error) {
	close(s.stop)
	s.sending.Wait()
	for end := time.Now().Add(streamDrain); s.received() < s.sent && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	err := errors.Join(s.tx.Close(), s.rx.Close())
	s.taking.Wait()
	if err = errors.Join(err, s.err); err != nil {
		return Stream{}, fmt.Errorf("routes: stream: %w", err)
	}
	t := s.tally
	return Stream{Sent: s.sent, Lost: s.sent - t.received, Duplicates: t.duplicates, Gap: t.gap.Seconds()}, nil
}

package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is the result of a stream of numbered UDP datagrams.
type Stream struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Rate     int    `json:"rate_hz"`
	Sent     int    `json:"sent"`
	Received int    `json:"received"`
	Lost     int    `json:"lost"`
	// Datagrams that came more than once, and behind a later one.
	Duplicates int `json:"duplicates"`
	Reordered  int `json:"reordered"`
	// The longest time between two datagrams that arrived, milliseconds.
	Gap float64 `json:"longest_gap_ms"`
	// Datagrams lost in a row at most, as time at the stream's rate.
	Window float64 `json:"loss_window_ms"`
}

// numbered is a running stream of numbered UDP datagrams between two hosts.
type numbered struct {
	rx, tx *net.UDPConn
	rate   int
	from   string
	to     string
	dst    netip.AddrPort
	marker Marker
	size   int

	stopTx chan struct{}
	txDone chan struct{}
	rxDone chan struct{}

	mu   sync.Mutex
	sent int
	got  map[uint32]int // arrivals by number
	last time.Time
	gap  time.Duration
	high uint32
	late int
	err  error
}

const (
	streamHeader = 4               // the number, big endian
	streamDrain  = 1 * time.Second // until the last datagram is taken for lost
)

// stream starts a stream of numbered datagrams of size bytes from one host to
// another, rate of them a second. sport tells flows apart; 0 lets the kernel
// choose. End it with stop.
func (b *Bench) stream(from, to string, rate, size int, sport uint16) (*numbered, error) {
	dst, err := b.hostNode(to)
	if err != nil {
		return nil, err
	}
	s := &numbered{
		rate: rate, from: from, to: to, size: max(size, streamHeader), marker: MarkerOf(dst.Host.Tenant),
		stopTx: make(chan struct{}), txDone: make(chan struct{}), rxDone: make(chan struct{}),
		got: map[uint32]int{},
	}
	err = b.in(to, func() (err error) {
		s.rx, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr(dst, false), 0)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check: stream to %s: %w", to, err)
	}
	if err := enlarge(s.rx); err != nil {
		s.rx.Close()
		return nil, fmt.Errorf("check: stream to %s: %w", to, err)
	}
	s.dst = s.rx.LocalAddr().(*net.UDPAddr).AddrPort()
	err = b.in(from, func() (err error) {
		s.tx, err = net.DialUDP("udp4", &net.UDPAddr{Port: int(sport)}, net.UDPAddrFromAddrPort(s.dst))
		return err
	})
	if err != nil {
		s.rx.Close()
		return nil, fmt.Errorf("check: stream from %s: %w", from, err)
	}
	go s.receive()
	go s.send()
	return s, nil
}

// enlarge gives a socket a buffer that a busy machine does not fill, whatever the
// system's limit is: what is to be seen is the fabric's loss.
func enlarge(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = os.NewSyscallError("SO_RCVBUFFORCE", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20))
	})
	return errors.Join(err, serr)
}

func (s *numbered) send() {
	defer close(s.txDone)
	buf := make([]byte, s.size)
	s.marker.fill(buf)
	start := time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(s.rate))
		select {
		case <-s.stopTx:
			return
		case <-time.After(time.Until(due)):
		}
		binary.BigEndian.PutUint32(buf, uint32(n))
		// What the kernel refuses, as while a link is down, counts as lost.
		_, _ = s.tx.Write(buf)
		s.mu.Lock()
		s.sent = n + 1
		s.mu.Unlock()
	}
}

func (s *numbered) receive() {
	defer close(s.rxDone)
	buf := make([]byte, 1<<16)
	for {
		n, err := s.rx.Read(buf)
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.fail(err)
			}
			return
		}
		if n < streamHeader {
			continue
		}
		s.arrived(binary.BigEndian.Uint32(buf), time.Now())
	}
}

func (s *numbered) arrived(n uint32, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.got[n]++; len(s.got) > 1 {
		s.gap = max(s.gap, now.Sub(s.last))
		if n < s.high {
			s.late++
		}
	}
	s.high = max(s.high, n)
	s.last = now
}

func (s *numbered) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// received returns how many different datagrams arrived up to now.
func (s *numbered) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// flowing waits until n more datagrams have arrived.
func (s *numbered) flowing(ctx context.Context, n int, most time.Duration) error {
	want := s.received() + n
	return eventually(ctx, most, func() error {
		if got := s.received(); got < want {
			return fmt.Errorf("stream from %s to %s: %d datagrams in %v, want %d more", s.from, s.to, got, most, want-got)
		}
		return nil
	})
}

// stop ends the stream, waits for what is on its way and returns the account.
func (s *numbered) stop() (Stream, error) {
	close(s.stopTx)
	<-s.txDone
	deadline := time.Now().Add(streamDrain)
	for time.Now().Before(deadline) {
		s.mu.Lock()
		all := len(s.got) == s.sent
		s.mu.Unlock()
		if all {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.tx.Close()
	s.rx.Close()
	<-s.rxDone
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Stream{
		From: s.from, To: s.to, Rate: s.rate, Sent: s.sent, Received: len(s.got),
		Lost: s.sent - len(s.got), Reordered: s.late, Gap: s.gap.Seconds() * 1e3,
	}
	run := 0
	for n := range s.sent {
		switch s.got[uint32(n)] {
		case 0:
			run++
			r.Window = max(r.Window, float64(run)*1e3/float64(s.rate))
		case 1:
			run = 0
		default:
			run = 0
			r.Duplicates++
		}
	}
	return r, s.err
}

// lossless fails unless every datagram arrived exactly once.
func (r Stream) lossless() error {
	if r.Lost != 0 || r.Duplicates != 0 || r.Sent == 0 {
		return fmt.Errorf("stream from %s to %s: %d of %d datagrams lost, %d twice, loss window %.0f ms; want none",
			r.From, r.To, r.Lost, r.Sent, r.Duplicates, r.Window)
	}
	return nil
}

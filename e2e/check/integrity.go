package check

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab"
)

// Integrity is the result of Bench.Integrity.
type Integrity struct {
	TCPBytes  int    `json:"tcp_bytes"` // moved in each direction, over IPv4 and IPv6
	Datagrams int    `json:"datagrams"`
	Lost      int    `json:"datagrams_lost"` // by full sockets of the hosts
	Seed      uint64 `json:"seed"`
}

// Integrity moves random bytes between the first two hosts of every tenant and
// compares them, because checksums that devices fill in hide damage done before:
// by TCP in both directions at once, and by UDP datagrams of all sizes, some of
// them in bursts that the kernel sends as one super-frame, some larger than the
// MTU.
func (b *Bench) Integrity(ctx context.Context, tcpBytes int) (Integrity, error) {
	r := Integrity{TCPBytes: tcpBytes, Seed: rand.Uint64()}
	for _, t := range b.Topo.Tenants {
		h := b.Topo.Hosts(t.Name)
		if len(h) < 2 {
			continue
		}
		for _, v6 := range []bool{false, true} {
			if !addr(h[0], v6).IsValid() || !addr(h[1], v6).IsValid() {
				continue
			}
			err := bounded(2, []func() error{
				func() error { return b.exchange(h[0], h[1], v6, tcpBytes, r.Seed) },
				func() error { return b.exchange(h[1], h[0], v6, tcpBytes, r.Seed+1) },
			})
			if err != nil {
				return r, fmt.Errorf("seed %d: %w", r.Seed, err)
			}
			sent, lost, err := b.datagrams(ctx, h[0], h[1], v6, r.Seed)
			r.Datagrams += sent
			r.Lost += lost
			if err != nil {
				return r, fmt.Errorf("seed %d: %w", r.Seed, err)
			}
		}
	}
	return r, nil
}

// chacha returns reproducible random bytes.
func chacha(seed uint64) *rand.ChaCha8 {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	return rand.NewChaCha8(s)
}

// exchange moves n random bytes from one host to another by TCP.
func (b *Bench) exchange(from, to *lab.Node, v6 bool, n int, seed uint64) error {
	data := make([]byte, n)
	chacha(seed).Read(data) //nolint:errcheck // never fails
	var l *net.TCPListener
	err := b.in(to.Name, func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr(to, v6), 0)))
		return err
	})
	if err != nil {
		return err
	}
	defer l.Close()
	var c net.Conn
	err = b.in(from.Name, func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	deadline := time.Now().Add(30 * time.Second)
	c.SetDeadline(deadline)
	go func() {
		// Odd sizes, so that segments end anywhere.
		rng := rand.New(rand.NewPCG(seed, 1))
		for rest := data; len(rest) > 0; {
			k := min(len(rest), 1+rng.IntN(100_000))
			if _, err := c.Write(rest[:k]); err != nil {
				return // the receiver sees it
			}
			rest = rest[k:]
		}
		c.(*net.TCPConn).CloseWrite()
	}()
	l.SetDeadline(deadline)
	s, err := l.Accept()
	if err != nil {
		return err
	}
	defer s.Close()
	s.SetDeadline(deadline)
	hash := sha256.New()
	got, err := io.Copy(hash, s)
	if err != nil {
		return err
	}
	if want := sha256.Sum256(data); got != int64(n) || !bytes.Equal(hash.Sum(nil), want[:]) {
		return fmt.Errorf("TCP from %s to %s: %d bytes arrived, not those %d that were sent", from.Name, to.Name, got, n)
	}
	return nil
}

// datagrams sends UDP datagrams of random sizes and content and compares what
// arrives. It is paced, so that few are lost where a host's socket is full; what
// arrives must be right.
func (b *Bench) datagrams(ctx context.Context, from, to *lab.Node, v6 bool, seed uint64) (sent, lost int, err error) {
	var rx, tx *net.UDPConn
	err = b.in(to.Name, func() (err error) {
		rx, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr(to, v6), 0)))
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer rx.Close()
	if err := enlarge(rx); err != nil {
		return 0, 0, err
	}
	err = b.in(from.Name, func() (err error) {
		tx, err = net.DialUDP("udp", nil, rx.LocalAddr().(*net.UDPAddr))
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	defer tx.Close()
	in := newInbox(rx)
	rng := rand.New(rand.NewPCG(seed, 2))
	mtu := from.Host.MTU
	for range 60 {
		size, n := 12+rng.IntN(mtu-60), 1
		switch rng.IntN(4) {
		case 0: // a burst of equal ones, as one super-frame
			n = 1 + rng.IntN(30)
		case 1: // fragments
			size = mtu + rng.IntN(3*mtu)
		}
		if err := sendBurst(tx, in.batch(size, n, seed)); err != nil {
			return in.sent, 0, fmt.Errorf("UDP from %s to %s, %d times %d bytes: %w", from.Name, to.Name, n, size, err)
		}
		pause(ctx, 2*time.Millisecond)
	}
	missing := eventually(ctx, 2*time.Second, in.complete)
	rx.Close()
	<-in.done
	return in.sent, in.missing(), errors.Join(in.wrong, missing)
}

// inbox is what a UDP socket should get, and what it got.
type inbox struct {
	sent int
	done chan struct{}

	mu    sync.Mutex
	want  map[uint64][]byte // by number, until it has arrived
	wrong error
}

func newInbox(rx *net.UDPConn) *inbox {
	in := &inbox{done: make(chan struct{}), want: map[uint64][]byte{}}
	go func() {
		defer close(in.done)
		buf := make([]byte, 1<<16)
		for {
			n, err := rx.Read(buf)
			if err != nil {
				return // closed
			}
			in.arrived(buf[:n])
		}
	}()
	return in
}

// batch returns n datagrams of size bytes: a number, then random bytes.
func (in *inbox) batch(size, n int, seed uint64) (out [][]byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for range n {
		d := make([]byte, size)
		chacha(seed + uint64(in.sent)).Read(d) //nolint:errcheck // never fails
		binary.BigEndian.PutUint64(d, uint64(in.sent))
		in.want[uint64(in.sent)] = d
		in.sent++
		out = append(out, d)
	}
	return out
}

func (in *inbox) arrived(d []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var number uint64
	if len(d) >= 8 {
		number = binary.BigEndian.Uint64(d)
	}
	if want, ok := in.want[number]; !ok || !bytes.Equal(want, d) {
		if in.wrong == nil {
			in.wrong = fmt.Errorf("a UDP datagram of %d bytes that was not sent, or came twice; number %d, known %v, of %d bytes", len(d), number, ok, len(want))
		}
		return
	}
	delete(in.want, number)
}

func (in *inbox) missing() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.want)
}

func (in *inbox) complete() error {
	if n := in.missing(); n > 0 {
		return fmt.Errorf("%d of %d UDP datagrams did not arrive", n, in.sent)
	}
	return nil
}

// sendBurst sends datagrams of one size by one call, with UDP_SEGMENT when there
// are several.
func sendBurst(c *net.UDPConn, batch [][]byte) error {
	if len(batch) == 1 {
		_, err := c.Write(batch[0])
		return err
	}
	size := len(batch[0])
	// A super-frame has 65,507 bytes of UDP payload at most.
	for len(batch) > 0 {
		n := min(len(batch), 60_000/size)
		oob := make([]byte, unix.CmsgSpace(2))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		h.SetLen(unix.CmsgLen(2))
		binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
		_, _, err := c.WriteMsgUDP(bytes.Join(batch[:n], nil), oob, nil)
		if err != nil {
			return os.NewSyscallError("sendmsg", err)
		}
		batch = batch[n:]
	}
	return nil
}

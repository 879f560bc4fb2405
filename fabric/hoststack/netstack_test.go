package hoststack_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric/hoststack"
)

func newStack(t *testing.T, addr string) *hoststack.Netstack {
	t.Helper()
	s, err := hoststack.New([]netip.Addr{netip.MustParseAddr(addr)}, 1400)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// read returns the stack's next packet.
func read(t *testing.T, s *hoststack.Netstack) []byte {
	t.Helper()
	bufs, sizes := [][]byte{make([]byte, 2000)}, make([]int, 1)
	for range 20 {
		n, err := s.Read(bufs, sizes)
		if n == 1 {
			return bufs[0][:sizes[0]]
		}
		if !errors.Is(err, port.ErrTimeout) {
			t.Fatal(err)
		}
	}
	t.Fatal("the stack sent nothing")
	return nil
}

func TestAnswersPing(t *testing.T) {
	s := newStack(t, "10.255.0.1")
	p := make([]byte, 36)
	wire.IPv4(p).Put(&wire.IPv4Fields{TotalLen: 36, TTL: 64, Proto: wire.ProtoICMP, Src: 0x0aff0002, Dst: 0x0aff0001})
	p[20] = 8 // echo request
	copy(p[28:], "8 bytes.")
	sum := ^wire.Fold(wire.Sum(p[20:], 0))
	p[22], p[23] = byte(sum>>8), byte(sum)
	if !s.Deliver(p) {
		t.Fatal("the packet was not taken")
	}
	got := read(t, s)
	if len(got) != 36 || got[20] != 0 || string(got[28:]) != "8 bytes." || wire.IPv4(got).Dst() != 0x0aff0002 {
		t.Fatalf("answer %x, want an echo reply to the sender", got)
	}
}

// join lays a cable between two stacks; seen, unless it is nil, sees each packet, and
// may change it.
func join(a, b *hoststack.Netstack, seen func(packet []byte)) {
	cable := func(from, to *hoststack.Netstack) {
		bufs, sizes := [][]byte{make([]byte, 2000), make([]byte, 2000)}, make([]int, 2)
		for {
			n, err := from.Read(bufs, sizes)
			if errors.Is(err, port.ErrClosed) {
				return
			}
			for i := range n {
				if seen != nil {
					seen(bufs[i][:sizes[i]])
				}
				to.Deliver(bufs[i][:sizes[i]])
			}
		}
	}
	go cable(a, b)
	go cable(b, a)
}

// serve has b, 10.255.0.2, send back what it is sent.
func serve(t *testing.T, b *hoststack.Netstack) {
	t.Helper()
	l, err := b.ListenTCP(netip.MustParseAddrPort("10.255.0.2:179"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c) //nolint:errcheck // the other end judges
				c.Close()
			}()
		}
	}()
}

// echo has b send back 50 kB, within a time.
func echo(a *hoststack.Netstack, most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	c, err := a.DialTCP(ctx, netip.MustParseAddrPort("10.255.0.2:179"))
	if err != nil {
		return err
	}
	defer c.Close()
	want := make([]byte, 50000)
	for i := range want {
		want[i] = byte(i * 7)
	}
	go c.Write(want) //nolint:errcheck // the reader judges
	got := make([]byte, len(want))
	c.SetReadDeadline(time.Now().Add(most)) //nolint:errcheck // set on a fresh connection
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != string(want) {
		return errors.New("another text comes back")
	}
	return nil
}

// Two stacks joined by a cable: what BGP will run over.
func TestTCPBetweenNodes(t *testing.T) {
	a, b := newStack(t, "10.255.0.1"), newStack(t, "10.255.0.2")
	join(a, b, nil)
	serve(t, b)
	if err := echo(a, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestFullQueueRefuses(t *testing.T) {
	s := newStack(t, "10.255.0.1")
	s.Close()
	p := make([]byte, 20)
	for range 100000 {
		if !s.Deliver(p) {
			return
		}
	}
	t.Fatal("a stack that takes nothing took everything")
}

func TestCloseEndsRead(t *testing.T) {
	s := newStack(t, "10.255.0.1")
	s.Close()
	s.Close()
	if _, err := s.Read([][]byte{make([]byte, 100)}, make([]int, 1)); !errors.Is(err, port.ErrClosed) {
		t.Fatalf("Read after Close: %v, want ErrClosed", err)
	}
}

// TestWaitingDoesNotAllocate: a worker waits for the stack's packets all day.
func TestWaitingDoesNotAllocate(t *testing.T) {
	s := newStack(t, "10.0.0.1")
	bufs, sizes := [][]byte{make([]byte, 2000)}, make([]int, 1)
	got := testing.AllocsPerRun(2, func() {
		if _, err := s.Read(bufs, sizes); !errors.Is(err, port.ErrTimeout) {
			t.Errorf("Read: %v", err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations while nothing came", got)
	}
}

// TestCloseWakesRead: whoever waits is told at once.
func TestCloseWakesRead(t *testing.T) {
	s := newStack(t, "10.0.0.1")
	got := make(chan error)
	go func() {
		for {
			_, err := s.Read([][]byte{make([]byte, 2000)}, make([]int, 1))
			if !errors.Is(err, port.ErrTimeout) {
				got <- err
				return
			}
		}
	}()
	s.Close()
	if err := <-got; !errors.Is(err, port.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

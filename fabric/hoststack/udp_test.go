package hoststack_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/fabric/hoststack"
)

// TestUDP: datagrams between two nodes, of both families, with the TTL that they
// came with.
func TestUDP(t *testing.T) {
	for _, tt := range []struct{ a, b string }{{"10.255.0.1", "10.255.0.2"}, {"fd00::1", "fd00::2"}} {
		a, b := newStack(t, tt.a), newStack(t, tt.b)
		go func() {
			bufs, sizes := [][]byte{make([]byte, 2000)}, make([]int, 1)
			for {
				n, err := a.Read(bufs, sizes)
				if errors.Is(err, port.ErrClosed) {
					return
				}
				if n == 1 {
					b.Deliver(bufs[0][:sizes[0]])
				}
			}
		}()
		open := func(s *hoststack.Netstack, at string, port uint16) *hoststack.UDP {
			t.Helper()
			u, err := s.OpenUDP(netip.AddrPortFrom(netip.MustParseAddr(at), port))
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		tx, rx := open(a, tt.a, 50000), open(b, tt.b, 3784)
		if _, err := b.OpenUDP(netip.AddrPortFrom(netip.MustParseAddr(tt.b), 3784)); err == nil {
			t.Error("one port was given twice")
		}
		buf := make([]byte, 10)
		if _, _, _, ok := rx.Recv(buf); ok {
			t.Error("a packet before one was sent")
		}
		for _, text := range []string{"one", "longer than the room for it"} {
			if err := tx.Send(netip.AddrPortFrom(netip.MustParseAddr(tt.b), 3784), []byte(text)); err != nil {
				t.Fatal(err)
			}
			n, from, ttl, ok := await(t, rx, buf)
			if want := text[:min(len(text), 10)]; !ok || string(buf[:n]) != want || ttl != 255 || from.String() != netip.AddrPortFrom(netip.MustParseAddr(tt.a), 50000).String() {
				t.Errorf("%q from %v with TTL %d (%v), want %q", buf[:n], from, ttl, ok, want)
			}
		}
		done := make(chan error)
		go func() {
			for {
				if err := rx.Ready(); err != nil {
					done <- err
					return
				}
			}
		}()
		rx.Close()
		select {
		case err := <-done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Ready of a closed socket: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Close did not end Ready")
		}
		rx.Close()
		tx.Close()
	}
}

// await waits for a packet. Ready may say so once for one that is gone already.
func await(t *testing.T, u *hoststack.UDP, b []byte) (n int, from netip.AddrPort, ttl uint8, ok bool) {
	t.Helper()
	for !ok {
		if err := u.Ready(); err != nil {
			t.Fatal(err)
		}
		n, from, ttl, ok = u.Recv(b)
	}
	return n, from, ttl, ok
}

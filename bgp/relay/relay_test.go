package relay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/fabric/hoststack"
)

// limit bounds every wait, for a loaded machine.
const limit = 30 * time.Second

var (
	key = secret.New([]byte("a key of the test"))
	own = netip.MustParseAddr("10.255.0.5") // BGP identifier of the node
)

// gobgp plays GoBGP: it listens where the relay expects it, with the relay's key
// for one peer.
func gobgp(t *testing.T) relay.Listener {
	t.Helper()
	l, err := relay.Kernel{}.Listen(netip.AddrPortFrom(relay.GoBGP, 0), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// stacks are two nodes' stacks joined by a cable, as a tunnel joins them.
func stacks(t *testing.T) (a, b *hoststack.Netstack) {
	t.Helper()
	open := func(addr string) *hoststack.Netstack {
		s, err := hoststack.New([]netip.Addr{netip.MustParseAddr(addr)}, 1400)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	a, b = open("10.255.0.1"), open("10.255.0.2")
	cable := func(from, to *hoststack.Netstack) {
		bufs, sizes := [][]byte{make([]byte, 2000)}, make([]int, 1)
		for {
			n, err := from.Read(bufs, sizes)
			if errors.Is(err, port.ErrClosed) {
				return
			}
			for i := range n {
				to.Deliver(bufs[i][:sizes[i]])
			}
		}
	}
	go cable(a, b)
	go cable(b, a)
	return a, b
}

// message is a BGP message with a body of n bytes of c.
func message(typ byte, c byte, n int) []byte {
	m := bytes.Repeat([]byte{0xff}, 16)
	m = append(m, byte((19+n)>>8), byte(19+n), typ)
	return append(m, bytes.Repeat([]byte{c}, n)...)
}

func read(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %.60x (%v), want %.60x", got, err, want)
	}
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	type result struct {
		c   net.Conn
		err error
	}
	got := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		got <- result{c, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			t.Fatal(r.err)
		}
		t.Cleanup(func() { r.c.Close() })
		return r.c
	case <-time.After(limit):
		t.Fatal("nobody connects")
		return nil
	}
}

// TestOverTheEnginesStack: sessions run in a stack that the kernel does not know,
// both ways, and messages pass whole.
func TestOverTheEnginesStack(t *testing.T) {
	a, b := stacks(t)
	server := gobgp(t)
	r := relay.New(relay.Stack{IPStack: a}, portOf(server), own, key)
	defer r.Close(true)
	if err := r.Listen(netip.MustParseAddrPort("10.255.0.1:179"), ""); err != nil {
		t.Fatal(err)
	}
	p, err := r.Add(relay.PeerConfig{Addr: netip.MustParseAddrPort("10.255.0.2:179")})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Protect(p.Loop().Addr(), key); err != nil {
		t.Fatal(err)
	}

	// GoBGP dials the peer.
	far, err := b.ListenTCP(netip.MustParseAddrPort("10.255.0.2:179"))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	near, err := relay.Kernel{}.Dial(ctx, relay.GoBGP, p.Loop(), relay.Guard{Password: key})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	peer := accept(t, far)
	open, big := message(1, 1, 10), message(2, 7, 60000)
	for _, m := range [][]byte{open, message(4, 0, 0), big} {
		if _, err := near.Write(m); err != nil {
			t.Fatal(err)
		}
		read(t, peer, m)
		if _, err := peer.Write(m); err != nil {
			t.Fatal(err)
		}
		read(t, near, m)
	}
	if local, remote, ok := p.Session(); !ok || local.Addr() != netip.MustParseAddr("10.255.0.1") || remote != netip.MustParseAddrPort("10.255.0.2:179") {
		t.Errorf("session %v to %v, %v", local, remote, ok)
	}
	// What is no message passes too, for the peer to answer.
	if _, err := near.Write([]byte("GET / HTTP/1.0\r\n\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	read(t, peer, []byte("GET / HTTP/1.0\r\n\r\n\r\n"))
	// One end takes the other along.
	peer.Close()
	if err := near.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("read after the peer's end: %v", err)
	}

	// The peer dials; GoBGP is not ready and closes the first time.
	go func() {
		if c, err := server.Accept(); err == nil {
			c.Close()
		}
	}()
	in, err := b.DialTCP(ctx, netip.MustParseAddrPort("10.255.0.1:179"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write(open); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // the one above accepts first, mostly
	g := accept(t, server)
	if _, err := g.Write(open); err != nil {
		t.Fatal(err)
	}
	read(t, in, open)
	read(t, g, open)
	if got := g.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); got != p.Loop().Addr() {
		t.Errorf("GoBGP sees %v, want %v", got, p.Loop().Addr())
	}
	// A cut with a reason reaches both.
	p.Cut(9)
	read(t, in, append(message(3, 6, 1)[:17], 21, 3, 6, 9))
	if st := p.Stats(); st.Dials != 1 || st.Accepted != 1 || st.LastError != "" {
		t.Errorf("%+v", st)
	}
}

// TestLoopbackIsClosed: other processes reach neither GoBGP in a peer's name nor
// a peer in GoBGP's.
func TestLoopbackIsClosed(t *testing.T) {
	server := gobgp(t)
	r := relay.New(relay.Kernel{}, portOf(server), own, key)
	defer r.Close(true)
	p, err := r.Add(relay.PeerConfig{Addr: netip.MustParseAddrPort("127.0.5.2:1179"), Passive: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Protect(p.Loop().Addr(), key); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		from netip.Addr
		to   netip.AddrPort
		g    relay.Guard
	}{
		{"as the peer, without the key", p.Loop().Addr(), netip.AddrPortFrom(relay.GoBGP, portOf(server)), relay.Guard{}},
		{"as the peer, with another key", p.Loop().Addr(), netip.AddrPortFrom(relay.GoBGP, portOf(server)), relay.Guard{Password: secret.New([]byte("x"))}},
		{"as GoBGP, without the key", relay.GoBGP, p.Loop(), relay.Guard{}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		c, err := relay.Kernel{}.Dial(ctx, tt.from, tt.to, tt.g)
		cancel()
		if err == nil {
			c.Close()
			t.Errorf("%s: connected", tt.name)
		}
	}
}

func TestStrangers(t *testing.T) {
	server := gobgp(t)
	r := relay.New(relay.Kernel{}, portOf(server), own, key)
	defer r.Close(true)
	free, err := net.Listen("tcp4", "127.0.5.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().(*net.TCPAddr).AddrPort()
	free.Close()
	if err := r.Listen(at, ""); err != nil {
		t.Fatal(err)
	}
	c, err := relay.Kernel{}.Dial(t.Context(), netip.MustParseAddr("127.0.5.9"), at, relay.Guard{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger is spoken to")
	}
	if n := r.Strangers(); n != 1 {
		t.Errorf("%d strangers, want 1", n)
	}
}

func TestRefusals(t *testing.T) {
	a, _ := stacks(t)
	s := relay.Stack{IPStack: a}
	to := netip.MustParseAddrPort("10.255.0.2:179")
	for name, err := range map[string]error{
		"device of the stack":    second(s.Listen(netip.MustParseAddrPort("10.255.0.1:179"), "eth0")),
		"password of the stack":  second(s.Dial(t.Context(), netip.Addr{}, to, relay.Guard{Password: key})),
		"hops of the stack":      second(s.Dial(t.Context(), netip.Addr{}, to, relay.Guard{Hops: 1})),
		"device of a connection": s.Guard(nil, relay.Guard{Device: "eth0"}),
	} {
		if !errors.Is(err, relay.ErrNotSupported) {
			t.Errorf("%s: %v, want ErrNotSupported", name, err)
		}
	}
	l, err := s.Listen(netip.MustParseAddrPort("10.255.0.1:179"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Protect(to.Addr(), key); !errors.Is(err, relay.ErrNotSupported) {
		t.Errorf("password of a listener: %v", err)
	}
	r := relay.New(relay.Kernel{}, 1, own, key)
	defer r.Close(true)
	p := relay.PeerConfig{Addr: netip.MustParseAddrPort("127.0.5.2:179")}
	first, err := r.Add(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Add(p); err == nil {
		t.Error("an address twice")
	}
	// A peer that comes again has another loopback address: GoBGP may yet speak of the
	// one before.
	r.Remove(first)
	again, err := r.Add(p)
	if err != nil || again.Loop().Addr() == first.Loop().Addr() {
		t.Errorf("%v (%v), want another address than %v", again, err, first.Loop().Addr())
	}
}

func second[T any](_ T, err error) error { return err }

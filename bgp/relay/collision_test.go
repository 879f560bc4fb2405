package relay_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp/relay"
)

// crossing is a relay with one peer, whose own listener and whose place it is.
type crossing struct {
	server relay.Listener // GoBGP's
	peer   *relay.Peer
	far    net.Listener // the peer's
	at     netip.AddrPort
}

func newCrossing(t *testing.T) *crossing {
	t.Helper()
	server := gobgp(t)
	r := relay.New(relay.Kernel{}, portOf(server), own, key)
	t.Cleanup(func() { r.Close(true) })
	far, err := net.Listen("tcp4", "127.0.6.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	free, err := net.Listen("tcp4", "127.0.6.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &crossing{server: server, far: far, at: free.Addr().(*net.TCPAddr).AddrPort()}
	free.Close()
	if err := r.Listen(x.at, ""); err != nil {
		t.Fatal(err)
	}
	to := far.Addr().(*net.TCPAddr).AddrPort()
	if x.peer, err = r.Add(relay.PeerConfig{Addr: to, Local: x.at.Addr()}); err != nil {
		t.Fatal(err)
	}
	if err := server.Protect(x.peer.Loop().Addr(), key); err != nil {
		t.Fatal(err)
	}
	return x
}

// ours has GoBGP dial the peer, and returns both ends, joined: near is GoBGP's.
func (x *crossing) ours(t *testing.T) (near, far net.Conn) {
	t.Helper()
	near, err := relay.Kernel{}.Dial(t.Context(), relay.GoBGP, x.peer.Loop(), relay.Guard{Password: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	far = accept(t, x.far)
	m := openOf("10.255.0.5")
	if _, err := near.Write(m); err != nil {
		t.Fatal(err)
	}
	read(t, far, m)
	return near, far
}

// theirs has the peer dial the relay.
func (x *crossing) theirs(t *testing.T) net.Conn {
	t.Helper()
	c, err := relay.Kernel{}.Dial(t.Context(), netip.MustParseAddr("127.0.6.2"), x.at, relay.Guard{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// openOf is an OPEN message with a BGP identifier.
func openOf(id string) []byte {
	m := message(1, 0, 10)
	four := netip.MustParseAddr(id).As4()
	copy(m[24:], four[:])
	return m
}

// ends wants c to end, with nothing to read before.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if n, err := c.Read(b[:]); n > 0 || err == nil || !errors.Is(err, io.EOF) && !isReset(err) {
		t.Errorf("read %x (%v), want the end", b[:n], err)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

// TestCollision: of two connections that cross, the one stays that the side with the
// greater BGP identifier opened, and GoBGP sees no other.
func TestCollision(t *testing.T) {
	for _, tt := range []struct {
		name, id string
		theirs   bool
	}{
		{"the peer's is greater", "10.255.0.6", true},
		{"the peer's is less", "10.255.0.4", false},
		{"the same, and the peer's address is greater", "10.255.0.5", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newCrossing(t)
			near, far := x.ours(t)
			in, m := x.theirs(t), openOf(tt.id)
			if _, err := in.Write(m); err != nil {
				t.Fatal(err)
			}
			if !tt.theirs {
				read(t, in, append(message(3, 0, 2)[:19], 6, 7))
				ends(t, in)
				if _, err := far.Write(m); err != nil {
					t.Fatal(err)
				}
				read(t, near, m)
				return
			}
			ends(t, near)
			ends(t, far)
			g := accept(t, x.server)
			if _, err := g.Write(openOf("10.255.0.5")); err != nil {
				t.Fatal(err)
			}
			read(t, g, m)
			read(t, in, openOf("10.255.0.5"))
		})
	}
}

// TestCollisionSettled: a session that is established keeps its connection, whoever
// comes, and one that comes and says nothing takes nobody's place.
func TestCollisionSettled(t *testing.T) {
	x := newCrossing(t)
	near, far := x.ours(t)
	silent := x.theirs(t)
	silent.Close()
	alive := message(4, 0, 0)
	for _, c := range [][2]net.Conn{{near, far}, {far, near}} {
		if _, err := c[0].Write(alive); err != nil {
			t.Fatal(err)
		}
		read(t, c[1], alive)
	}
	in := x.theirs(t)
	if _, err := in.Write(openOf("10.255.0.9")); err != nil {
		t.Fatal(err)
	}
	ends(t, in)
	if _, err := near.Write(alive); err != nil {
		t.Fatal(err)
	}
	read(t, far, alive)
}

// TestNewestComes: a peer that connects again while GoBGP has not taken its first
// connection means the second.
func TestNewestComes(t *testing.T) {
	x := newCrossing(t)
	first := x.theirs(t)
	early := accept(t, x.server) // GoBGP is not ready
	second := x.theirs(t)
	ends(t, first)
	early.Close()
	g := accept(t, x.server)
	m := openOf("10.255.0.5")
	if _, err := g.Write(m); err != nil {
		t.Fatal(err)
	}
	read(t, second, m)
}

// TestComesBackAtOnce: a peer whose connection has ended may connect in the same
// moment; GoBGP knowing of the end is enough.
func TestComesBackAtOnce(t *testing.T) {
	x := newCrossing(t)
	m := openOf("10.255.0.5")
	for range 200 {
		c := x.theirs(t)
		g := accept(t, x.server)
		if _, err := g.Write(m); err != nil {
			t.Fatal(err)
		}
		read(t, c, m)
		for _, w := range []net.Conn{c, g} {
			if _, err := w.Write(message(4, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		read(t, g, message(4, 0, 0))
		ends(t, g)
	}
}

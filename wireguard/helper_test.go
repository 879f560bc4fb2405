package wireguard_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

const second = int64(time.Second)

var (
	addrA = netip.MustParseAddrPort("192.0.2.1:51820")
	addrB = netip.MustParseAddrPort("[2001:db8::2]:51820")
	addrC = netip.MustParseAddrPort("198.51.100.3:40000")
)

func newKey(t testing.TB) secret.Key32 {
	t.Helper()
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return secret.New32(&b)
}

// end is one node of a test, with one peer.
type end struct {
	*wireguard.Node
	key  secret.Key32
	peer *wireguard.Peer
	cfg  wireguard.PeerConfig
	addr netip.AddrPort
}

// wall is a wall clock that follows the test's now.
type world struct {
	now int64
	a   *end
	b   *end
}

func (w *world) wall() time.Time { return time.Unix(1_700_000_000, w.now) }

func newEnd(t testing.TB, w *world, addr netip.AddrPort, mod func(*wireguard.Config)) *end {
	t.Helper()
	e := &end{key: newKey(t), addr: addr}
	c := wireguard.Config{Private: e.key, Wall: w.wall}
	if mod != nil {
		mod(&c)
	}
	n, err := wireguard.NewNode(c)
	if err != nil {
		t.Fatal(err)
	}
	e.Node = n
	return e
}

// newWorld returns two nodes that know each other at addrA and addrB, time 1 s.
// The configurations can be changed by modA and modB first.
func newWorld(t testing.TB, mod func(*wireguard.Config), modA, modB func(*wireguard.PeerConfig)) *world {
	t.Helper()
	w := &world{now: second}
	w.a, w.b = newEnd(t, w, addrA, mod), newEnd(t, w, addrB, mod)
	for _, x := range []struct {
		e, o *end
		mod  func(*wireguard.PeerConfig)
	}{{w.a, w.b, modA}, {w.b, w.a, modB}} {
		x.e.cfg = wireguard.PeerConfig{
			PublicKey: x.o.PublicKey(), Endpoint: x.o.addr,
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		}
		if x.mod != nil {
			x.mod(&x.e.cfg)
		}
		p, err := x.e.AddPeer(w.now, x.e.cfg)
		if err != nil {
			t.Fatal(err)
		}
		x.e.peer = p
	}
	return w
}

func (w *world) other(e *end) *end {
	if e == w.a {
		return w.b
	}
	return w.a
}

// deliver hands each message of from to the other end, and what that answers
// back, until nothing is left.
func (w *world) deliver(t testing.TB, from *end, outs []wireguard.Out) {
	t.Helper()
	for len(outs) > 0 {
		to := w.other(from)
		var back []wireguard.Out
		for _, o := range outs {
			if o.To.Addr != to.addr {
				t.Fatalf("message to %v, want %v", o.To.Addr, to.addr)
			}
			back = append(back, w.receive(t, to, from.addr, o.Msg)...)
		}
		from, outs = to, back
	}
}

// receive does what a worker and control do with one datagram. Packets that do
// not open fail the test.
func (w *world) receive(t testing.TB, e *end, src netip.AddrPort, msg []byte) []wireguard.Out {
	t.Helper()
	if noise.Classify(msg) != noise.TypeData {
		return e.HandleMessage(w.now, src, msg)
	}
	if _, r := w.open(e, src, msg); r != counter.None {
		t.Fatalf("at %v: data message dropped: %v", time.Duration(w.now), r)
	}
	return nil
}

// open opens one data message as a worker does.
func (w *world) open(e *end, src netip.AddrPort, msg []byte) ([]byte, counter.Reason) {
	s := e.Sessions().Lookup(noise.Data(msg).Receiver())
	if s == nil {
		return nil, counter.WGUnknownIndex
	}
	n := len(msg)
	plain, r := s.Open(msg, w.now)
	if r == counter.None {
		s.Peer().Received(w.now, s, src, 1, uint64(n), len(plain) > 0)
	}
	return plain, r
}

// tick runs both ends' timers and delivers what they send.
func (w *world) tick(t testing.TB) {
	t.Helper()
	w.deliver(t, w.a, w.a.Tick(w.now))
	w.deliver(t, w.b, w.b.Tick(w.now))
}

// advance goes on to now+d, stopping at every deadline of either end.
func (w *world) advance(t testing.TB, d time.Duration) {
	t.Helper()
	end := w.now + int64(d)
	for range 100000 {
		next := min(w.a.NextDeadline(w.now), w.b.NextDeadline(w.now), end)
		if next < w.now {
			t.Fatal("deadline in the past")
		}
		w.now = next
		w.tick(t)
		if w.now == end {
			return
		}
	}
	t.Fatalf("at %v: more than 100000 deadlines: a timer does not stop", time.Duration(w.now))
}

// seal makes a data message of a packet at e; nil with the reason when that is
// not possible.
func (w *world) seal(e *end, packet []byte) ([]byte, counter.Reason) {
	s, first, r := e.peer.Reserve(w.now, 1)
	if r != counter.None {
		return nil, r
	}
	slot := make([]byte, wireguard.SealedLen(len(packet), 0))
	copy(slot[wireguard.HeaderSize:], packet)
	n := s.Seal(slot, first, len(packet), 0)
	e.peer.Sent(w.now, s, 1, uint64(n), len(packet) > 0)
	return slot[:n], counter.None
}

// send carries one packet across and compares it.
func (w *world) send(t testing.TB, from *end, packet []byte) {
	t.Helper()
	msg, r := w.seal(from, packet)
	if r != counter.None {
		t.Fatalf("at %v: can't seal: %v", time.Duration(w.now), r)
	}
	plain, r := w.open(w.other(from), from.addr, msg)
	if r != counter.None {
		t.Fatalf("at %v: can't open: %v", time.Duration(w.now), r)
	}
	got, r := wireguard.Inner(plain)
	if r != counter.None || !bytes.Equal(got, packet) {
		t.Fatalf("got %x (%v), want %x", got, r, packet)
	}
}

// connect makes from initiate and the handshake succeed.
func (w *world) connect(t testing.TB, from *end) {
	t.Helper()
	if err := from.Rekey(w.other(from).PublicKey()); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	if !from.peer.Usable(w.now) || !w.other(from).peer.Usable(w.now) {
		t.Fatal("no session after a handshake")
	}
	w.tick(t) // the responder takes note
}

// ipv4 returns an IPv4 packet of n bytes, 20 at least, whose payload counts up.
func ipv4(n int, src netip.Addr) []byte {
	b := make([]byte, n)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	copy(b[12:16], src.AsSlice())
	for i := 20; i < n; i++ {
		b[i] = byte(i)
	}
	return b
}

var inner4 = netip.MustParseAddr("10.0.0.1")

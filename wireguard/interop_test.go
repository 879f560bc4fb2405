package wireguard_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/wireguard"
	"github.com/ztos/ztos/wireguard/noise"
)

// TestInterop: handshakes in both roles over real sockets, IPv4 and IPv6, with
// and without preshared key, and packets of many sizes both ways.
func TestInterop(t *testing.T) {
	for _, udp := range []string{"127.0.0.1", "::1"} {
		for _, psk := range []bool{false, true} {
			for _, weStart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s psk=%v initiator=%v", udp, psk, weStart), func(t *testing.T) {
					l := newLab(t, labConfig{udp: udp, psk: psk, weStart: weStart})
					if weStart {
						l.send(packet(innerOurs, innerTheirs, 24, 0)) // refused, and asks for a session
					} else {
						l.toUs(24, 0) // wireguard-go keeps it until it has one
					}
					for i, n := range []int{24, 25, 40, 576, 1279, 1280, 1419, 1420} {
						l.toThem(n, uint32(i))
						l.toUs(n, uint32(i))
					}
					if s := l.peer.Session(); s.Initiator() != weStart {
						t.Errorf("initiator: %v", s.Initiator())
					}
					if d := l.dropped(); len(d) != 0 {
						t.Errorf("drops %v", d)
					}
				})
			}
		}
	}
}

// TestInteropWrongPSK: no session.
func TestInteropWrongPSK(t *testing.T) {
	l := newLab(t, labConfig{psk: true, weStart: true, peer: func(c *wireguard.PeerConfig) {
		c.PSK = newKey(t)
		c.AlwaysOn = true
	}})
	l.waitFor("a refused response", func() bool { return l.count(wireguard.RefusedAuth) == 1 })
	if l.peer.Usable(l.now()) {
		t.Error("a session in spite of different preshared keys")
	}
}

// TestInteropKeepalive: both kinds, both ways.
func TestInteropKeepalive(t *testing.T) {
	t.Run("theirs, persistent", func(t *testing.T) {
		l := newLab(t, labConfig{uapi: "persistent_keepalive_interval=1\n"})
		l.waitFor("keepalives from wireguard-go", func() bool { return l.kept.Load() >= 3 })
	})
	t.Run("ours", func(t *testing.T) {
		l := newLab(t, labConfig{weStart: true, peer: func(c *wireguard.PeerConfig) { c.Keepalive = 100 * time.Millisecond }})
		l.waitFor("a session", func() bool { return l.peer.Usable(l.now()) })
		rx := func() (n int) {
			s, err := l.dev.IpcGet()
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(s, "rx_bytes=")
			fmt.Sscanf(after, "%d", &n) //nolint:errcheck // n stays 0
			return n
		}
		before := rx()
		l.waitFor("wireguard-go to count keepalives", func() bool { return rx() >= before+5*32 })
	})
	t.Run("ours, passive", func(t *testing.T) {
		l := newLab(t, labConfig{params: wireguard.Params{KeepaliveTimeout: 200 * time.Millisecond}})
		l.toUs(24, 0)
		before := l.count(wireguard.KeepaliveSent)
		l.waitFor("our keepalive", func() bool { return l.count(wireguard.KeepaliveSent) > before })
	})
}

// TestInteropRoaming: either side moves, and both go on; we also send from
// several ports at once.
func TestInteropRoaming(t *testing.T) {
	l := newLab(t, labConfig{weStart: true, peer: func(c *wireguard.PeerConfig) { c.AlwaysOn = true }})
	l.toThem(60, 0)
	l.toUs(60, 0)
	moved := netip.MustParseAddrPort("203.0.113.77:1234")
	l.bind.set(moved, l.theirs)
	l.toThem(60, 1)
	l.toUs(60, 1)
	if got := l.bind.sentTo(); got != moved {
		t.Errorf("wireguard-go sends to %v, want %v", got, moved)
	}
	theirs := netip.MustParseAddrPort("[2001:db8::9]:999")
	l.bind.set(moved, theirs)
	l.toUs(60, 2)
	if got := l.peer.Endpoint().Addr; got != theirs {
		t.Errorf("we send to %v, want %v", got, theirs)
	}
	l.toThem(60, 2)
	for i := range 20 {
		l.bind.set(netip.AddrPortFrom(moved.Addr(), uint16(2000+i%4)), theirs)
		l.toThem(60, uint32(i))
		l.toUs(60, uint32(i))
	}
	if got := l.count(wireguard.InitiationSent); got != 1 {
		t.Errorf("%d handshakes, want 1", got)
	}
}

// TestInteropTheyAreUnderLoad: wireguard-go under a flood answers with a cookie;
// our next initiation carries it and is accepted.
func TestInteropTheyAreUnderLoad(t *testing.T) {
	l := newLab(t, labConfig{weStart: true, params: wireguard.Params{RekeyTimeout: 150 * time.Millisecond}})
	jar := noise.NewJar(l.key, 1)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { // initiations of nobody, with a right MAC1, faster than it works them
		for !stop.Load() {
			for range 400 {
				m := make([]byte, noise.InitiationSize)
				m[0] = 1
				binary.LittleEndian.PutUint64(m[8:], uint64(time.Now().UnixNano()))
				jar.Put(1, m)
				l.bind.sendFrom(netip.MustParseAddrPort("198.51.100.99:9"), m)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	defer func() { stop.Store(true); wg.Wait() }()
	time.Sleep(100 * time.Millisecond)
	l.send(packet(innerOurs, innerTheirs, 24, 0))
	l.waitFor("a cookie from wireguard-go", func() bool { return l.count(wireguard.CookieAccepted) >= 1 })
	l.waitFor("a session by cookie", func() bool { return l.peer.Usable(l.now()) })
	if got := l.count(wireguard.InitiationSent); got < 2 {
		t.Errorf("%d initiations: the first was not refused", got)
	}
	stop.Store(true)
	l.toThem(60, 1)
}

// TestInteropWeAreUnderLoad: the other way round. wireguard-go repeats after 5 s.
func TestInteropWeAreUnderLoad(t *testing.T) {
	l := newLab(t, labConfig{params: wireguard.Params{UnderLoadRate: 5, UnderLoadHold: 20 * time.Second}})
	jar := noise.NewJar(l.node.PublicKey(), 1)
	for range 7 {
		m := make([]byte, noise.InitiationSize)
		m[0] = 1
		jar.Put(1, m)
		l.receive(datagram{addrB, m})
	}
	sent := l.count(wireguard.CookieSent)
	l.tun.Outbound <- packet(innerTheirs, innerOurs, 24, 7)
	l.expect(l.packets, packet(innerTheirs, innerOurs, 24, 7)) // kept by wireguard-go meanwhile
	if got := l.count(wireguard.CookieSent) - sent; got != 1 {
		t.Errorf("%d cookies for wireguard-go, want 1", got)
	}
	l.toThem(60, 1)
}

// stream sends numbered packets both ways for d, perMS each millisecond, a pace
// that no queue of wireguard-go overflows at. It calls during meanwhile and
// returns how many were sent and did not arrive; one that arrives twice is an
// error.
func (l *lab) stream(d time.Duration, perMS int, during func()) (sent, lost int) {
	l.t.Helper()
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	count := func(ch chan []byte, seen map[uint32]bool, total *atomic.Uint32, done chan struct{}) {
		defer wg.Done()
		for {
			select {
			case p := <-ch:
				seq := binary.BigEndian.Uint32(p[20:])
				if seen[seq] {
					l.t.Errorf("packet %d arrived twice", seq)
				}
				seen[seq] = true
			case <-done:
				// All was sent: what is still on its way comes soon.
				if uint32(len(seen)) == total.Load() {
					return
				}
				select {
				case p := <-ch:
					seen[binary.BigEndian.Uint32(p[20:])] = true
				case <-time.After(2 * time.Second):
					return
				}
			}
		}
	}
	seenA, seenB := map[uint32]bool{}, map[uint32]bool{}
	var a, b atomic.Uint32
	doneA, doneB := make(chan struct{}), make(chan struct{})
	wg.Add(2)
	go count(l.packets, seenA, &a, doneA)
	go count(l.tun.Inbound, seenB, &b, doneB)
	pace := func(f func(seq uint32), total *atomic.Uint32, done chan struct{}) {
		defer close(done)
		for time.Now().Before(until) {
			for range perMS {
				f(total.Add(1))
			}
			time.Sleep(time.Millisecond)
		}
	}
	go pace(func(seq uint32) { l.tun.Outbound <- packet(innerTheirs, innerOurs, 1000, seq) }, &a, doneA)
	go pace(func(seq uint32) { l.send(packet(innerOurs, innerTheirs, 1000, seq)) }, &b, doneB)
	if during != nil {
		during()
	}
	wg.Wait()
	sent = int(a.Load() + b.Load())
	return sent, sent - len(seenA) - len(seenB)
}

// TestInteropRekeyUnderLoad: three renewals and more while packets flow both
// ways, begun by us, then by wireguard-go. Nothing is lost, refused or doubled.
func TestInteropRekeyUnderLoad(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		l := newLab(t, labConfig{weStart: true, psk: true, params: wireguard.Params{
			RekeyAfterTime: 500 * time.Millisecond, RejectAfterTime: 4 * time.Second, RekeyTimeout: 200 * time.Millisecond,
		}, peer: func(c *wireguard.PeerConfig) { c.AlwaysOn = true }})
		l.toThem(60, 0)
		l.toUs(60, 0)
		first := l.count(wireguard.ResponseAccepted)
		sent, lost := l.stream(2500*time.Millisecond, 4, nil)
		renewed := l.count(wireguard.ResponseAccepted) - first
		t.Logf("%d packets, %d renewals", sent, renewed)
		if lost != 0 || l.lost.Load() != 0 || renewed < 3 || len(l.dropped()) != 0 {
			t.Errorf("lost %d of %d, not sealed %d, %d renewals, drops %v", lost, sent, l.lost.Load(), renewed, l.dropped())
		}
	})
	t.Run("theirs", func(t *testing.T) {
		l := newLab(t, labConfig{})
		l.toUs(60, 0)
		l.toThem(60, 0)
		first := l.count(wireguard.InitiationAccepted)
		// wireguard-go keeps 128 packets while it waits for the handshake.
		sent, lost := l.stream(2500*time.Millisecond, 1, func() {
			for range 4 {
				time.Sleep(500 * time.Millisecond)
				l.theirPeer().ExpireCurrentKeypairs() // its next packet begins a handshake
			}
		})
		renewed := l.count(wireguard.InitiationAccepted) - first
		t.Logf("%d packets, %d renewals", sent, renewed)
		if lost != 0 || l.lost.Load() != 0 || renewed < 3 || len(l.dropped()) != 0 {
			t.Errorf("lost %d of %d, not sealed %d, %d renewals, drops %v", lost, sent, l.lost.Load(), renewed, l.dropped())
		}
	})
}

// TestInteropReplayAndTamper: each side refuses the other's datagrams when they
// come again or changed.
func TestInteropReplayAndTamper(t *testing.T) {
	l := newLab(t, labConfig{weStart: true, peer: func(c *wireguard.PeerConfig) { c.AlwaysOn = true }})
	l.toThem(60, 0)
	l.toUs(60, 0)
	var mu sync.Mutex
	var out, in [][]byte
	l.bind.mu.Lock()
	l.bind.tap = func(outgoing bool, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		if outgoing {
			out = append(out, append([]byte(nil), b...))
		} else {
			in = append(in, append([]byte(nil), b...))
		}
	}
	l.bind.mu.Unlock()
	for i := range 10 {
		l.toThem(60, uint32(i))
		l.toUs(60, uint32(i))
	}
	mu.Lock()
	outs, ins := out, in
	mu.Unlock()
	for _, b := range ins {
		l.receive(datagram{l.theirs, append([]byte(nil), b...)})
	}
	if got := l.dropped()["wg-replayed"]; got != uint64(len(ins)) || len(ins) < 10 {
		t.Errorf("%d of %d replayed datagrams refused", got, len(ins))
	}
	tampered := func(b []byte, i int) []byte {
		b = append([]byte(nil), b...)
		b[i] ^= 0x80
		return b
	}
	for i := 16; i < len(ins[0]); i++ {
		m := tampered(ins[0], i)
		noise.PutDataHeader(m, noise.Data(m).Receiver(), 1<<40) // a counter that is new
		l.receive(datagram{l.theirs, m})
	}
	if got := l.dropped()["wg-auth-failed"]; got != uint64(len(ins[0])-16) {
		t.Errorf("%d of %d tampered datagrams refused", got, len(ins[0])-16)
	}
	// wireguard-go: nothing of this may come out of its TUN but the last.
	for _, b := range outs {
		l.bind.sendFrom(addrA, b)
	}
	for i := 8; i < len(outs[0]); i++ {
		l.bind.sendFrom(addrA, tampered(outs[0], i))
	}
	l.toThem(60, 99)
	l.toUs(60, 99)
}

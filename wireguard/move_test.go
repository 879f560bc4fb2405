package wireguard_test

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/ztos/ztos/wireguard"
)

// sock stands for the underlay's form of an address.
type sock struct{ addr netip.AddrPort }

// filled makes socks, and fills spares as the underlay does.
func filled(c *wireguard.Config) {
	c.Sock = func(spare any, a netip.AddrPort) any {
		s, _ := spare.(*sock)
		if s == nil {
			s = new(sock)
		}
		s.addr = a
		return s
	}
}

// whole fails the test when an endpoint is half of one address.
func whole(t *testing.T, e *wireguard.Endpoint) {
	if e.Addr != e.Sock.(*sock).addr {
		t.Errorf("endpoint %v leads to %v", e.Addr, e.Sock.(*sock).addr)
	}
}

// TestMoveNoAllocs: a peer that sends from several ports, and from two addresses,
// costs a worker no allocation, neither where it was before nor anywhere else.
func TestMoveNoAllocs(t *testing.T) {
	w := newWorld(t, filled, nil, nil)
	w.connect(t, w.a)
	port := func(a netip.AddrPort, i int) netip.AddrPort {
		return netip.AddrPortFrom(a.Addr(), uint16(50000+i))
	}
	// arrive is what a worker does until the peer is taken to be at src: another
	// port of an address has to be heard for longer than the endpoint's is silent.
	session := w.b.peer.Session() // which expires meanwhile
	arrive := func(src netip.AddrPort) {
		for range 2 {
			w.b.peer.Received(w.now, session, src, 1, 100, true)
			w.now += 2 * second
		}
	}
	at := func(want netip.AddrPort) {
		t.Helper()
		if got := w.b.peer.Endpoint().Addr; got != want {
			t.Fatalf("endpoint is %v, want %v", got, want)
		}
		whole(t, w.b.peer.Endpoint())
	}
	var places []netip.AddrPort
	for i := range 10 {
		places = append(places, port(addrA, i), port(addrC, i))
	}
	for _, p := range places { // control runs between
		arrive(p)
		at(p)
		w.b.Tick(w.now)
	}
	moves := w.b.Count(wireguard.EndpointMoved)
	i := 0
	if a := testing.AllocsPerRun(100, func() {
		arrive(places[i%len(places)])
		at(places[i%len(places)])
		i++
	}); a != 0 {
		t.Errorf("%v allocations where the peer was before", a)
	}
	if got := w.b.Count(wireguard.EndpointMoved) - moves; got != 101 {
		t.Errorf("%d moves, want 101", got)
	}

	// Where it never was: two moves for each time that control ran, and no
	// allocation even if it did not.
	w.b.Tick(w.now)
	i = 100
	last := port(addrA, i+2)
	if a := testing.AllocsPerRun(100, func() { i++; arrive(port(addrA, i)) }); a != 0 {
		t.Errorf("%v allocations where the peer never was", a)
	}
	at(last)
	w.b.Tick(w.now)
	arrive(port(addrA, i))
	at(port(addrA, i))
	if got := w.b.Count(wireguard.RefusedPinned); got != 0 {
		t.Errorf("%d refused", got)
	}
}

// TestMovePinned: an endpoint that the peer had before it was pinned elsewhere is
// no way around the pinned set, and costs no allocation to refuse.
func TestMovePinned(t *testing.T) {
	w := newWorld(t, filled, nil, nil)
	w.connect(t, w.a)
	received(w, w.b, addrC)
	w.b.Tick(w.now)
	received(w, w.b, addrA)
	w.b.cfg.Pinned = wireguard.NewPinned(nil, []netip.AddrPort{addrA})
	if err := w.b.UpdatePeer(w.now, w.b.cfg); err != nil {
		t.Fatal(err)
	}
	if a := testing.AllocsPerRun(20, func() { received(w, w.b, addrC) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
	if got := w.b.peer.Endpoint().Addr; got != addrA || w.b.Count(wireguard.RefusedPinned) != 21 {
		t.Errorf("endpoint %v, %d refused", got, w.b.Count(wireguard.RefusedPinned))
	}
}

// TestMoveConcurrent: workers on which the peer roams among more places than are
// kept, control, and workers that send; none sees half an endpoint.
func TestMoveConcurrent(t *testing.T) {
	w := newWorld(t, filled, nil, nil)
	w.connect(t, w.a)
	s := w.b.peer.Session()
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					whole(t, w.b.peer.Endpoint())
				}
			}
		})
	}
	now := w.now
	for g := range 2 {
		writers.Go(func() {
			for i := range 2000 {
				// Other addresses, not only ports: each moves it at once.
				ip := netip.AddrFrom4([4]byte{10, 0, byte(g), byte(i * 7 % 40)})
				w.b.peer.Received(now, s, netip.AddrPortFrom(ip, 1), 1, 100, true)
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				w.b.Tick(now)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	w.b.Tick(now)
	received(w, w.b, addrC)
	if got := w.b.peer.Endpoint(); got.Addr != addrC {
		t.Errorf("endpoint %v, want %v", got.Addr, addrC)
	}
}

package bfdnet_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/fabric/bfd"
	"github.com/ztos/ztos/fabric/bfdnet"
)

// hub is a network in memory.
type hub struct {
	mu    sync.Mutex
	at    map[netip.AddrPort]*memSocket
	cut   bool  // nothing arrives
	fault error // of opening
}

type memSocket struct {
	hub    *hub
	addr   netip.AddrPort
	queue  []datagram // guarded by hub.mu
	ring   chan struct{}
	closed chan struct{}
	once   sync.Once
}

type datagram struct {
	from netip.AddrPort
	b    []byte
}

func newHub() *hub { return &hub{at: map[netip.AddrPort]*memSocket{}} }

func (h *hub) open(at netip.AddrPort) (bfdnet.Socket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		return nil, h.fault
	}
	if h.at[at] != nil {
		return nil, errors.New("address in use")
	}
	s := &memSocket{hub: h, addr: at, ring: make(chan struct{}, 1), closed: make(chan struct{})}
	h.at[at] = s
	return s, nil
}

func (s *memSocket) Ready() error {
	for {
		s.hub.mu.Lock()
		n := len(s.queue)
		s.hub.mu.Unlock()
		if n > 0 {
			return nil
		}
		select {
		case <-s.ring:
		case <-s.closed:
			return net.ErrClosed
		}
	}
}

func (s *memSocket) Recv(b []byte) (int, netip.AddrPort, uint8, bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if len(s.queue) == 0 {
		return 0, netip.AddrPort{}, 0, false
	}
	d := s.queue[0]
	s.queue = s.queue[1:]
	return copy(b, d.b), d.from, 255, true
}

func (s *memSocket) Send(to netip.AddrPort, b []byte) error {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.at[to]; r != nil && !h.cut {
		r.queue = append(r.queue, datagram{s.addr, b})
		select {
		case r.ring <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s *memSocket) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.hub.mu.Lock()
		delete(s.hub.at, s.addr)
		s.hub.mu.Unlock()
	})
	return nil
}

func (h *hub) set(cut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = cut
}

var (
	left  = netip.MustParseAddr("10.0.0.1")
	right = netip.MustParseAddr("10.0.0.2")
)

// node is a service with the events it told.
type node struct {
	*bfdnet.Service
	events chan bfd.Event
}

func newNode(t *testing.T, tr bfdnet.Transport, local, remote netip.Addr) *node {
	t.Helper()
	n := &node{events: make(chan bfd.Event, 1000)}
	n.Service = bfdnet.New(tr, func(es []bfd.Event) {
		for _, e := range es {
			n.events <- e
		}
	})
	t.Cleanup(n.Close)
	if err := n.Apply([]bfd.Config{session(local, remote)}); err != nil {
		t.Fatal(err)
	}
	return n
}

func session(local, remote netip.Addr) bfd.Config {
	ms := int64(time.Millisecond)
	return bfd.Config{Name: "peer", Local: local, Remote: remote, Hops: 1, Tx: 50 * ms, Rx: 50 * ms, Mult: 3}
}

// await waits for a state; the bound is for a loaded machine.
func (n *node) await(t *testing.T, want bfd.State) bfd.Event {
	t.Helper()
	for timeout := time.After(30 * time.Second); ; {
		select {
		case e := <-n.events:
			if e.To == want {
				return e
			}
		case <-timeout:
			st, _, _ := n.Status()
			t.Fatalf("not %v: %+v", want, st)
		}
	}
}

func pair(t *testing.T) (h *hub, a, b *node) {
	t.Helper()
	h = newHub()
	a, b = newNode(t, h.open, left, right), newNode(t, h.open, right, left)
	a.await(t, bfd.Up)
	b.await(t, bfd.Up)
	return h, a, b
}

// TestUpDownUp: sockets and clock of a session's life.
func TestUpDownUp(t *testing.T) {
	h, a, b := pair(t)
	// Until they have agreed on the short interval.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		x, _, _ := a.Status()
		y, _, _ := b.Status()
		if x[0].Detection == 150e6 && y[0].Detection == 150e6 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v, %+v", x, y)
		}
	}
	h.mu.Lock()
	sources := 0
	for at := range h.at {
		if at.Port() >= bfd.FirstSource {
			sources++
		}
	}
	open := len(h.at)
	h.mu.Unlock()
	if sources != 2 || open != 4 {
		t.Errorf("%d sockets, %d of them to send from, want 4 and 2", open, sources)
	}
	h.set(true)
	start := time.Now()
	if e := a.await(t, bfd.Down); !e.Failed() {
		t.Errorf("%+v", e)
	}
	t.Logf("down after %v", time.Since(start))
	h.set(false)
	a.await(t, bfd.Up)
	b.await(t, bfd.Up)
	// Closing tells the other side.
	a.Close()
	if e := b.await(t, bfd.Down); !e.Failed() || e.Diag != bfd.DiagSignaled {
		t.Errorf("%+v", e)
	}
	a.Close()
	if err := a.Apply(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.at) != 2 {
		t.Errorf("%d sockets are open, want those of one node", len(h.at))
	}
}

// TestStalledProcess: while the process had no processor packets came; that they
// were not looked at is no failure. The times are long, so that a loaded machine
// makes none.
func TestStalledProcess(t *testing.T) {
	h, a, b := pair(t)
	mine, theirs := session(left, right), session(right, left)
	for _, c := range []*bfd.Config{&mine, &theirs} {
		c.Tx, c.Rx, c.Mult = int64(100*time.Millisecond), int64(100*time.Millisecond), 5
	}
	theirs.Rx = int64(time.Second) // who waits for a stalled one has no doubt
	for n, c := range map[*node]bfd.Config{a: mine, b: theirs} {
		if err := n.Apply([]bfd.Config{c}); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st, _, _ := a.Status()
		if st[0].Detection == 500e6 && st[0].State == bfd.Up && !st[0].Poll {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", st)
		}
	}
	st, _, _ := a.Status()
	before := st[0].Stats[bfd.WentDown]
	a.Stall(time.Second)
	time.Sleep(50 * time.Millisecond)
	if st, _, _ := a.Status(); st[0].Stats[bfd.WentDown] != before {
		t.Errorf("down, with packets in the socket: %+v", st[0])
	}
	// But with no packets it is down, stalled or not.
	h.set(true)
	a.Stall(time.Second)
	a.await(t, bfd.Down)
}

// TestGrace: workers get as long as the timer was late, within bounds.
func TestGrace(t *testing.T) {
	for behind, want := range map[time.Duration]time.Duration{
		0: 0, 5 * time.Millisecond: 0, 6 * time.Millisecond: 6 * time.Millisecond,
		40 * time.Millisecond: 40 * time.Millisecond, time.Hour: 50 * time.Millisecond,
	} {
		if got := bfdnet.Grace(behind); got != want {
			t.Errorf("%v behind: %v, want %v", behind, got, want)
		}
	}
}

// TestApply: sockets come and go with sessions, and a fault changes nothing.
func TestApply(t *testing.T) {
	h, a, _ := pair(t)
	count := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.at)
	}
	before := count()
	far := session(left, netip.MustParseAddr("10.0.0.9"))
	far.Name, far.Hops = "far", 2
	if err := a.Apply([]bfd.Config{session(left, right), far}); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != before+2 {
		t.Errorf("%d sockets more, want those of a multihop session", n-before)
	}
	bad := far
	bad.Mult = 0
	if err := a.Apply([]bfd.Config{bad}); err == nil {
		t.Error("a fault was taken")
	}
	h.mu.Lock()
	h.fault = errors.New("no sockets")
	h.mu.Unlock()
	more := session(left, netip.MustParseAddr("10.0.0.10"))
	more.Name = "more"
	if err := a.Apply([]bfd.Config{session(left, right), more}); err == nil {
		t.Error("a session without a socket was taken")
	}
	if st, _, _ := a.Status(); len(st) != 2 || st[0].State != bfd.Up || count() != before+2 {
		t.Errorf("%d sessions, %d sockets: %+v", len(st), count(), st)
	}
	h.mu.Lock()
	h.fault = nil
	h.mu.Unlock()
	if err := a.Apply(nil); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != before-2 {
		t.Errorf("%d sockets, want %d", n, before-2)
	}
}

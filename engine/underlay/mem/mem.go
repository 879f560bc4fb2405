package mem

import (
	"fmt"
	"net/netip"
	"sync"

	"github.com/ztos/ztos/engine/underlay"
)

// Datagram is one datagram on its way through a Switch.
type Datagram struct {
	Src, Dst netip.AddrPort
	Data     []byte
}

// Hook sees every datagram and returns what is delivered in its place, in
// order: nothing to drop it, itself twice to copy it. It may change Data, which
// is the Switch's, and keep it for later. It must not call the Switch.
type Hook func(d Datagram) []Datagram

// Switch joins Muxes. Any goroutine.
type Switch struct {
	mu    sync.Mutex                  // guards everything, the Muxes' queues included
	ports map[netip.AddrPort][]*queue // several: spread by the sender's port
	hook  Hook
	mtu   int
	lost  uint64
}

// NewSwitch returns a switch without Muxes.
func NewSwitch() *Switch { return &Switch{ports: map[netip.AddrPort][]*queue{}} }

// SetHook makes h see every datagram from now on; nil ends that.
func (s *Switch) SetHook(h Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = h
}

// SetMTU makes senders fail datagrams whose IP packet would be longer than mtu,
// as oversized; 0 means no limit.
func (s *Switch) SetMTU(mtu int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mtu = mtu
}

// Lost returns how many datagrams found nobody at their address, or a full queue.
func (s *Switch) Lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Send delivers d as if somebody on the switch had sent it: for tests that play
// a peer, or replay. The hook sees it too.
func (s *Switch) Send(d Datagram) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(unmap(d.Src), unmap(d.Dst), append([]byte{}, d.Data...), len(d.Data))
}

// spread chooses one of n queues by a datagram's sender, as a real Mux does.
func spread(src netip.AddrPort, n int) int { return int(src.Port()) % n }

// queue holds what one receiver has not taken yet.
type queue struct {
	rx       *Rx
	bundles  []underlay.Bundle
	count    int // datagrams in bundles
	depth    int
	coalesce bool
}

// send carries a group through the hook to its queue. data is the Switch's own.
func (s *Switch) send(src, dst netip.AddrPort, data []byte, size int) {
	first := true // the next datagram begins a new bundle
	for len(data) > 0 || first {
		n := min(size, len(data))
		d := Datagram{Src: src, Dst: dst, Data: data[:n:n]}
		data = data[n:]
		if s.hook == nil {
			s.deliver(d, !first)
		} else {
			for _, x := range s.hook(d) {
				s.deliver(x, !first)
			}
		}
		first = false
	}
}

// deliver puts d into the queue at its destination: behind the last bundle of
// the queue when join is set and GRO would do so.
func (s *Switch) deliver(d Datagram, join bool) {
	qs := s.ports[unmap(d.Dst)]
	if qs == nil {
		// A listener on the unspecified address takes what is for nobody else.
		qs = s.ports[netip.AddrPortFrom(unspecified(d.Dst.Addr()), d.Dst.Port())]
	}
	if qs == nil {
		s.lost++
		return
	}
	q := qs[spread(d.Src, len(qs))]
	if q.count >= q.depth {
		s.lost++
		return
	}
	q.count++
	q.news()
	if n := len(q.bundles); join && q.coalesce && n > 0 {
		b := &q.bundles[n-1]
		if b.Src == d.Src && b.SegSize > 0 && len(d.Data) > 0 && len(d.Data) <= b.SegSize && len(b.Buf)%b.SegSize == 0 &&
			len(b.Buf)+len(d.Data) <= underlay.MaxGroup {
			b.Buf = append(b.Buf, d.Data...)
			return
		}
	}
	q.bundles = append(q.bundles, underlay.Bundle{
		Buf: append([]byte{}, d.Data...), SegSize: len(d.Data), Src: d.Src,
	})
}

// news wakes the queue's receiver, should it wait.
func (q *queue) news() {
	select {
	case q.rx.news <- struct{}{}:
	default:
	}
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Unmap().Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Config says where a Mux listens and how it behaves.
type Config struct {
	Listen      netip.AddrPort // a definite address and port
	Queues      int            // receive queues; 0 means 1
	SourcePorts int            // further source ports, from 50000 upwards
	DisableGRO  bool           // one datagram per bundle
	Blocking    bool           // Recv waits for port.IdleTimeout
	Depth       int            // datagrams a receive queue holds before it drops; 0 means 65536
}

// firstSource is the source port of path 1.
const firstSource = 50000

// Mux is one node's sockets on a Switch. Any goroutine, except for what its Rx
// and Tx allow.
type Mux struct {
	sw     *Switch
	cfg    Config
	paths  []netip.AddrPort
	rx     []*Rx
	closed bool   // guarded by sw.mu
	errors uint64 // guarded by sw.mu
}

var _ underlay.Conn = (*Mux)(nil)

// Open puts a Mux on the switch. It fails when an address is taken, and when
// Listen has no port.
func (s *Switch) Open(cfg Config) (*Mux, error) {
	cfg.Queues = max(cfg.Queues, 1)
	if cfg.Depth == 0 {
		cfg.Depth = 1 << 16
	}
	cfg.Listen = unmap(cfg.Listen)
	if !cfg.Listen.IsValid() || cfg.Listen.Port() == 0 {
		return nil, fmt.Errorf("mem: listen %v: want an address and a port", cfg.Listen)
	}
	m := &Mux{sw: s, cfg: cfg, paths: []netip.AddrPort{cfg.Listen}}
	for range cfg.Queues {
		m.rx = append(m.rx, &Rx{mux: m, news: make(chan struct{}, 1)})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for port := uint16(firstSource); len(m.paths) <= cfg.SourcePorts; port++ {
		a := netip.AddrPortFrom(cfg.Listen.Addr(), port)
		if s.ports[a] == nil && a != cfg.Listen {
			m.paths = append(m.paths, a)
		}
	}
	if s.ports[cfg.Listen] != nil {
		return nil, fmt.Errorf("mem: listen %v: address in use", cfg.Listen)
	}
	add := func(a netip.AddrPort, r *Rx) {
		q := &queue{rx: r, depth: cfg.Depth, coalesce: !cfg.DisableGRO}
		r.queues = append(r.queues, q)
		s.ports[a] = append(s.ports[a], q)
	}
	// Every receive queue has its part of the listening port. Source ports go
	// round, as in a real Mux.
	for _, r := range m.rx {
		add(cfg.Listen, r)
	}
	for i, a := range m.paths[1:] {
		add(a, m.rx[i%cfg.Queues])
	}
	return m, nil
}

// Queues returns how many Rx there are.
func (m *Mux) Queues() int { return len(m.rx) }

// Paths returns how many source ports there are.
func (m *Mux) Paths() int { return len(m.paths) }

// Rx returns receive queue q.
func (m *Mux) Rx(q int) *Rx { return m.rx[q] }

// Receiver returns receive queue q.
func (m *Mux) Receiver(q int) underlay.Receiver { return m.rx[q] }

// NewTx opens a transmit side.
func (m *Mux) NewTx() *Tx { return &Tx{mux: m} }

// NewSender opens a transmit side.
func (m *Mux) NewSender() underlay.Sender { return m.NewTx() }

// LocalAddr returns the listening address and port.
func (m *Mux) LocalAddr() netip.AddrPort { return m.cfg.Listen }

// SendTo sends one datagram from the listening port.
func (m *Mux) SendTo(dst *underlay.Endpoint, b []byte) error {
	m.sw.mu.Lock()
	defer m.sw.mu.Unlock()
	if m.closed {
		return fmt.Errorf("mem: send to %v: %w", dst, underlay.ErrClosed)
	}
	if m.sw.tooLong(dst, len(b)) {
		m.errors++
		return fmt.Errorf("mem: send %d bytes to %v: message too long", len(b), dst)
	}
	m.sw.send(m.cfg.Listen, dst.Addr(), append([]byte{}, b...), len(b))
	return nil
}

// tooLong reports whether a datagram of n bytes exceeds the switch's MTU.
func (s *Switch) tooLong(dst *underlay.Endpoint, n int) bool {
	header := 20 + 8
	if dst.Addr().Addr().Is6() {
		header = 40 + 8
	}
	return n > underlay.MaxGroup || s.mtu > 0 && n+header > s.mtu
}

// Status says how things are.
func (m *Mux) Status() underlay.Status {
	m.sw.mu.Lock()
	defer m.sw.mu.Unlock()
	s := underlay.Status{Listen: m.cfg.Listen, GSO: true, GRO: !m.cfg.DisableGRO, MaxSegments: underlay.MaxSegments}
	for _, a := range m.paths {
		s.SourcePorts = append(s.SourcePorts, a.Port())
	}
	if m.cfg.DisableGRO {
		s.GROWhy = "disabled"
	}
	if m.errors > 0 {
		s.LastError = "message too long"
	}
	return s
}

// Close takes the Mux off the switch.
func (m *Mux) Close() error {
	m.sw.mu.Lock()
	defer m.sw.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	for _, a := range m.paths {
		delete(m.sw.ports, a)
	}
	for _, r := range m.rx {
		for _, q := range r.queues {
			q.news()
		}
	}
	return nil
}

package mem

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
)

// Config says how a port behaves. The zero value is one queue that never
// blocks and never fills.
type Config struct {
	Queues   int  // receive queues; 0 means 1
	Blocking bool // Recv waits for port.IdleTimeout
	Depth    int  // frames a receive queue holds before it drops; 0 means 65536
	Headroom int  // spare bytes behind each received frame, which workers may use
	Owned    bool // SetMTU works
	NoUSO    bool // the Tx says that it takes no GSOUDP
}

// Port is a port in memory. Any goroutine, except for what its Rx and Tx allow.
type Port struct {
	name string
	cfg  Config
	rx   []*Rx

	mu     sync.Mutex // guards what follows
	peer   *Port
	sent   []Sent
	down   bool
	full   bool
	mtu    int
	mac    [6]byte
	closed bool
}

// Sent is a frame that a Tx sent: one run of bytes, without the tags that the
// frame carried beside them.
type Sent struct {
	Frame   []byte
	Offload pkt.Offload
	Tags    []pkt.Tag // outermost first
}

// Wire returns the frame as it is on the wire, with its tags in the bytes, and
// the offload with its offsets moved.
func (s Sent) Wire() ([]byte, pkt.Offload) {
	o := s.Offload
	if len(s.Tags) == 0 {
		return s.Frame, o
	}
	b := append([]byte{}, s.Frame[:12]...)
	for _, t := range s.Tags {
		b = binary.BigEndian.AppendUint16(b, t.TPID)
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	if o.NeedsCsum {
		o.CsumStart += uint16(4 * len(s.Tags))
	}
	return append(b, s.Frame[12:]...), o
}

// New returns a port that is up, with MTU 1500.
func New(name string, cfg Config) *Port {
	cfg.Queues = max(cfg.Queues, 1)
	if cfg.Depth == 0 {
		cfg.Depth = 1 << 16
	}
	p := &Port{name: name, cfg: cfg, mtu: 1500, mac: [6]byte{2}}
	for range cfg.Queues {
		p.rx = append(p.rx, &Rx{port: p, news: make(chan struct{}, 1)})
	}
	return p
}

// Link joins a and b: what one sends the other receives, on the queue that the
// frame's flow hash selects. As on a Linux device the outermost tag arrives
// beside the frame, further ones in its bytes.
func Link(a, b *Port) {
	a.mu.Lock()
	a.peer = b
	a.mu.Unlock()
	b.mu.Lock()
	b.peer = a
	b.mu.Unlock()
}

// Name returns the name given to New.
func (p *Port) Name() string { return p.name }

// Queues returns how many Rx the port has.
func (p *Port) Queues() int { return len(p.rx) }

// Rx returns receive queue q.
func (p *Port) Rx(q int) port.Rx { return p.rx[q] }

// NewTx opens a transmit side. Never fails.
func (p *Port) NewTx() (port.Tx, error) { return &Tx{port: p}, nil }

// Status returns what SetDown and SetMTU left.
func (p *Port) Status() port.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return port.Status{Driver: port.Memory, Present: true, Up: !p.down, MTU: p.mtu, MAC: p.mac, Detail: "in memory"}
}

// SetMTU sets what Status reports, when the port is configured as owned.
func (p *Port) SetMTU(mtu int) error {
	if !p.cfg.Owned {
		return fmt.Errorf("mem: %s: %w", p.name, port.ErrNotOwned)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mtu = mtu
	return nil
}

// Close ends the port: Recv returns port.ErrClosed, Flush refuses.
func (p *Port) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wakeAll()
	return nil
}

// SetDown takes the device down or up again. What is queued is lost when it
// goes down.
func (p *Port) SetDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if down {
		for _, r := range p.rx {
			r.mu.Lock()
			r.queue = nil
			r.mu.Unlock()
		}
	}
	p.wakeAll()
}

// SetFull makes Flush refuse everything with PortTxFull.
func (p *Port) SetFull(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = full
}

func (p *Port) wakeAll() {
	for _, r := range p.rx {
		r.wake()
	}
}

// Inject copies frame into receive queue q, as if it had arrived with the given
// offload and with tags (outermost first, at most pkt.MaxTags) that the device
// had stripped. It reports whether the queue took it: not when it is full, the
// port down, or the frame shorter than Ethernet.
func (p *Port) Inject(q int, frame []byte, o pkt.Offload, tags ...pkt.Tag) bool {
	if len(tags) > pkt.MaxTags {
		panic("mem: more tags than pkt.MaxTags")
	}
	p.mu.Lock()
	dead := p.down || p.closed
	p.mu.Unlock()
	r := p.rx[q]
	r.mu.Lock()
	if dead || len(r.queue) >= p.cfg.Depth || len(frame) < 14 || len(frame) > port.MaxRecvFrame {
		r.dropped++
		r.mu.Unlock()
		return false
	}
	r.queue = append(r.queue, Sent{
		Frame:   append([]byte{}, frame...),
		Offload: o,
		Tags:    append([]pkt.Tag{}, tags...),
	})
	r.mu.Unlock()
	r.wake()
	return true
}

// Sent returns what was sent since the last call, in order. Ports that are
// linked record nothing.
func (p *Port) Sent() []Sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sent
	p.sent = nil
	return s
}

// Pending returns how many injected frames no Recv has taken yet.
func (p *Port) Pending() (n int) {
	for _, r := range p.rx {
		r.mu.Lock()
		n += len(r.queue)
		r.mu.Unlock()
	}
	return n
}

// Rx is a receive queue.
type Rx struct {
	port *Port
	news chan struct{}
	bufs [][]byte // one per slot of the vector; the worker's

	mu      sync.Mutex // guards queue and dropped
	queue   []Sent
	dropped uint64
}

func (r *Rx) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// Recv fills v with what is queued; see port.Rx.
func (r *Rx) Recv(v *pkt.Vector) error {
	v.Reset()
	if err := r.take(v); err != port.ErrTimeout || !r.port.cfg.Blocking {
		return err
	}
	t := time.NewTimer(port.IdleTimeout) //nolint:forbidigo // stands for the kernel's time-out
	defer t.Stop()
	select {
	case <-r.news:
		return r.take(v)
	case <-t.C:
		return port.ErrTimeout
	}
}

// take moves queued frames into the queue's own buffers, which it keeps from
// burst to burst as a device does.
func (r *Rx) take(v *pkt.Vector) error {
	p := r.port
	p.mu.Lock()
	closed, down := p.closed, p.down
	p.mu.Unlock()
	if closed {
		return port.ErrClosed
	}
	if down {
		return port.ErrDown
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return port.ErrTimeout
	}
	n := min(len(r.queue), len(v.Frames))
	for i, s := range r.queue[:n] {
		if i == len(r.bufs) {
			r.bufs = append(r.bufs, nil)
		}
		if need := len(s.Frame) + p.cfg.Headroom; cap(r.bufs[i]) < need {
			r.bufs[i] = make([]byte, need)
		}
		b := r.bufs[i][:len(s.Frame)]
		copy(b, s.Frame)
		f := v.Add(b)
		f.Offload = s.Offload
		f.NumTags = uint8(copy(f.Tags[:], s.Tags))
	}
	r.queue = append(r.queue[:0], r.queue[n:]...)
	if len(r.queue) > 0 {
		r.wake()
	}
	return nil
}

// Dropped returns how many frames Inject refused.
func (r *Rx) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Tx records or hands over what is sent. One worker.
type Tx struct {
	port    *Port
	queue   []*pkt.Frame
	refusal counter.Reason
}

// Push queues f; see port.Tx.
func (t *Tx) Push(f *pkt.Frame) { t.queue = append(t.queue, f) }

// Flush sends; see port.Tx.
func (t *Tx) Flush() (sent, refused int) {
	p := t.port
	t.refusal = counter.None
	p.mu.Lock()
	peer, why := p.peer, counter.None
	switch {
	case p.down || p.closed:
		why = counter.PortDown
	case p.full:
		why = counter.PortTxFull
	}
	p.mu.Unlock()
	for _, f := range t.queue {
		reason := why
		switch {
		case reason != counter.None:
		case len(f.Head) < 14:
			reason = counter.BadOffload
		case f.Len > port.MaxRecvFrame:
			reason = counter.FrameTooLong
		}
		if reason != counter.None {
			refused++
			t.refusal = reason
			continue
		}
		sent++
		p.deliver(peer, flat(f), f.Hash)
	}
	t.queue = t.queue[:0]
	return sent, refused
}

// flat copies f.
func flat(f *pkt.Frame) Sent {
	b := append(make([]byte, 0, f.Len), f.Head...)
	for _, g := range f.Frags {
		b = append(b, g...)
	}
	if len(b) != f.Len {
		panic(fmt.Sprintf("mem: frame of %d bytes says Len %d", len(b), f.Len))
	}
	return Sent{Frame: b, Offload: f.Offload, Tags: append([]pkt.Tag{}, f.Tags[:f.NumTags]...)}
}

// deliver records s, or puts it into the peer's queue.
func (p *Port) deliver(peer *Port, s Sent, hash uint32) {
	if peer == nil {
		p.mu.Lock()
		p.sent = append(p.sent, s)
		p.mu.Unlock()
		return
	}
	q := int(hash % uint32(peer.Queues()))
	if len(s.Tags) == 0 {
		peer.Inject(q, s.Frame, s.Offload)
		return
	}
	inner := Sent{Frame: s.Frame, Offload: s.Offload, Tags: s.Tags[1:]}
	b, o := inner.Wire()
	peer.Inject(q, b, o, s.Tags[0])
}

// Refusal returns why the last Flush refused; see port.Tx.
func (t *Tx) Refusal() counter.Reason { return t.refusal }

// CanUDPGSO is true unless the configuration says otherwise.
func (t *Tx) CanUDPGSO() bool { return !t.port.cfg.NoUSO }

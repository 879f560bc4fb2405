package afxdp

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// MaxMTU is the largest MTU of a device that a port can be on, bytes of Ethernet
// payload: a UMEM frame of 4096, less the 256 bytes that the kernel keeps in
// front, an Ethernet header of 14 and two tags in the bytes.
const MaxMTU = frameSize - unix.XDP_PACKET_HEADROOM - 14 - 8

// Attach says where the XDP program may run. The zero value is right for all but
// tests.
type Attach uint8

// The values of Attach.
const (
	Best    Attach = iota // in the driver, or behind it where that is safe
	Native                // in the driver only
	Generic               // behind the driver, safe or not: tags, partial checksums are not seen
)

// Config says which device and how. Only Device is needed.
type Config struct {
	Name   string // of the port; the device's name when empty
	Device string // name of the network device
	Queues int    // Rx of the port; 0 means 1, at most as many as the device has

	Attach      Attach
	ZeroCopy    bool // refuse a device whose driver copies (ErrNoGain)
	Own         bool // the device is the engine's: SetMTU may change it
	NoPromisc   bool // leave the device's unicast filter alone
	AllowAbsent bool // Open succeeds without the device and waits for it

	// Filter leaves frames to the kernel; nil takes all.
	Filter *Filter
	// Patient lets Open succeed with an obstacle too: the port is down and says
	// why. It looks again when the device is another or has another MTU, and
	// at each Reopen.
	Patient bool
}

// Port is one device. Any goroutine.
type Port struct {
	cfg Config
	dev *netdev.Device
	rx  []*Rx

	mtu   atomic.Int64 // of the device, as last seen
	stale atomic.Bool  // frames were left in a ring that the device went away from

	mu       sync.Mutex // guards what follows; taken before any Rx's and socket's
	bound    *binding   // nil when there is none
	obstacle error      // why not, when the device is there
	tx       map[*Tx]struct{}
	serial   int // of the next Tx
	addrs    []netip.Addr
	tried    [2]int // index and MTU of the device that obstacle is about
	closed   bool
}

// Open opens the device in the calling thread's network namespace. The error is
// an obstacle (IsObstacle), unix.ENODEV when there is no such device, or what
// the kernel said.
func Open(cfg Config) (*Port, error) {
	if cfg.Name == "" {
		cfg.Name = cfg.Device
	}
	if cfg.Queues < 0 || cfg.Queues > 255 {
		return nil, fmt.Errorf("afxdp: %s: %d queues: out of range", cfg.Name, cfg.Queues)
	}
	if cfg.Queues == 0 {
		cfg.Queues = 1
	}
	if f := cfg.Filter; f != nil {
		if len(f.Ports) == 0 || len(f.Ports) > maxFilterPorts {
			return nil, fmt.Errorf("afxdp: %s: filter of %d UDP ports, want 1 to %d", cfg.Name, len(f.Ports), maxFilterPorts)
		}
		cfg.NoPromisc = true
	}
	dev, err := netdev.Open(cfg.Device)
	if err != nil {
		return nil, fmt.Errorf("afxdp: %s: %w", cfg.Name, explain(err))
	}
	p := &Port{cfg: cfg, dev: dev, tx: map[*Tx]struct{}{}}
	for range cfg.Queues {
		r, err := newRx(p)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.rx = append(p.rx, r)
	}
	if err := p.Reopen(); err != nil && !(cfg.AllowAbsent && errors.Is(err, unix.ENODEV)) && !(cfg.Patient && IsObstacle(err)) {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Name returns the port's name.
func (p *Port) Name() string { return p.cfg.Name }

// Queues returns how many Rx the port has.
func (p *Port) Queues() int { return len(p.rx) }

// Rx returns receive queue q: the device's queues q, q + Queues(), and so on.
func (p *Port) Rx(q int) port.Rx { return p.rx[q] }

// Obstacle returns why the device, which is there, is not open; nil when it is,
// or is not there.
func (p *Port) Obstacle() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.obstacle
}

// Status asks the device how it is, and reopens the port first when the device
// was created again, or changed its queues or its MTU beyond what was opened.
func (p *Port) Status() port.Status {
	p.heal()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return port.Status{Driver: port.AFXDP, Detail: "port is closed"}
	}
	s := p.dev.Status()
	s.Driver = port.AFXDP
	if p.bound != nil && s.Present && p.dev.RxQueues() != p.bound.queues {
		// Frames on a queue without a socket are dropped.
		p.reopenLocked(p.bound.index)
	}
	switch {
	case !s.Present:
	case p.bound != nil:
		s.Detail += ", " + p.bound.mode()
	case p.obstacle != nil:
		s.Up = false
		s.Detail += ", not opened: " + p.obstacle.Error()
	}
	return s
}

// SetMTU sets the device's MTU when Config.Own is set; ErrMTU, with nothing
// changed, for one above MaxMTU.
func (p *Port) SetMTU(mtu int) error {
	if !p.cfg.Own {
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, port.ErrNotOwned)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, port.ErrClosed)
	case mtu > MaxMTU:
		return fmt.Errorf("afxdp: %s: MTU %d: %w", p.cfg.Name, mtu, ErrMTU)
	}
	if err := p.dev.SetMTU(mtu); err != nil {
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, err)
	}
	p.mtu.Store(int64(mtu))
	return nil
}

// heal reopens the port when the device is not the one that was opened, and
// reports whether the device is up and open. Costs a few ioctls when all is well.
func (p *Port) heal() (up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	index, err := p.dev.Index()
	if err != nil {
		p.dropLocked() // queues of a device that is gone are good for nothing
		p.obstacle = nil
		return false
	}
	mtu := p.dev.MTU()
	p.mtu.Store(int64(mtu))
	if p.cfg.Patient && p.bound == nil && p.obstacle != nil && p.tried == [2]int{index, mtu} {
		return false
	}
	if p.bound == nil || p.bound.index != index || mtu > MaxMTU || p.stale.Load() {
		if p.reopenLocked(index) != nil {
			return false
		}
	}
	return p.dev.Up()
}

// Reopen gives every Rx and Tx new sockets on the device of the port's name. On
// an error they have none. It is called by the port itself when the device was
// created again.
func (p *Port) Reopen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	index, err := p.dev.Index()
	if err != nil {
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, err)
	}
	return p.reopenLocked(index)
}

func (p *Port) reopenLocked(index int) error {
	p.dropLocked() // first: the kernel gives a queue to one socket only
	b, err := bind(p.dev, &p.cfg, index)
	if err == nil {
		if err = p.watchLocked(b); err != nil {
			b.close()
		}
	}
	p.obstacle = nil
	if err != nil {
		if IsObstacle(err) {
			p.obstacle, p.tried = err, [2]int{index, p.dev.MTU()}
		}
		return fmt.Errorf("afxdp: %s: %w", p.cfg.Name, err)
	}
	p.mtu.Store(int64(p.dev.MTU()))
	p.bound = b
	if err := p.putAddrsLocked(); err != nil {
		p.dropLocked()
		return err
	}
	for t := range p.tx {
		t.sock.Store(b.sockets[t.serial%len(b.sockets)])
	}
	return nil
}

// watchLocked gives every Rx its share of b's sockets, and a watch.
func (p *Port) watchLocked(b *binding) error {
	watches := make([]int, 0, len(p.rx))
	err := p.dev.InNamespace(func() error {
		for range p.rx {
			fd, err := openWatch(b.index, !p.cfg.NoPromisc)
			if err != nil {
				return err
			}
			watches = append(watches, fd)
		}
		return nil
	})
	if err != nil {
		for _, fd := range watches {
			unix.Close(fd)
		}
		return err
	}
	for q, r := range p.rx {
		var share []*socket
		for i := q; i < len(b.sockets); i += len(p.rx) {
			share = append(share, b.sockets[i])
		}
		r.replace(share, watches[q])
	}
	return nil
}

// dropLocked takes the sockets from every Rx and Tx and frees them.
func (p *Port) dropLocked() {
	p.stale.Store(false)
	if p.bound == nil {
		return
	}
	for t := range p.tx {
		t.sock.Store(nil)
	}
	for _, r := range p.rx {
		r.replace(nil, -1)
	}
	p.bound.close()
	p.bound = nil
}

// NewTx opens a transmit side. It succeeds while the device is absent; what it
// sends is refused until the device is there.
func (p *Port) NewTx() (port.Tx, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("afxdp: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	t := &Tx{port: p, serial: p.serial}
	p.serial++
	if p.bound != nil {
		t.sock.Store(p.bound.sockets[t.serial%len(p.bound.sockets)])
	}
	p.tx[t] = struct{}{}
	return t, nil
}

// Close ends every Rx and Tx; a Recv in progress returns within moments. Any
// number of times.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	p.dropLocked()
	for _, r := range p.rx {
		r.close()
	}
	p.dev.Close()
	return nil
}

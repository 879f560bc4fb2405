package tap

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// Config says which device to create. Only Device is needed.
type Config struct {
	Name   string  // of the port; the device's name when empty
	Device string  // name of the network device
	Queues int     // receive queues; 0 means 1, at most 255
	Burst  int     // frames that one Recv can return; 0 means DefaultBurst
	MTU    int     // bytes of Ethernet payload; 0 means the kernel's 1500
	MAC    [6]byte // of the kernel's end; zero means one at random
}

// DefaultBurst is a compromise between the receive buffers' memory and the
// number of wake-ups.
const DefaultBurst = 32

// Port is one TAP device. Any goroutine.
type Port struct {
	cfg Config
	dev *netdev.Device
	rx  []*Rx

	usoOff    atomic.Bool // the kernel does not take UDP super-frames
	usoProven atomic.Bool // it has taken one

	mu     sync.Mutex // guards what follows; taken before any Handle's
	mtu    int        // as set last; 0 when never
	mac    [6]byte    // as set or found first
	tx     []*Tx
	closed bool

	wanders error // why flows may change their queue; nil when they do not
}

// Open creates the device in the calling thread's network namespace and sets it
// up. It fails when the name is taken by a device that is not such a TAP device.
func Open(cfg Config) (*Port, error) {
	if cfg.Name == "" {
		cfg.Name = cfg.Device
	}
	if cfg.Queues < 0 || cfg.Queues > 255 || cfg.Burst < 0 {
		return nil, fmt.Errorf("tap: %s: %d queues, burst %d: out of range", cfg.Name, cfg.Queues, cfg.Burst)
	}
	cfg.Queues = max(cfg.Queues, 1)
	if cfg.Burst == 0 {
		cfg.Burst = DefaultBurst
	}
	dev, err := netdev.Open(cfg.Device)
	if err != nil {
		return nil, fmt.Errorf("tap: %s: %w", cfg.Name, err)
	}
	p := &Port{cfg: cfg, dev: dev, mtu: cfg.MTU, mac: cfg.MAC}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.createLocked(); err != nil {
		dev.Close()
		return nil, fmt.Errorf("tap: %s: %w", cfg.Name, err)
	}
	return p, nil
}

// createLocked creates the device, or creates it again, and gives every Rx and
// Tx a descriptor of it.
func (p *Port) createLocked() (err error) {
	var fds, dups []int
	defer func() {
		if err != nil {
			for _, fd := range append(fds, dups...) {
				unix.Close(fd)
			}
		}
	}()
	hasUSO := true
	err = p.dev.InNamespace(func() error {
		for range p.cfg.Queues {
			fd, ok, err := openQueue(p.cfg.Device)
			if err != nil {
				return err
			}
			fds, hasUSO = append(fds, fd), hasUSO && ok
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(fds) > 1 {
		p.wanders = steer(fds[0])
	}
	for i := range p.tx {
		fd, err := dup(fds[i%len(fds)])
		if err != nil {
			return err
		}
		dups = append(dups, fd)
	}
	if p.mac != ([6]byte{}) {
		if err = p.dev.SetMAC(p.mac); err != nil {
			return err
		}
	}
	if p.mtu != 0 {
		if err = p.dev.SetMTU(p.mtu); err != nil {
			return err
		}
	}
	if err = p.dev.SetUp(true); err != nil {
		return err
	}
	if !hasUSO {
		p.usoOff.Store(true)
	}
	p.mac = p.dev.Status().MAC
	if p.rx == nil {
		for q, fd := range fds {
			r, err := newRx(p, fd)
			if err != nil {
				fds = append(fds[:0:0], fds[q+1:]...) // newRx has closed its own
				for _, r := range p.rx {
					r.h.Close()
				}
				return err
			}
			p.rx = append(p.rx, r)
		}
	} else {
		for q, fd := range fds {
			p.rx[q].h.Replace(fd)
		}
		for i, fd := range dups {
			p.tx[i].h.Replace(fd)
		}
	}
	return nil
}

func dup(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("dup: %w", err)
	}
	return n, nil
}

// Name returns the port's name.
func (p *Port) Name() string { return p.cfg.Name }

// Queues returns how many Rx the port has.
func (p *Port) Queues() int { return len(p.rx) }

// Rx returns receive queue q.
func (p *Port) Rx(q int) port.Rx { return p.rx[q] }

// CanUDPGSO reports whether a Tx takes UDP super-frames.
func (p *Port) CanUDPGSO() bool { return !p.usoOff.Load() }

// Status asks the device how it is, and creates it again first when it is gone.
func (p *Port) Status() port.Status {
	p.heal()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return port.Status{Driver: port.TAP, Detail: "port is closed"}
	}
	s := p.dev.Status()
	switch {
	case !s.Present && p.attachedLocked():
		s = port.Status{Present: true, Up: true, MAC: p.mac, Detail: "driver tun, in another namespace or renamed"}
	case s.Present && p.usoOff.Load():
		s.Detail += ", no UDP super-frames"
	}
	s.Driver = port.TAP
	if p.wanders != nil {
		s.Detail += ", flows may change queues: " + p.wanders.Error()
	}
	return s
}

func (p *Port) attachedLocked() (ok bool) {
	p.rx[0].h.With(func(fd int) { ok = attached(fd) })
	return ok
}

// heal creates the device again when it is gone, and reports whether it is up.
// Costs two ioctls when all is well.
func (p *Port) heal() (up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if !p.attachedLocked() {
		return p.createLocked() == nil
	}
	if p.dev.Up() {
		return true
	}
	_, err := p.dev.Index()
	return errors.Is(err, unix.ENODEV) // moved or renamed: out of sight, not down
}

// SetMTU sets the device's MTU.
func (p *Port) SetMTU(mtu int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("tap: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	if err := p.dev.SetMTU(mtu); err != nil {
		return fmt.Errorf("tap: %s: %w", p.cfg.Name, err)
	}
	p.mtu = mtu
	return nil
}

// NewTx opens a transmit side.
func (p *Port) NewTx() (port.Tx, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("tap: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	fd, err := -1, error(nil)
	p.rx[len(p.tx)%len(p.rx)].h.With(func(rx int) { fd, err = dup(rx) })
	if err != nil {
		return nil, fmt.Errorf("tap: %s: %w", p.cfg.Name, err)
	}
	t, err := newTx(p, fd)
	if err != nil {
		return nil, fmt.Errorf("tap: %s: %w", p.cfg.Name, err)
	}
	p.tx = append(p.tx, t)
	return t, nil
}

// Close removes the device and ends every Rx and Tx; a Recv in progress returns
// within moments. Any number of times.
func (p *Port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	for _, r := range p.rx {
		r.h.Close()
	}
	for _, t := range p.tx {
		t.h.Close()
	}
	p.dev.Close()
	return nil
}

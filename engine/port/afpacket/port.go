package afpacket

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// Config says which device and how. Only Device is needed.
type Config struct {
	Name   string // of the port; the device's name when empty
	Device string // name of the network device
	Queues int    // receive queues; 0 means 1, at most 255
	Burst  int    // frames that one Recv can return; 0 means DefaultBurst

	RecvBuf int // bytes each receive socket may hold; 0 means DefaultRecvBuf
	SendBuf int // bytes each send socket may hold; 0 means DefaultSendBuf

	Own         bool // the device is the engine's: SetMTU may change it
	NoPromisc   bool // leave the device's unicast filter alone
	AllowAbsent bool // Open succeeds without the device and waits for it
}

// Defaults. A super-frame accounts for about 70 KB of a socket's buffer: the
// system's default of 208 KB holds three.
const (
	DefaultBurst   = 32
	DefaultRecvBuf = 16 << 20
	DefaultSendBuf = 8 << 20
)

// Port is one device. Any goroutine.
type Port struct {
	cfg Config
	dev *netdev.Device
	rx  []*Rx

	usoOff    atomic.Bool // the kernel does not take UDP super-frames
	usoProven atomic.Bool // it has taken one

	mu     sync.Mutex // guards what follows; taken before any Handle's
	index  int        // interface index the sockets are bound to; 0 when none
	tx     map[*Tx]struct{}
	closed bool
}

// Open opens the device in the calling thread's network namespace. Errors wrap
// what the kernel said; unix.ENODEV when there is no such device.
func Open(cfg Config) (*Port, error) {
	if cfg.Name == "" {
		cfg.Name = cfg.Device
	}
	if cfg.Queues < 0 || cfg.Queues > 255 || cfg.Burst < 0 {
		return nil, fmt.Errorf("afpacket: %s: %d queues, burst %d: out of range", cfg.Name, cfg.Queues, cfg.Burst)
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Queues, 1)
	def(&cfg.Burst, DefaultBurst)
	def(&cfg.RecvBuf, DefaultRecvBuf)
	def(&cfg.SendBuf, DefaultSendBuf)

	dev, err := netdev.Open(cfg.Device)
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", cfg.Name, err)
	}
	p := &Port{cfg: cfg, dev: dev, tx: map[*Tx]struct{}{}}
	p.usoOff.Store(!kernelTakesUSO())
	for q := range cfg.Queues {
		r, err := newRx(p, q)
		if err != nil {
			p.Close()
			return nil, err
		}
		p.rx = append(p.rx, r)
	}
	if err := p.Reopen(); err != nil && !(cfg.AllowAbsent && errors.Is(err, unix.ENODEV)) {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Name returns the port's name.
func (p *Port) Name() string { return p.cfg.Name }

// Queues returns how many Rx the port has.
func (p *Port) Queues() int { return len(p.rx) }

// Rx returns receive queue q.
func (p *Port) Rx(q int) port.Rx { return p.rx[q] }

// CanUDPGSO reports whether a Tx takes UDP super-frames.
func (p *Port) CanUDPGSO() bool { return !p.usoOff.Load() }

// Status asks the device how it is, and reopens the port first when the device
// was created again.
func (p *Port) Status() port.Status {
	p.heal()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return port.Status{Driver: port.AFPacket, Detail: "port is closed"}
	}
	s := p.dev.Status()
	s.Driver = port.AFPacket
	switch {
	case s.Present && p.index == 0:
		s.Up = false
		s.Detail += ", not opened yet"
	case s.Present && p.usoOff.Load():
		s.Detail += ", no UDP super-frames"
	}
	return s
}

// SetMTU sets the device's MTU when Config.Own is set.
func (p *Port) SetMTU(mtu int) error {
	if !p.cfg.Own {
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, port.ErrNotOwned)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	if err := p.dev.SetMTU(mtu); err != nil {
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	return nil
}

// heal reopens the port when the device has another index than the sockets, and
// reports whether the device is up. Costs two ioctls when all is well.
func (p *Port) heal() (up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	index, err := p.dev.Index()
	if err != nil {
		return false
	}
	if index != p.index && p.reopenLocked(index) != nil {
		return false
	}
	return p.dev.Up()
}

// Reopen gives every Rx and Tx a new socket on the device of the port's name.
// On an error the old ones stay. It is called by the port itself when the
// device was created again.
func (p *Port) Reopen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	index, err := p.dev.Index()
	if err != nil {
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	return p.reopenLocked(index)
}

func (p *Port) reopenLocked(index int) error {
	var rx, tx []int
	err := p.dev.InNamespace(func() (err error) {
		if rx, err = openRx(&p.cfg, index); err != nil {
			return err
		}
		for range p.tx {
			fd, err := openTx(&p.cfg, index)
			if err != nil {
				return err
			}
			tx = append(tx, fd)
		}
		return nil
	})
	if err != nil {
		for _, fd := range append(rx, tx...) {
			unix.Close(fd)
		}
		return fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	for q, fd := range rx {
		p.rx[q].collect()
		p.rx[q].h.Replace(fd)
	}
	i := 0
	for t := range p.tx {
		t.h.Replace(tx[i])
		i++
	}
	p.index = index
	return nil
}

// NewTx opens a transmit side. It succeeds while the device is absent; what it
// sends is refused until the device is there.
func (p *Port) NewTx() (port.Tx, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("afpacket: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	var fd int
	err := p.dev.InNamespace(func() (err error) {
		fd, err = openTx(&p.cfg, p.index)
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
			p.index = 0 // gone: heal opens everything again
			fd, err = openTx(&p.cfg, 0)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
	}
	t, err := newTx(p, fd)
	if err != nil {
		return nil, fmt.Errorf("afpacket: %s: %w", p.cfg.Name, err)
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
	for _, r := range p.rx {
		r.collect()
		r.h.Close()
	}
	for t := range p.tx {
		t.h.Close()
	}
	p.dev.Close()
	return nil
}

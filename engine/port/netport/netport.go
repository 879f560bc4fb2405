package netport

import (
	"errors"
	"fmt"
	"sync"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// Fallback says what happens when AF_XDP does not go with the device.
type Fallback uint8

// The values of Fallback.
const (
	ToAFPacket Fallback = iota // go by AF_PACKET, and say why
	ToNothing                  // Open fails; later, the port is down until it goes
)

// Config says which device and how. Only Device is needed.
type Config struct {
	Name   string // of the port; the device's name when empty
	Device string // name of the network device
	Queues int    // Rx of the port; 0 means 1

	WhenFaster bool // AF_XDP only where it gains: with zero copy
	Fallback   Fallback
	Own        bool // the device is the engine's: SetMTU may change it
}

// driver is a port under the port.
type driver interface {
	port.Port
	Reopen() error
}

// Port is one device. Any goroutine.
type Port struct {
	cfg Config
	dev *netdev.Device
	rx  []*Rx

	mu     sync.Mutex // guards what follows; taken before any Rx's and Tx's
	by     driver     // the driver in use
	note   string     // why it is not afxdp
	index  int        // of the device for which note holds; 0 when there was none
	tx     map[*Tx]struct{}
	closed bool
}

// Open opens the device in the calling thread's network namespace. A device that
// is not there is waited for. With ToNothing, and for what no driver could mend,
// the error wraps what is in the way.
func Open(cfg Config) (*Port, error) {
	if cfg.Name == "" {
		cfg.Name = cfg.Device
	}
	cfg.Queues = max(1, cfg.Queues)
	dev, err := netdev.Open(cfg.Device)
	if err != nil {
		return nil, fmt.Errorf("netport: %s: %w", cfg.Name, err)
	}
	p := &Port{cfg: cfg, dev: dev, tx: map[*Tx]struct{}{}}
	p.index, _ = dev.Index() // 0 when it is not there, and then every device is new
	if p.by, err = p.openXDP(); err != nil {
		p.note = sentence(err)
		if cfg.Fallback == ToNothing || p.note == "" {
			dev.Close()
			return nil, fmt.Errorf("netport: %s: %w", cfg.Name, err)
		}
		if p.by, err = p.openPacket(); err != nil {
			dev.Close()
			return nil, fmt.Errorf("netport: %s: %w", cfg.Name, err)
		}
	}
	for q := range cfg.Queues {
		r := &Rx{port: p}
		r.by.Store(&leg{rx: p.by.Rx(q)})
		p.rx = append(p.rx, r)
	}
	return p, nil
}

// sentence says why another driver is in use; empty when err is no obstacle.
func sentence(err error) string {
	why := afxdp.Why(err)
	if why == "" {
		return ""
	}
	return "AF_PACKET instead of AF_XDP: " + why
}

func (p *Port) openXDP() (driver, error) {
	var x *afxdp.Port
	err := p.dev.InNamespace(func() (err error) {
		x, err = afxdp.Open(afxdp.Config{
			Name: p.cfg.Name, Device: p.cfg.Device, Queues: p.cfg.Queues,
			ZeroCopy: p.cfg.WhenFaster, Own: p.cfg.Own, AllowAbsent: true,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

func (p *Port) openPacket() (driver, error) {
	var a *afpacket.Port
	err := p.dev.InNamespace(func() (err error) {
		a, err = afpacket.Open(afpacket.Config{
			Name: p.cfg.Name, Device: p.cfg.Device, Queues: p.cfg.Queues, Own: p.cfg.Own, AllowAbsent: true,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Name returns the port's name.
func (p *Port) Name() string { return p.cfg.Name }

// Queues returns how many Rx the port has.
func (p *Port) Queues() int { return len(p.rx) }

// Rx returns receive queue q.
func (p *Port) Rx(q int) port.Rx { return p.rx[q] }

// CanUDPGSO reports whether UDP super-frames are worth making for the driver in
// use. A Tx takes them whatever the driver.
func (p *Port) CanUDPGSO() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.by.(*afpacket.Port)
	return ok && a.CanUDPGSO()
}

// Status asks the device how it is, and takes another driver first when the one
// in use does not go with the device any more, or a better one may.
func (p *Port) Status() port.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return port.Status{Driver: port.AFXDP, Detail: "port is closed"}
	}
	s := p.by.Status()
	if p.reviewLocked() {
		s = p.by.Status()
	}
	s.Note = p.note
	return s
}

// review is reviewLocked for a worker that found the device down.
func (p *Port) review() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reviewLocked()
}

// reviewLocked looks whether the driver is still the right one, changes it when
// not, and reports whether it did.
func (p *Port) reviewLocked() bool {
	if p.closed {
		return false
	}
	if x, ok := p.by.(*afxdp.Port); ok {
		err := x.Obstacle()
		if err == nil || p.cfg.Fallback == ToNothing {
			return false
		}
		return p.toPacketLocked(err) == nil
	}
	index, err := p.dev.Index()
	if err != nil || index == p.index {
		return false
	}
	p.index = index // one try for each device
	return p.toXDPLocked() == nil
}

// toPacketLocked changes to AF_PACKET because of err, an obstacle. On an error of
// its own the port stays as it is.
func (p *Port) toPacketLocked(err error) error {
	a, openErr := p.openPacket()
	if openErr != nil {
		return openErr
	}
	p.note = sentence(err)
	p.index, _ = p.dev.Index() // 0 when it is just gone, and then every device is new
	return p.changeLocked(a)
}

// toXDPLocked changes to AF_XDP if that goes.
func (p *Port) toXDPLocked() error {
	x, err := p.openXDP()
	if err != nil {
		if s := sentence(err); s != "" {
			p.note = s
		}
		return err
	}
	p.note = ""
	return p.changeLocked(x)
}

// changeLocked gives every Rx and Tx to d and closes the driver that was. Frames
// which that one still holds are lost, as in any outage.
func (p *Port) changeLocked(d driver) error {
	old := p.by
	p.by = d
	for t := range p.tx {
		tx, err := d.NewTx()
		if err != nil {
			tx = nil // refuses everything, until the next change
		}
		t.change(tx)
	}
	for q, r := range p.rx {
		r.change(d.Rx(q))
	}
	return old.Close()
}

// SetMTU sets the device's MTU when Config.Own is set. One that AF_XDP cannot
// carry makes the port go by AF_PACKET; one that it can again, the reverse.
func (p *Port) SetMTU(mtu int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("netport: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	err := p.by.SetMTU(mtu)
	switch {
	case errors.Is(err, afxdp.ErrMTU) && p.cfg.Fallback == ToAFPacket:
		if err := p.toPacketLocked(err); err != nil {
			return err
		}
		// XDP on the device would have limited it.
		return p.by.SetMTU(mtu)
	case err == nil && p.note != "" && mtu <= afxdp.MaxMTU:
		if err := p.toXDPLocked(); err != nil && !afxdp.IsObstacle(err) && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	return err
}

// NewTx opens a transmit side for one worker.
func (p *Port) NewTx() (port.Tx, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("netport: %s: %w", p.cfg.Name, port.ErrClosed)
	}
	tx, err := p.by.NewTx()
	if err != nil {
		return nil, err
	}
	t := newTx(p, tx)
	p.tx[t] = struct{}{}
	return t, nil
}

// Reopen gives every Rx and Tx new sockets of the driver in use.
func (p *Port) Reopen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by.Reopen()
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
	err := p.by.Close()
	p.dev.Close()
	return err
}

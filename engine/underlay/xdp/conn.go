package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/netdev"
	"github.com/ztos/ztos/engine/underlay"
)

// Config says on which devices. Mux and Devices are needed.
type Config struct {
	// Mux is the sockets under it; the Conn closes it.
	Mux *underlay.Mux
	// Devices are the names of network devices, each once.
	Devices []string
	// Queues bounds the receive queues of each device that have a Receiver of
	// their own; 0 means 1. A device of fewer has fewer.
	Queues int
	// Attach says where the XDP program may run; the zero value is right for
	// all but tests.
	Attach afxdp.Attach
}

// Hop is the way to a destination that leaves by one of the devices.
type Hop struct {
	Dst    netip.Addr // IPv4 or IPv6, without zone
	Src    netip.Addr // of the same family
	Device int        // place in Config.Devices
	MAC    [6]byte    // of the next hop
}

// leg is one device.
type leg struct {
	name string
	port *afxdp.Port
	mtu  atomic.Int32 // IP packet, bytes
	rx   []*Rx

	status  underlay.Device // of the last Update; guarded by Conn.mu
	refused int             // Updates with an obstacle, in a row; guarded by Conn.mu
}

// retry is after how many Updates a device that has an obstacle is tried again
// though nothing about it has changed: the obstacle may be elsewhere.
const retry = 20

// hops is where what goes, immutable.
type hops map[netip.Addr]*route

// Conn is a Mux and devices by AF_XDP in front of it. Any goroutine, except for
// what its Rx and Tx allow.
type Conn struct {
	mux   *underlay.Mux
	legs  []*leg
	rx    []*Rx    // of all legs
	ports []uint16 // source ports by path
	hops  atomic.Pointer[hops]

	mu     sync.Mutex // guards what follows, and each leg's status
	closed bool
}

var _ underlay.Conn = (*Conn)(nil)

// Open opens the devices in the calling thread's network namespace. One that is
// not there, or with which AF_XDP does not go, is looked at again and again: it is
// not an error. Errors are what the machine lacks besides; then the Mux stays
// open. Nothing goes by AF_XDP before the first Update.
func Open(cfg Config) (*Conn, error) {
	c := &Conn{mux: cfg.Mux, ports: cfg.Mux.Status().SourcePorts}
	for _, name := range cfg.Devices {
		l, err := openLeg(&cfg, name, c.ports)
		if err != nil {
			c.closeLegs()
			return nil, fmt.Errorf("xdp: %w", err)
		}
		c.legs = append(c.legs, l)
		c.rx = append(c.rx, l.rx...)
	}
	return c, nil
}

func openLeg(cfg *Config, name string, ports []uint16) (*leg, error) {
	dev, err := netdev.Open(name)
	if err != nil {
		return nil, err
	}
	queues := min(max(cfg.Queues, 1), dev.RxQueues())
	dev.Close()
	p, err := afxdp.Open(afxdp.Config{
		Device: name, Queues: queues, Attach: cfg.Attach, AllowAbsent: true, Patient: true,
		Filter: &afxdp.Filter{Ports: ports},
	})
	if err != nil {
		return nil, err
	}
	l := &leg{name: name, port: p, status: underlay.Device{Name: name, Why: "not looked at yet"}}
	for q := range queues {
		l.rx = append(l.rx, newRx(p.Rx(q)))
	}
	return l, nil
}

// Queues returns how many Receivers there are: those of the sockets, then those
// of the devices.
func (c *Conn) Queues() int { return c.mux.Queues() + len(c.rx) }

// Receiver returns receive queue q.
func (c *Conn) Receiver(q int) underlay.Receiver {
	if n := c.mux.Queues(); q >= n {
		return c.rx[q-n]
	}
	return c.mux.Receiver(q)
}

// Paths returns how many source ports there are.
func (c *Conn) Paths() int { return c.mux.Paths() }

// NewSender opens a transmit side for one worker.
func (c *Conn) NewSender() underlay.Sender { return newTx(c) }

// SendTo sends one datagram by the sockets. Handshakes go there, so the kernel
// learns the way to a peer before it is asked for it.
func (c *Conn) SendTo(dst *underlay.Endpoint, b []byte) error { return c.mux.SendTo(dst, b) }

// LocalAddr returns the listening address and port.
func (c *Conn) LocalAddr() netip.AddrPort { return c.mux.LocalAddr() }

// Devices returns the names of the devices, in the order of Hop.Device.
func (c *Conn) Devices() (names []string) {
	for _, l := range c.legs {
		names = append(names, l.name)
	}
	return names
}

// Update makes local the addresses whose datagrams the devices take, and ways the
// next hops that frames are sent to; to all other destinations the sockets send.
// It asks the devices how they are first. For control, every now and then and
// when something changed. The error is for people: what it tells of is left as it
// was.
func (c *Conn) Update(local []netip.Addr, ways []Hop) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("xdp: %w", underlay.ErrClosed)
	}
	var errs []error
	macs := make([][6]byte, len(c.legs))
	for i, l := range c.legs {
		if err := l.port.SetAddrs(local); err != nil {
			errs = append(errs, err)
		}
		macs[i] = l.review()
	}
	next := make(hops, len(ways))
	for i := range ways {
		h := &ways[i]
		if h.Device < 0 || h.Device >= len(c.legs) || h.Dst.Is4() != h.Src.Is4() || !h.Dst.IsValid() {
			errs = append(errs, fmt.Errorf("xdp: hop %+v does not fit", *h))
			continue
		}
		if l := c.legs[h.Device]; l.status.On {
			next[h.Dst] = newRoute(h, macs[h.Device])
			l.status.Hops++
		}
	}
	c.hops.Store(&next)
	return errors.Join(errs...)
}

// review asks the device how it is and returns its MAC address.
func (l *leg) review() [6]byte {
	s := l.port.Status()
	err := l.port.Obstacle()
	if err == nil {
		l.refused = 0
	} else if l.refused++; l.refused%retry == 0 {
		l.port.Reopen() //nolint:errcheck // Obstacle tells
		err = l.port.Obstacle()
		s = l.port.Status()
	}
	l.status = underlay.Device{Name: l.name, Detail: s.Detail}
	switch {
	case err != nil:
		l.status.Why = afxdp.Why(err)
	case !s.Present:
		l.status.Why = "there is no such device"
	case !s.Up:
		l.status.Why = "the device is down"
	default:
		l.status.On = true
	}
	l.mtu.Store(int32(s.MTU))
	return s.MAC
}

// Status says how things are; of the devices, how they were at the last Update.
func (c *Conn) Status() underlay.Status {
	s := c.mux.Status()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.legs {
		d := l.status
		for _, r := range l.rx {
			d.Dropped += r.rx.Dropped()
			d.Malformed += r.malformed.Load()
		}
		s.Devices = append(s.Devices, d)
	}
	return s
}

// Close ends every Receiver and Sender. Any number of times.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.hops.Store(nil)
	for _, l := range c.legs {
		l.status.On, l.status.Why = false, "closed"
	}
	return errors.Join(c.closeLegs(), c.mux.Close())
}

func (c *Conn) closeLegs() (err error) {
	for _, l := range slices.Backward(c.legs) {
		err = errors.Join(err, l.port.Close())
	}
	return err
}

// newTx returns a transmit side of l; nil when the port is closed.
func (l *leg) newTx() port.Tx {
	t, err := l.port.NewTx()
	if err != nil {
		return nil
	}
	return t
}

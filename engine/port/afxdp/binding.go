package afxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// binding is everything that hangs on one device: program, map, and a socket for
// each of the device's receive queues.
type binding struct {
	index   int
	generic bool // the program runs behind the driver
	driver  string
	hints   hints
	queues  int

	xsks    *ebpf.Map
	addrs   *ebpf.Map // nil without a filter
	program *ebpf.Program
	link    link.Link
	sockets []*socket
}

// plan is what a device is found to be able to do.
type plan struct {
	driver   string
	queues   int
	generic  bool
	zeroCopy bool
	hints    hints
}

// partialDrivers are drivers that hand frames of a neighbour on the same machine
// over with their checksums left undone, without a place where XDP could see it.
// veth does so too, but keeps the neighbour's socket buffer within reach.
var partialDrivers = map[string]bool{"tun": true, "vif": true, "netkit": true}

// survey finds out how the device can be had, or which obstacle there is.
func survey(dev *netdev.Device, cfg *Config, index int) (p plan, err error) {
	var bus string
	if p.driver, bus, err = dev.Driver(); err != nil {
		bus = "" // a device without ethtool is made of software
	}
	if mtu := dev.MTU(); mtu > MaxMTU {
		return p, ErrMTU
	}
	if p.queues = dev.RxQueues(); p.queues < cfg.Queues {
		return p, ErrQueues
	}
	f, err := dev.XDPFeatures(index)
	switch {
	case errors.Is(err, unix.ENODEV):
		return p, err
	case err != nil:
		return p, fmt.Errorf("%w: %w", ErrKernel, err)
	}
	p.zeroCopy = f.ZeroCopy && cfg.Attach != Generic
	if cfg.ZeroCopy && !p.zeroCopy {
		if p.driver == "veth" {
			return p, ErrNoGainVeth
		}
		return p, ErrNoGain
	}
	if cfg.Attach == Generic {
		p.generic = true // tests: whoever says so knows which frames come
		return p, nil
	}
	p.generic = !f.Native
	if cfg.Filter != nil {
		// What it takes needs neither tags nor checksums. Of a software
		// device the generic hook would see super-frames.
		if p.generic && (cfg.Attach == Native || bus == "") {
			return p, ErrNoXDP
		}
		return p, nil
	}
	p.hints.tags = f.Tags && f.Native
	p.hints.csum = p.driver == "veth"
	switch {
	case p.generic && (cfg.Attach == Native || bus == ""):
		// Frames of software devices carry tags, checksums and segments beside
		// their bytes, and the generic hook looks at the bytes only.
		return p, ErrNoXDP
	case partialDrivers[p.driver]:
		return p, ErrChecksum
	case !p.hints.tags && dev.StripsTags():
		return p, ErrTags
	}
	return p, nil
}

// bind opens everything on the device, in its namespace.
func bind(dev *netdev.Device, cfg *Config, index int) (b *binding, err error) {
	p, err := survey(dev, cfg, index)
	if err != nil {
		return nil, err
	}
	b = &binding{index: index, generic: p.generic, driver: p.driver, hints: p.hints, queues: p.queues}
	err = dev.InNamespace(func() error {
		if err := b.attach(cfg.Filter); err != nil {
			return err
		}
		return b.open(cfg, p.zeroCopy)
	})
	if err != nil {
		b.close()
		return nil, explain(err)
	}
	return b, nil
}

// attach loads the program and puts it on the device.
func (b *binding) attach(f *Filter) (err error) {
	b.xsks, err = ebpf.NewMap(&ebpf.MapSpec{
		Name: "ztos_sockets", Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: uint32(b.queues),
	})
	if err != nil {
		return fmt.Errorf("socket map: %w", err)
	}
	if f == nil {
		b.program, err = newProgram(b.index, b.xsks, b.hints, b.generic)
	} else if b.addrs, err = newAddrs(); err == nil {
		b.program, err = newFilter(f, b.xsks, b.addrs)
	}
	if err != nil {
		return err
	}
	mode := link.XDPDriverMode
	if b.generic {
		mode = link.XDPGenericMode
	}
	b.link, err = link.AttachXDP(link.XDPOptions{Program: b.program, Interface: b.index, Flags: mode})
	return err
}

// A queue is free only some moments after its last socket was closed: the kernel
// frees it in a work queue.
const (
	bindTries = 100
	bindPause = 5 // milliseconds
)

// open opens a socket for every queue of the device.
func (b *binding) open(cfg *Config, zeroCopy bool) error {
	for q := range b.queues {
		var s *socket
		var err error
		for range bindTries {
			s, err = openSocket(b.index, q, zeroCopy, b.hints)
			if zeroCopy && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)) {
				if cfg.ZeroCopy {
					return fmt.Errorf("%w: %w", ErrNoGain, err)
				}
				zeroCopy = false // the driver can, but not now, or not on this queue
				continue
			}
			if !errors.Is(err, unix.EBUSY) {
				break
			}
			unix.Poll(nil, bindPause)
		}
		if err != nil {
			return err
		}
		b.sockets = append(b.sockets, s)
		if err := b.xsks.Put(uint32(q), uint32(s.fd)); err != nil {
			return fmt.Errorf("socket map: %w", err)
		}
	}
	return nil
}

// close takes the program off the device, and then frees the sockets: a queue is
// held as long as the map names its socket. Whoever uses the sockets has stopped.
func (b *binding) close() {
	if b.link != nil {
		b.link.Close()
	}
	if b.program != nil {
		b.program.Close()
	}
	if b.xsks != nil {
		b.xsks.Close()
	}
	if b.addrs != nil {
		b.addrs.Close()
	}
	for _, s := range b.sockets {
		s.close()
	}
}

// mode says for people how frames come: "native, zero copy".
func (b *binding) mode() string {
	mode := "native"
	if b.generic {
		mode = "generic"
	}
	if len(b.sockets) > 0 && b.sockets[0].zeroCopy {
		return mode + ", zero copy"
	}
	return mode + ", copy"
}

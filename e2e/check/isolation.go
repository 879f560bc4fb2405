package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ztos/ztos/lab"
)

// identityPort is where every host says its name, over TCP and UDP.
const identityPort = 7000

// Isolation is the result of Bench.Isolation.
type Isolation struct {
	// Questions "who are you?" to an address that several tenants use, over
	// TCP and UDP; all answered by the own tenant's host.
	Asked int `json:"asked"`
	// Frames that host ports saw, all looked through for other tenants' marks.
	Looked int `json:"frames_looked_at"`
	// Broadcasts with the tenant's mark that reached the tenant's other hosts.
	Broadcasts int `json:"broadcasts_received"`
	// Frames with another tenant's mark. Always 0 without an error.
	Strayed int `json:"strayed"`
}

// Isolation asks every address that a tenant uses, from each host of the tenant,
// who is there: the own tenant's host must answer, also where another tenant has
// the same address and MAC. Meanwhile all tenants talk and broadcast with their
// marks in every payload, and no host may see another tenant's.
func (b *Bench) Isolation(ctx context.Context) (Isolation, error) {
	var r Isolation
	var servers []io.Closer
	defer func() {
		for _, s := range servers {
			s.Close()
		}
	}()
	for _, name := range b.kind(lab.Host) {
		s, err := b.serveIdentity(name)
		if err != nil {
			return r, err
		}
		servers = append(servers, s)
	}
	look, err := b.lookForStrays()
	if err != nil {
		return r, err
	}
	asked, askErr := b.ask()
	r.Asked = asked
	_, pingErr := b.Matrix(ctx, 2)
	castErr := b.broadcastMarks(ctx)
	pause(ctx, 200*time.Millisecond)
	lookErr := look(&r)
	return r, errors.Join(askErr, pingErr, castErr, lookErr)
}

// identity is the servers of one host.
type identity struct {
	tcp net.Listener
	udp *net.UDPConn
}

// Close implements io.Closer.
func (i *identity) Close() error { return errors.Join(i.tcp.Close(), i.udp.Close()) }

// serveIdentity answers with the host's name whoever asks it, over TCP and UDP.
func (b *Bench) serveIdentity(name string) (*identity, error) {
	n, err := b.hostNode(name)
	if err != nil {
		return nil, err
	}
	at := netip.AddrPortFrom(addr(n, false), identityPort)
	i := &identity{}
	err = b.in(name, func() (err error) {
		if i.tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at)); err != nil {
			return err
		}
		if i.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at)); err != nil {
			i.tcp.Close()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("check: identity server of %s: %w", name, err)
	}
	go func() {
		for {
			c, err := i.tcp.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, name) //nolint:errcheck // the asker sees it
			c.Close()
		}
	}()
	go func() {
		buf := make([]byte, 64)
		for {
			_, from, err := i.udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			i.udp.WriteToUDPAddrPort([]byte(name), from) //nolint:errcheck // the asker sees it
		}
	}()
	return i, nil
}

// ask asks every host of a tenant from every other and compares the names.
func (b *Bench) ask() (asked int, err error) {
	var mu sync.Mutex
	var jobs []func() error
	b.pairs(func(tenant string, from, to *lab.Node) {
		for _, network := range []string{"tcp4", "udp4"} {
			jobs = append(jobs, func() error {
				name, err := b.whoIs(from.Name, network, addr(to, false))
				if err != nil {
					return fmt.Errorf("%s of tenant %s asks %v over %s: %w", from.Name, tenant, addr(to, false), network, err)
				}
				if name != to.Name {
					return fmt.Errorf("%s of tenant %s asks %v over %s: answered by %q, want %q", from.Name, tenant, addr(to, false), network, name, to.Name)
				}
				mu.Lock()
				asked++
				mu.Unlock()
				return nil
			})
		}
	})
	err = bounded(8, jobs)
	return asked, err
}

// whoIs asks the host at a its name.
func (b *Bench) whoIs(from, network string, a netip.Addr) (name string, err error) {
	var c net.Conn
	err = b.in(from, func() (err error) {
		d := net.Dialer{Timeout: 3 * time.Second}
		c, err = d.Dial(network, netip.AddrPortFrom(a, identityPort).String())
		return err
	})
	if err != nil {
		return "", err
	}
	defer c.Close()
	buf := make([]byte, 64)
	// UDP may lose the first datagram to address resolution.
	for try := 0; try < 3; try++ {
		c.SetDeadline(time.Now().Add(time.Second))
		if network == "udp4" {
			if _, err = c.Write([]byte("who")); err != nil {
				continue
			}
		}
		var n int
		if n, err = c.Read(buf); err == nil {
			return string(buf[:n]), nil
		}
	}
	return "", err
}

// lookForStrays taps every host. The function it returns ends that, counts, and
// fails when a host saw another tenant's mark, or not its own tenant's
// broadcasts.
func (b *Bench) lookForStrays() (func(*Isolation) error, error) {
	type watched struct {
		host *lab.Node
		tap  *tap
	}
	var taps []watched
	for _, name := range b.kind(lab.Host) {
		h, _ := b.Topo.Node(name)
		own := MarkerOf(h.Host.Tenant)
		var others []Marker
		for _, t := range b.Topo.Tenants {
			if t.Name != h.Host.Tenant {
				others = append(others, MarkerOf(t.Name))
			}
		}
		t, err := b.tap(name, func(f frame) bool {
			for _, m := range others {
				if m.in(f.data) {
					return true
				}
			}
			return !f.out && isBroadcast(f.data) && own.in(f.data)
		}, "eth0")
		if err != nil {
			for _, w := range taps {
				w.tap.close() //nolint:errcheck // given up
			}
			return nil, err
		}
		taps = append(taps, watched{h, t})
	}
	return func(r *Isolation) error {
		var errs []error
		for _, w := range taps {
			frames, err := w.tap.close()
			errs = append(errs, err)
			r.Looked += w.tap.seen
			own, got := MarkerOf(w.host.Host.Tenant), 0
			for _, f := range frames {
				if isBroadcast(f.data) && own.in(f.data) {
					got++
					continue
				}
				r.Strayed++
				errs = append(errs, fmt.Errorf("%s of tenant %s saw another tenant's frame:\n%s", w.host.Name, w.host.Host.Tenant, dump(f.data)))
			}
			r.Broadcasts += got
			if peers := len(b.Topo.Hosts(w.host.Host.Tenant)) - 1; peers > 0 && got == 0 {
				errs = append(errs, fmt.Errorf("%s got none of the broadcasts of %d other hosts of its tenant", w.host.Name, peers))
			}
			if r.Strayed > 3 {
				break
			}
		}
		return errors.Join(errs...)
	}, nil
}

func isBroadcast(f []byte) bool {
	return len(f) >= 6 && f[0]&f[1]&f[2]&f[3]&f[4]&f[5] == 0xff
}

// broadcastMarks sends a few UDP broadcasts with the tenant's mark from every
// host.
func (b *Bench) broadcastMarks(ctx context.Context) error {
	for range 3 {
		for _, name := range b.kind(lab.Host) {
			h, _ := b.Topo.Node(name)
			m, to := MarkerOf(h.Host.Tenant), subnetBroadcast(h)
			if !to.IsValid() {
				continue
			}
			err := b.in(name, func() error {
				c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = c.Write(append(m[:], m[:]...))
				return err
			})
			if err != nil {
				return fmt.Errorf("check: broadcast from %s: %w", name, err)
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	return nil
}

// subnetBroadcast returns the broadcast address of a host's IPv4 subnet.
func subnetBroadcast(h *lab.Node) netip.Addr {
	for _, p := range h.Host.Addresses {
		if p.Addr().Is4() {
			a := p.Addr().As4()
			for bit := p.Bits(); bit < 32; bit++ {
				a[bit/8] |= 0x80 >> (bit % 8)
			}
			return netip.AddrFrom4(a)
		}
	}
	return netip.Addr{}
}

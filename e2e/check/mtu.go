package check

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// Headers between the payload of an ICMP echo and the tenant MTU, bytes.
const (
	echo4 = 20 + 8 // IPv4, ICMP
	echo6 = 40 + 8 // IPv6, ICMPv6
)

// FullMTU is the result of Bench.FullMTU.
type FullMTU struct {
	MTU   int `json:"mtu"` // bytes of Ethernet payload
	Pings int `json:"pings"`
}

// FullMTU sends echo requests as large as the tenant MTU, with DF, between the
// first two hosts of every tenant. All must be answered.
func (b *Bench) FullMTU(ctx context.Context) (FullMTU, error) {
	var r FullMTU
	for _, t := range b.Topo.Tenants {
		hosts := b.Topo.Hosts(t.Name)
		if len(hosts) < 2 {
			continue
		}
		r.MTU = t.MTU
		marker := MarkerOf(t.Name)
		for _, v6 := range []bool{false, true} {
			dst, head := addr(hosts[1], v6), echo4
			if v6 {
				head = echo6
			}
			if !dst.IsValid() {
				continue
			}
			p, err := b.ping(ctx, hosts[0].Name, dst, pingOptions{count: 3, size: t.MTU - head, dontFragment: true, marker: &marker})
			if err != nil {
				return r, err
			}
			if p.Received != p.Sent {
				return r, fmt.Errorf("%s to %v: %d of %d echoes with packets of %d bytes answered", hosts[0].Name, dst, p.Received, p.Sent, t.MTU)
			}
			r.Pings += p.Sent
		}
	}
	return r, nil
}

// Oversize is the result of Bench.Oversize.
type Oversize struct {
	HostMTU int `json:"host_mtu"`
	Told4   int `json:"told_mtu_ipv4"` // by ICMP fragmentation needed
	Told6   int `json:"told_mtu_ipv6"` // by ICMPv6 packet too big
	// Echo requests without DF, of 5, that were answered: the sender that was
	// told fragments from then on.
	Fragmented int `json:"answered_without_df"`
	// Frames counted as oversized-icmp-sent at the leaf.
	Counted uint64 `json:"counted"`
	// TCP between hosts that both believe in HostMTU, Mbit/s: works because
	// the MSS is clamped.
	TCP float64 `json:"tcp_mbps"`
	// The same without the clamp: works because the sender is told the MTU.
	Unclamped float64 `json:"tcp_without_clamp_mbps"`
}

// Oversize raises the MTU of two hosts of the first tenant to hostMTU, above
// the tenant MTU, and sends packets that large. They must be answered by ICMP
// fragmentation-needed and packet-too-big with the tenant MTU, be counted, and
// TCP, and echo requests that may be fragmented, must work all the same. The MTUs
// are set back.
func (b *Bench) Oversize(ctx context.Context, hostMTU int) (r Oversize, err error) {
	t := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(t.Name)
	from, to := hosts[0], hosts[1]
	r.HostMTU = hostMTU
	for _, h := range []*lab.Node{from, to} {
		if err := b.setHostMTU(ctx, h, hostMTU); err != nil {
			return r, err
		}
		defer b.setHostMTU(context.WithoutCancel(ctx), h, h.Host.MTU)
	}
	leaf := from.Host.Port.Node
	before, err := b.Drops(ctx, leaf)
	if err != nil {
		return r, err
	}
	if r.Told4, err = b.told(ctx, from, addr(to, false), hostMTU-echo4, t.MTU); err != nil {
		return r, err
	}
	if r.Told6, err = b.told(ctx, from, addr(to, true), hostMTU-echo6, t.MTU); err != nil {
		return r, err
	}
	if r.Fragmented, err = b.mayFragment(ctx, from, to, hostMTU-echo4); err != nil {
		return r, err
	}
	after, err := b.Drops(ctx, leaf)
	if err != nil {
		return r, err
	}
	const reason = "oversized-icmp-sent"
	if r.Counted = after[reason] - before[reason]; r.Counted == 0 {
		return r, fmt.Errorf("%s: ICMP was sent, but %s did not grow", leaf, reason)
	}
	if r.TCP, err = b.forgetfulTCP(ctx, from, to); err != nil {
		return r, fmt.Errorf("with a host MTU of %d: %w", hostMTU, err)
	}
	unclamped := func(c *config.Node) {
		for i := range c.BridgeDomains {
			c.BridgeDomains[i].MSSClamp = config.Off
		}
	}
	err = b.reconfigure(ctx, leaf, unclamped, func() error {
		return b.reconfigure(ctx, to.Host.Port.Node, unclamped, func() (err error) {
			r.Unclamped, err = b.forgetfulTCP(ctx, from, to)
			return err
		})
	})
	if err != nil {
		return r, fmt.Errorf("with a host MTU of %d and no MSS clamp: %w", hostMTU, err)
	}
	return r, nil
}

// mayFragment sends echo requests that are too large and may be fragmented,
// between hosts that have forgotten what they were told, and returns how many
// were answered. The first tells each side its MTU; those after it must pass.
func (b *Bench) mayFragment(ctx context.Context, from, to *lab.Node, size int) (int, error) {
	if err := b.forget(ctx, from, to); err != nil {
		return 0, err
	}
	const count = 5
	p, err := b.ping(ctx, from.Name, addr(to, false), pingOptions{count: count, size: size})
	if err == nil && p.Received < count-2 {
		err = fmt.Errorf("%s to %s: %d of %d echoes of %d bytes without DF answered", from.Name, to.Name, p.Received, count, size)
	}
	return p.Received, err
}

// forget makes hosts forget which MTUs they were told of.
func (b *Bench) forget(ctx context.Context, hosts ...*lab.Node) error {
	for _, h := range hosts {
		for _, f := range []string{"-4", "-6"} {
			if _, err := b.run(ctx, h.Name, "ip", f, "route", "flush", "cache"); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetfulTCP runs TCP between hosts that have forgotten which MTUs they were
// told of, and returns Mbit/s.
func (b *Bench) forgetfulTCP(ctx context.Context, from, to *lab.Node) (float64, error) {
	if err := b.forget(ctx, from, to); err != nil {
		return 0, err
	}
	r, err := b.TCP(ctx, from.Name, to.Name, 2)
	if err == nil && r.Mbps < 1 {
		err = fmt.Errorf("TCP from %s to %s all but stalls: %.2f Mbit/s", from.Name, to.Name, r.Mbps)
	}
	return r.Mbps, err
}

// What ping(8) prints when a router told it the MTU.
var pingMTU = regexp.MustCompile(`(?i)(?:frag(?:mentation)? needed.*mtu ?=|packet too big: mtu=) ?(\d+)`)

// told sends DF packets that are too large, with ping(8), and returns the MTU
// that it was told of, which must be want.
func (b *Bench) told(ctx context.Context, from *lab.Node, to netip.Addr, size, want int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// It fails, because it gets no answer.
	out, _ := b.run(ctx, from.Name, "ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-M", "do", "-s", strconv.Itoa(size), to.String())
	m := pingMTU.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s to %v, %d bytes of payload with DF: told no MTU, want %d: %s", from.Name, to, size, want, tail(out, 300))
	}
	mtu, _ := strconv.Atoi(m[1])
	if mtu != want || !strings.Contains(out, " 0 received") {
		return mtu, fmt.Errorf("%s to %v, %d bytes of payload with DF: told MTU %d, want %d and no answer: %s", from.Name, to, size, mtu, want, tail(out, 300))
	}
	return mtu, nil
}

// setHostMTU sets the MTU of a host and of the port it hangs on.
func (b *Bench) setHostMTU(ctx context.Context, h *lab.Node, mtu int) error {
	port := h.Host.Port
	if _, err := b.run(ctx, port.Node, "ip", "link", "set", port.Dev, "mtu", strconv.Itoa(mtu)); err != nil {
		return err
	}
	_, err := b.run(ctx, h.Name, "ip", "link", "set", "eth0", "mtu", strconv.Itoa(mtu))
	return err
}

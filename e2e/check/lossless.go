package check

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ztos/ztos/api/ztosv1"
)

// Lossless is the result of Bench.Lossless: what engines and kernels lost during
// one TCP stream.
type Lossless struct {
	TCP Segments `json:"tcp"`
	// What all engines dropped, by reason, without benign ones.
	Drops Drops `json:"drops"`
	// Benign drops: see benignDrops.
	Benign Drops `json:"benign"`
	// wg-auth-failed and macsec-not-valid; wg-replayed and macsec-replayed.
	AuthFailures uint64 `json:"auth_failures"`
	Replays      uint64 `json:"replay_drops"`
	// Frames that kernels lost at the engines' doors: packet sockets that were
	// full, and UDP sockets that were full or got a bad checksum.
	PortLost     uint64 `json:"port_rx_dropped"`
	UnderlayLost uint64 `json:"underlay_rx_dropped"`
}

// benignDrops are reasons that count frames which nobody misses: link-local
// control frames, which end at every bridge port, and copies of a flooded frame
// at leaves that know its destination elsewhere.
var benignDrops = []string{"link-local-reserved", "split-horizon"}

// Lossless runs one TCP stream between the first two hosts of the first tenant
// and compares all counters of loss before and after: engine drops of any reason
// but benign ones, frames that the kernel could not hand to an engine's port, and
// datagrams that it could not hand to an engine's underlay socket. Each must
// stay as it was, and every segment that the sending kernel counted the receiving
// one must have counted too. So whatever the sender sent again it sent on a guess:
// a tail loss probe, or frames that overtook each other where a kernel thread
// changed the CPU.
func (b *Bench) Lossless(ctx context.Context, secs int) (Lossless, error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	return b.LosslessBetween(ctx, h[0].Name, h[1].Name, secs)
}

// LosslessBetween is Lossless between two hosts of a tenant.
func (b *Bench) LosslessBetween(ctx context.Context, from, to string, secs int) (Lossless, error) {
	var r Lossless
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	if r.TCP, err = b.segments(ctx, from, to, secs); err != nil {
		return r, err
	}
	after, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	r.Drops, r.Benign = Drops{}, Drops{}
	for node, d := range after.drops {
		for reason, n := range d.since(before.drops[node]) {
			r.Drops[reason] += n
		}
	}
	for _, reason := range benignDrops {
		if n, ok := r.Drops[reason]; ok {
			r.Benign[reason] = n
			delete(r.Drops, reason)
		}
	}
	r.AuthFailures = r.Drops["wg-auth-failed"] + r.Drops["macsec-not-valid"]
	r.Replays = r.Drops["wg-replayed"] + r.Drops["macsec-replayed"] + r.Drops["macsec-late"]
	r.PortLost = sum(after.ports, before.ports)
	r.UnderlayLost = sum(after.underlay, before.underlay)
	if len(r.Drops) > 0 || r.PortLost > 0 || r.UnderlayLost > 0 || r.TCP.Lost() != 0 || r.TCP.Sent == 0 {
		return r, fmt.Errorf("in %d s of TCP: drops %v, %d frames lost at ports, %d at underlay sockets, %d of %d segments; want no loss",
			secs, r.Drops, r.PortLost, r.UnderlayLost, r.TCP.Lost(), r.TCP.Sent)
	}
	return r, nil
}

// protocolCounters reads the form of /proc/net/snmp and netstat: for each
// protocol a line of names and a line of values. Negative values are left out.
func protocolCounters(text string) map[string]uint64 {
	out := map[string]uint64{}
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		if len(names) != len(f) || names[0] != f[0] {
			names = f
			continue
		}
		for i := 1; i < len(f); i++ {
			if v, err := strconv.ParseUint(f[i], 10, 64); err == nil {
				out[strings.TrimSuffix(f[0], ":")+"."+names[i]] = v
			}
		}
		names = nil
	}
	return out
}

// losses are all counters of lost frames.
type losses struct {
	drops           map[string]Drops
	ports, underlay map[string]uint64 // by node
}

// whatWasLost returns an error that names what was dropped since before, and
// where; nil when nothing was.
func (b *Bench) whatWasLost(ctx context.Context, before losses) error {
	after, err := b.losses(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range b.Engines() {
		if d := after.drops[name].since(before.drops[name]); len(d) > 0 {
			errs = append(errs, fmt.Errorf("%s dropped meanwhile: %v", name, d))
		}
		if n := after.ports[name] - before.ports[name]; n > 0 {
			errs = append(errs, fmt.Errorf("%s lost %d frames at its ports", name, n))
		}
		if n := after.underlay[name] - before.underlay[name]; n > 0 {
			errs = append(errs, fmt.Errorf("%s lost %d datagrams at its underlay sockets", name, n))
		}
	}
	return errors.Join(errs...)
}

// sum adds up the differences of two counters by node.
func sum(after, before map[string]uint64) (n uint64) {
	for name := range after {
		n += after[name] - before[name]
	}
	return n
}

// losses reads the counters of all engines, which must run.
func (b *Bench) losses(ctx context.Context) (l losses, err error) {
	l.ports, l.underlay = map[string]uint64{}, map[string]uint64{}
	if l.drops, err = b.allDrops(ctx); err != nil {
		return l, err
	}
	for _, name := range b.Engines() {
		err := b.call(ctx, name, func(ctx context.Context, n *node) error {
			r, err := n.ListPorts(ctx, &ztosv1.ListPortsRequest{})
			for _, p := range r.GetPorts() {
				l.ports[name] += p.RxDropped + p.TxRefused
			}
			return err
		})
		if err != nil {
			return l, err
		}
		n, err := b.udpLost(ctx, name)
		if err != nil {
			return l, err
		}
		l.underlay[name] += n
	}
	return l, nil
}

// udpLost reads from the kernel how many UDP datagrams a node's sockets lost,
// full or with a bad checksum, over IPv4 and IPv6.
func (b *Bench) udpLost(ctx context.Context, name string) (n uint64, err error) {
	// /proc/net shows the namespace of the reading process.
	four, err := b.run(ctx, name, "cat", "/proc/net/snmp")
	if err != nil {
		return 0, err
	}
	six, err := b.run(ctx, name, "cat", "/proc/net/snmp6")
	if err != nil {
		return 0, err
	}
	c := protocolCounters(four)
	for line := range strings.Lines(six) { // a name and a value
		if f := strings.Fields(line); len(f) == 2 {
			c[f[0]], _ = strconv.ParseUint(f[1], 10, 64)
		}
	}
	for _, what := range []string{"RcvbufErrors", "SndbufErrors", "InCsumErrors"} {
		v4, ok4 := c["Udp."+what]
		v6, ok6 := c["Udp6"+what]
		if !ok4 || !ok6 {
			return 0, fmt.Errorf("check: the kernel of %s does not count %s of UDP", name, what)
		}
		n += v4 + v6
	}
	return n, nil
}

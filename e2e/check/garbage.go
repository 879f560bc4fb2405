package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/lab"
)

// Garbage is the result of Bench.Garbage.
type Garbage struct {
	Seed   uint64 `json:"seed"`
	Port   int    `json:"frames_at_port"`
	Link   int    `json:"datagrams_on_link"`
	Inside int    `json:"packets_inside_wireguard"`
	// What the engines dropped of it.
	Drops Drops `json:"drops"`
}

// Garbage throws broken things at a leaf from all sides: mutated frames into a
// tenant port, mutated datagrams at its WireGuard port and, from a rogue spine,
// mutated packets inside WireGuard. No engine may fault or end, no other tenant's
// host may see any, and afterwards the fabric works as before.
func (b *Bench) Garbage(ctx context.Context) (r Garbage, err error) {
	r.Seed, r.Drops = rand.Uint64(), Drops{}
	rng := rand.New(rand.NewPCG(r.Seed, 0))
	before, err := b.allDrops(ctx)
	if err != nil {
		return r, err
	}
	look, err := b.lookForStrays()
	if err != nil {
		return r, err
	}
	throwErr := errors.Join(b.garbageAtPort(&r, rng), b.forgetNeighbours(ctx), b.garbageOnLink(ctx, &r, rng))
	if b.kind(lab.Spine) != nil && throwErr == nil {
		throwErr = b.garbageInside(ctx, &r, rng)
	}
	var seen Isolation
	castErr := b.broadcastMarks(ctx)
	pause(ctx, 200*time.Millisecond)
	if err := errors.Join(throwErr, castErr, look(&seen)); err != nil {
		return r, fmt.Errorf("seed %d: %w", r.Seed, err)
	}
	return r, b.unharmed(ctx, &r, before)
}

// unharmed looks whether all engines live on without a fault.
func (b *Bench) unharmed(ctx context.Context, r *Garbage, before map[string]Drops) error {
	for _, e := range b.Engines() {
		err := b.call(ctx, e, func(ctx context.Context, n *node) error {
			st, err := n.GetStatus(ctx, &ztosv1.GetStatusRequest{})
			for _, w := range st.GetWorkers() {
				if w.Faults > 0 {
					err = errors.Join(err, fmt.Errorf("worker %s of %s had %d faults", w.Name, e, w.Faults))
				}
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("seed %d: %w", r.Seed, err)
		}
		d, err := b.Drops(ctx, e)
		if err != nil {
			return err
		}
		old := before[e]
		if slices.Contains(b.kind(lab.Spine), e) {
			old = nil // was started again
		}
		for reason, n := range d.since(old) {
			r.Drops[reason] += n
		}
	}
	if n := r.Drops["worker-fault"]; n > 0 {
		return fmt.Errorf("seed %d: worker-fault %d", r.Seed, n)
	}
	if err := b.AwaitReach(ctx, 20*time.Second); err != nil {
		return fmt.Errorf("seed %d: after the garbage: %w", r.Seed, err)
	}
	return nil
}

// forgetNeighbours empties the hosts' neighbour tables: what the garbage has
// taught a tenant's own hosts about each other is no fault of the fabric.
func (b *Bench) forgetNeighbours(ctx context.Context) error {
	for _, h := range b.kind(lab.Host) {
		if _, err := b.run(ctx, h, "ip", "neigh", "flush", "dev", "eth0"); err != nil {
			return err
		}
	}
	return nil
}

// mutate returns b with some bytes changed, cut off or repeated, from offset from
// on.
func mutate(rng *rand.Rand, b []byte, from int) []byte {
	b = slices.Clone(b)
	for range 1 + rng.IntN(4) {
		if len(b) <= from+1 {
			break
		}
		at := from + rng.IntN(len(b)-from)
		switch rng.IntN(5) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = byte(rng.Uint32())
		case 2:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[rng.IntN(5)]
		case 3:
			b = b[:at]
		case 4:
			b = slices.Concat(b[:at], b[max(from, at-rng.IntN(40)):])
		}
	}
	return b
}

// garbageAtPort sends mutated frames of many kinds into the first host's port.
func (b *Bench) garbageAtPort(r *Garbage, rng *rand.Rand) error {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	mark := MarkerOf(b.Topo.Tenants[0].Name)
	t, err := b.tap(h[0].Name, func(frame) bool { return false }, "eth0")
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // only for sending
	udp, err := tenantFrame(endpointOf(h[0]), endpointOf(h[1]), mark)
	if err != nil {
		return err
	}
	vlan := slices.Concat(udp[:12], []byte{0x81, 0, 0, 100, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 7}, udp[12:])
	macsec := slices.Concat(udp[:12], []byte{0x88, 0xe5, 0x2c, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0, 1}, udp[12:])
	arp := slices.Concat(udp[:12], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, udp[6:12], []byte{10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 1, 0, 2})
	ip6 := slices.Concat(udp[:12], []byte{0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 0, 64}, make([]byte, 32),
		[]byte{58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0}, mark[:])
	tcp := slices.Concat(udp[:14], []byte{0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0}, udp[26:34],
		[]byte{0, 7, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 16, 0, 0, 0, 0, 0, 2, 4, 5, 180, 4, 2, 8, 10}, make([]byte, 12))
	kinds := [][]byte{udp, vlan, macsec, arp, ip6, tcp}
	for range 3000 {
		f := mutate(rng, kinds[rng.IntN(len(kinds))], 12)
		if rng.IntN(20) == 0 {
			f = mutate(rng, f, 0) // addresses too
		}
		if len(f) < 14 || len(f) > 1514 {
			continue // the device does not take it
		}
		if err := t.send("eth0", f); err != nil {
			return err
		}
		if r.Port++; r.Port%100 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	return nil
}

// garbageOnLink sends mutated datagrams to the first leaf's WireGuard port.
func (b *Bench) garbageOnLink(ctx context.Context, r *Garbage, rng *rand.Rand) error {
	leaf := b.kind(lab.Leaf)[0]
	var from lab.Ref
	for _, l := range b.Topo.Links {
		for i, e := range l.Ends {
			if e.At.Node == leaf && from.Node == "" {
				from = l.Ends[1-i].At
			}
		}
	}
	t, err := b.tap(from.Node, func(f frame) bool {
		d, ok := parseUDP(f.data)
		return ok && f.out && d.dst.Port() == lab.WireGuardPort && len(d.payload) > 0 && d.payload[0] == wgData
	}, from.Dev)
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // a sample is enough
	sample, err := b.sampleData(ctx, t)
	if err != nil {
		return err
	}
	d, _ := parseUDP(sample.data)
	for range 3000 {
		msg := slices.Clone(d.payload)
		switch rng.IntN(4) {
		case 0: // handshake messages of the right length
			n := []int{148, 92, 64}[rng.IntN(3)]
			msg = append(msg, make([]byte, 200)...)[:n]
			binary.LittleEndian.PutUint32(msg, map[int]uint32{148: 1, 92: 2, 64: 3}[n])
		case 1:
			binary.LittleEndian.PutUint64(msg[8:], rng.Uint64())
		}
		if err := t.send(from.Dev, withPayload(sample.data, d, mutate(rng, msg, 0))); err != nil {
			return err
		}
		if r.Link++; r.Link%50 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	return nil
}

// garbageInside lets a rogue in the last spine's place send mutated packets to
// the second leaf.
func (b *Bench) garbageInside(ctx context.Context, r *Garbage, rng *rand.Rand) (err error) {
	spines, leaves := b.kind(lab.Spine), b.kind(lab.Leaf)
	last := len(spines) - 1
	for _, s := range spines[:last] {
		b.dropNode(s)
		if err := b.Lab.StopProcess(ctx, s, lab.EngineProcess, sigterm); err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, b.startEngine(context.WithoutCancel(ctx), s))
		}()
	}
	g, err := b.rogue(ctx, spines[last], nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.end(ctx)) }()
	g.behave(forward)
	if err := b.AwaitReach(ctx, 15*time.Second); err != nil {
		return err
	}
	seen, fresh, err := b.samples(ctx, g, b.Topo.Tenants[0], leaves[0], leaves[1])
	if err != nil {
		return err
	}
	g.behave(forward)
	for i := range 3000 {
		o := seen
		if i%2 == 0 {
			o = fresh[rng.IntN(len(fresh))]
		}
		// From UDP on: wireguard-go needs a destination to route by, and
		// cuts what IP's own length does not cover.
		m := outer(mutate(rng, o, offUDP))
		if rng.IntN(3) > 0 {
			m = outer(mutate(rng, o, offVXLAN))
		}
		if len(m) < offVXLAN {
			continue
		}
		if rng.IntN(4) > 0 {
			m.finish()
		} else {
			binary.BigEndian.PutUint16(m[2:], uint16(len(m)))
		}
		g.send(m)
		if r.Inside++; r.Inside%50 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
	pause(ctx, 200*time.Millisecond)
	return nil
}

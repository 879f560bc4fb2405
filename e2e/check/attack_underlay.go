package check

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ztos/ztos/lab"
)

// AttackUnderlay injects datagrams between the first leaf and its first
// neighbour, at both ends, as somebody can who sits on the link: a data message
// once more, a changed one, one cut off, VXLAN in the clear, random bytes, a
// message to no session. Each must be counted under its reason, and nothing may
// come out at a host.
func (b *Bench) AttackUnderlay(ctx context.Context) ([]Attack, error) {
	leaf := b.kind(lab.Leaf)[0]
	var here, there lab.Ref // the leaf's end of the link, and the other
	for _, l := range b.Topo.Links {
		for i, e := range l.Ends {
			if e.At.Node == leaf && here.Node == "" {
				here, there = e.At, l.Ends[1-i].At
			}
		}
	}
	var out []Attack
	var errs []error
	// Datagrams to the leaf are put on the link by the neighbour, and the
	// other way round.
	for _, way := range [][2]lab.Ref{{there, here}, {here, there}} {
		as, err := b.attackLink(ctx, way[0], way[1])
		out = append(out, as...)
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// attackLink injects at from datagrams to the engine at to.
func (b *Bench) attackLink(ctx context.Context, from, to lab.Ref) ([]Attack, error) {
	t, err := b.tap(from.Node, func(f frame) bool {
		d, ok := parseUDP(f.data)
		return ok && f.out && d.dst.Port() == lab.WireGuardPort && len(d.payload) > 0 && d.payload[0] == wgData
	}, from.Dev)
	if err != nil {
		return nil, err
	}
	defer t.close() //nolint:errcheck // only single frames of it are used
	sample, err := b.sampleData(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("%v to %v: %w", from, to, err)
	}
	f, err := b.field()
	if err != nil {
		return nil, err
	}
	defer f.close() //nolint:errcheck // counted while open
	d, _ := parseUDP(sample.data)
	msg := d.payload
	put := func(p []byte) func() error {
		return func() error { return t.send(from.Dev, withPayload(sample.data, d, p)) }
	}
	// Ahead of every counter in use, so that it is not taken for a replay.
	ahead := func(p []byte) []byte {
		p = slices.Clone(p)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])+5000)
		return p
	}
	tampered := ahead(msg)
	tampered[len(tampered)/2] ^= 1
	stranger := ahead(msg)
	stranger[4] ^= 0xff
	stranger[7] ^= 0xff
	random := make([]byte, 300)
	rand.Read(random) // never fails
	random[0] = 0x99  // not a message type
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	clear, err := tenantFrame(endpointOf(h[1]), endpointOf(h[0]), MarkerOf(b.Topo.Tenants[0].Name))
	if err != nil {
		return nil, err
	}
	src, _ := b.Topo.Node(from.Node)
	dst, _ := b.Topo.Node(to.Node)
	vxlan := newOuter(src.Address, dst.Address, uint32(b.Topo.Tenants[0].VNI), clear)[offVXLAN:]
	toVXLAN := slices.Clone(withPayload(sample.data, d, vxlan))
	binary.BigEndian.PutUint16(toVXLAN[d.udp+2:], 4789)
	return f.series(ctx, []assault{
		{"wireguard", "data message replayed", to.Node, "wg-replayed", 1, put(msg)},
		{"wireguard", "data message tampered with", to.Node, "wg-auth-failed", 1, put(tampered)},
		{"wireguard", "data message cut off", to.Node, "wg-auth-failed", 1, put(ahead(msg)[:len(msg)-16])},
		{"wireguard", "data message to no session", to.Node, "wg-unknown-index", 1, put(stranger)},
		{"underlay", "headless datagram", to.Node, "wg-bad-message", 1, put(msg[:20])},
		{"underlay", "random bytes", to.Node, "wg-bad-message", 1, put(random)},
		{"underlay", "cleartext VXLAN to the WireGuard port", to.Node, "wg-bad-message", 1, put(vxlan)},
		{"underlay", "cleartext VXLAN to the VXLAN port", to.Node, "", 1, func() error { return t.send(from.Dev, toVXLAN) }},
	})
}

// sampleData lets hosts ping until the tap has a data message with a tenant
// packet in it.
func (b *Bench) sampleData(ctx context.Context, t *tap) (frame, error) {
	var got frame
	err := eventually(ctx, 5*time.Second, func() error {
		if _, err := b.matrix(ctx, b.Topo.Tenants[0].Name, 1); err != nil {
			return err
		}
		var ok bool
		got, ok = t.first(100*time.Millisecond, func(f frame) bool {
			d, _ := parseUDP(f.data)
			msgs, ok := wgMessages(d.payload)
			return ok && len(msgs) == 1 && len(d.payload) > 200
		})
		if !ok {
			return errors.New("no data message with a tenant packet seen")
		}
		return nil
	})
	return got, err
}

// endpointOf returns a host's address and MAC, which the topology must give.
func endpointOf(h *lab.Node) endpoint {
	e := endpoint{ip: addr(h, false)}
	h.Host.MAC.Put(e.mac[:])
	return e
}

package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ztos/ztos/lab"
)

// Addresses that belong to nobody, for attacks.
var (
	nobody      = netip.MustParseAddr("10.255.0.99")
	nobodyHost  = netip.PrefixFrom(nobody, 32)
	strangeVTEP = netip.MustParseAddr("10.255.0.77")
)

// RogueSpine is the result of Bench.AttackSpine.
type RogueSpine struct {
	// Packets that the rogue carried honestly first, and what they were: all
	// VXLAN whose payload is MACsec.
	Carried int      `json:"carried"`
	Attacks []Attack `json:"attacks"`
}

// AttackSpine replaces the last spine by a rogue with the spine's WireGuard key,
// stops the others, so that all traffic passes it, and lets it do its worst. It
// carries traffic honestly first; it speaks no BGP, so with EVPN the leaves go by
// what the spines told them before they were killed, which is the worst case: with
// an orderly end they would forget it. Then it changes, repeats and invents packets:
// each must be counted by the receiving leaf under its reason, and nothing may
// come out at a host. The spines run again at the end.
func (b *Bench) AttackSpine(ctx context.Context) (out RogueSpine, err error) {
	spines, leaves := b.kind(lab.Spine), b.kind(lab.Leaf)
	if len(spines) == 0 || len(leaves) < 3 {
		return out, errors.New("check: a rogue spine needs a spine and three leaves")
	}
	last := len(spines) - 1
	for _, s := range spines[:last] {
		b.dropNode(s)
		if err := b.Lab.StopProcess(ctx, s, lab.EngineProcess, sigkill); err != nil {
			return out, err
		}
		defer func() {
			err = errors.Join(err, b.startEngine(context.WithoutCancel(ctx), s))
		}()
	}
	r, err := b.rogue(ctx, spines[last], map[string][]netip.Prefix{leaves[1]: {nobodyHost}})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.end(ctx)) }()

	r.behave(forward)
	if err := b.AwaitReach(ctx, 15*time.Second); err != nil {
		return out, fmt.Errorf("through the rogue spine, honest: %w", err)
	}
	t := b.Topo.Tenants[0]
	if _, err := b.matrix(ctx, t.Name, 2); err != nil {
		return out, fmt.Errorf("through the rogue spine, honest: %w", err)
	}
	for _, p := range r.packets() {
		for _, t := range b.Topo.Tenants {
			if MarkerOf(t.Name).in(p) {
				return out, fmt.Errorf("the spine can read tenant %s:\n%s", t.Name, dump(p))
			}
		}
	}
	out.Carried = len(r.packets())

	// Packets that the leaf has not seen, and one that it has.
	seen, fresh, err := b.samples(ctx, r, t, leaves[0], leaves[1])
	if err != nil {
		return out, err
	}
	f, err := b.field(spines...)
	if err != nil {
		return out, err
	}
	defer f.close() //nolint:errcheck // counted while open
	if b.Topo.Fabric.EVPN {
		f.noise = []string{"wg-peer-down"} // leaves look for the BGP of the spines that are dead
	}
	as, err := b.spineAssaults(r, seen, fresh, leaves)
	if err != nil {
		return out, err
	}
	r.behave(forward) // only the assaults lie
	out.Attacks, err = f.series(ctx, as)
	return out, err
}

// samples returns a packet from one leaf to another that was delivered, and
// packets that the rogue withheld.
func (b *Bench) samples(ctx context.Context, r *rogue, t lab.Tenant, from, to string) (seen outer, fresh []outer, err error) {
	var a, z *lab.Node
	for _, h := range b.Topo.Hosts(t.Name) {
		switch h.Host.Port.Node {
		case from:
			a = h
		case to:
			z = h
		}
	}
	if a == nil || z == nil {
		return nil, nil, fmt.Errorf("check: tenant %s has no hosts on %s and %s", t.Name, from, to)
	}
	src, _ := b.Topo.Node(from)
	pick := func() []outer {
		var out []outer
		for _, p := range r.packets() {
			// Long enough to be an echo with the mark, not address resolution.
			if p.src() == src.Address && p.vni() == uint32(t.VNI) && len(p) > 150 {
				out = append(out, p)
			}
		}
		return out
	}
	m := MarkerOf(t.Name)
	ping := pingOptions{count: 3, size: 100, marker: &m}
	r.behave(forward)
	if _, err := b.ping(ctx, a.Name, addr(z, false), ping); err != nil {
		return nil, nil, err
	}
	if got := pick(); len(got) > 0 {
		seen = got[len(got)-1]
	}
	r.behave(withhold)
	if _, err := b.ping(ctx, a.Name, addr(z, false), ping); err != nil {
		return nil, nil, err
	}
	fresh = pick()
	if seen == nil || len(fresh) < 2 {
		return nil, nil, fmt.Errorf("the rogue spine heard %d and %d echoes from %s, want 1 and 2", len(seen), len(fresh), from)
	}
	return seen, fresh, nil
}

// spineAssaults returns what a rogue spine tries on leaves[1], with packets of
// leaves[0]: one that was delivered before and some that were not.
func (b *Bench) spineAssaults(r *rogue, seen outer, fresh []outer, leaves []string) ([]assault, error) {
	target := leaves[1]
	third, _ := b.Topo.Node(leaves[2])
	spine, _ := b.Topo.Node(r.node)
	t := b.Topo.Tenants[0]
	h := b.Topo.Hosts(t.Name)
	cleartext, err := tenantFrame(endpointOf(h[0]), endpointOf(h[1]), MarkerOf(t.Name))
	if err != nil {
		return nil, err
	}
	// Ahead of every number in use, so that it is not taken for a replay.
	ahead := seen.with(func(o outer) { o.setPN(o.pn() + 100) })
	put := func(o outer) func() error {
		return func() error { r.send(o); return nil }
	}
	as := []assault{
		{"macsec", "frame tampered with", target, "macsec-not-valid", 1,
			put(ahead.with(func(o outer) { o[offSecure+20] ^= 1 }))},
		{"macsec", "frame replayed", target, "macsec-replayed", 1, put(seen)},
		{"macsec", "frame in the clear", target, "macsec-untagged", 1,
			put(newOuter(seen.src(), seen.dst(), uint32(t.VNI), cleartext))},
		{"macsec", "SecTAG of another version", target, "macsec-bad-tag", 1,
			put(ahead.with(func(o outer) { o[offTCI] |= 0x80 }))},
		{"macsec", "packet number 0", target, "macsec-bad-tag", 1,
			put(ahead.with(func(o outer) { o.setPN(0) }))},
		{"macsec", "AN without a key", target, "macsec-not-using-sa", 1,
			put(ahead.with(func(o outer) { o[offTCI] = o[offTCI]&^3 | 3 }))},
		{"macsec", "unknown SCI", target, "macsec-unknown-sci", 1,
			put(ahead.with(func(o outer) { o[offSCI+5] ^= 0x55 }))},
		{"macsec", "genuine frame under another leaf's VTEP", target, "macsec-foreign-sci", 1,
			put(fresh[0].with(func(o outer) { o.setSrc(third.Address) }))},
		{"vxlan", "VNI that nobody has", target, "vxlan-unknown-vni", 1,
			put(ahead.with(func(o outer) { o.setVNI(0xabcdef) }))},
		{"vxlan", "header without a VNI flag", target, "vxlan-bad-header", 1,
			put(ahead.with(func(o outer) { o[offVXLAN] = 0 }))},
		{"vxlan", "source that is no VTEP", target, "vxlan-unknown-vtep", 1,
			put(ahead.with(func(o outer) { o.setSrc(spine.Address) }))},
		{"vxlan", "transit through a leaf", target, "not-a-spine", 1,
			put(ahead.with(func(o outer) { o.setDst(nobody) }))},
		{"wireguard", "source outside the allowed IPs", target, "wg-not-allowed-ip", 1,
			put(ahead.with(func(o outer) { o.setSrc(strangeVTEP) }))},
	}
	if len(b.Topo.Tenants) > 1 {
		// Only a key stands between tenants at the spine: it must hold.
		as = append(as, assault{"macsec", "genuine frame in another tenant's VNI", target, "macsec-unknown-sci", 1,
			put(fresh[1].with(func(o outer) { o.setVNI(uint32(b.Topo.Tenants[1].VNI)) }))})
	}
	return as, nil
}

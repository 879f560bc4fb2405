package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ztos/ztos/lab"
)

// AttackLeaf replaces the last leaf by a rogue with the leaf's WireGuard key,
// which sends what its spine must refuse: another leaf's address as source, VNIs
// and destinations that are not its own, a packet that has travelled too far.
// Each must be counted by the spine under its reason, and nothing may come out at
// a host. The leaf runs again at the end.
func (b *Bench) AttackLeaf(ctx context.Context) (out []Attack, err error) {
	leaves, spines := b.kind(lab.Leaf), b.kind(lab.Spine)
	if len(leaves) < 2 || len(spines) == 0 {
		return nil, errors.New("check: a rogue leaf needs a spine and two leaves")
	}
	name := leaves[len(leaves)-1]
	target := spines[0]
	self, _ := b.Topo.Node(name)
	victim, _ := b.Topo.Node(leaves[0])
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	vni := uint32(b.Topo.Tenants[0].VNI)
	cleartext, err := tenantFrame(endpointOf(h[1]), endpointOf(h[0]), MarkerOf(b.Topo.Tenants[0].Name))
	if err != nil {
		return nil, err
	}
	// Everything goes to the target.
	r, err := b.rogue(ctx, name, map[string][]netip.Prefix{target: {
		netip.MustParsePrefix("0.0.0.0/0"), netip.PrefixFrom(victim.Address, 32), nobodyHost,
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.end(ctx)) }()
	f, err := b.field(name)
	if err != nil {
		return nil, err
	}
	defer f.close() //nolint:errcheck // counted while open
	honest := newOuter(self.Address, victim.Address, vni, cleartext)
	if err := b.awaitRogueLeaf(ctx, r, f, honest, victim.Name); err != nil {
		return nil, err
	}
	put := func(o outer) func() error {
		return func() error { r.send(o); return nil }
	}
	return f.series(ctx, []assault{
		{"macsec", "frame in the clear, from the leaf's own VTEP", victim.Name, "macsec-untagged", 1, put(honest)},
		{"vxlan", "VNI that the leaf is not a member of", target, "spine-vni-not-member", 1,
			put(honest.with(func(o outer) { o.setVNI(0xabcdef) }))},
		{"vxlan", "destination outside the VRF", target, "spine-dest-not-member", 1,
			put(honest.with(func(o outer) { o.setDst(nobody) }))},
		{"vxlan", "packet at the end of its TTL", target, "outer-ttl-exceeded", 1,
			put(honest.with(func(o outer) { o.setTTL(1) }))},
		{"wireguard", "another leaf's VTEP as source", target, "wg-not-allowed-ip", 1,
			put(honest.with(func(o outer) { o.setSrc(leafAddress(b, leaves, name)) }))},
	})
}

// leafAddress returns the address of a leaf that is not name.
func leafAddress(b *Bench, leaves []string, name string) netip.Addr {
	i := slices.IndexFunc(leaves, func(l string) bool { return l != name })
	n, _ := b.Topo.Node(leaves[i])
	return n.Address
}

// awaitRogueLeaf waits until packets of the rogue arrive: a cleartext frame is
// dropped by the leaf at the far end of the spine.
func (b *Bench) awaitRogueLeaf(ctx context.Context, r *rogue, f *field, o outer, victim string) error {
	before, err := f.drops(ctx)
	if err != nil {
		return err
	}
	defer pause(ctx, 5*attackQuiet)                        // what was sent before the session was there
	return eventually(ctx, 10*attackSettle, func() error { // a lost handshake message costs 5 s
		r.send(o)
		pause(ctx, 2*attackQuiet)
		after, err := f.drops(ctx)
		if err != nil || after[victim].since(before[victim])["macsec-untagged"] > 0 {
			return err
		}
		var counted []string
		for _, e := range f.engines {
			counted = append(counted, fmt.Sprintf("%s %v", e, after[e].since(before[e])))
		}
		return fmt.Errorf("nothing of the rogue leaf %s arrives at %s; counted: %s; its sessions: %s",
			r.node, victim, strings.Join(counted, "; "), r.sessions())
	})
}

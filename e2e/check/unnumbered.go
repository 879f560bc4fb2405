package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/wireguard"
)

// Unnumbered checks that all sessions are up, that the configuration of none names
// an address, and that each runs with the peer it names, at the address of that
// peer's key. It returns the addresses by node and peer.
func (b *Bench) Unnumbered(ctx context.Context) (map[string]netip.Addr, error) {
	out := map[string]netip.Addr{}
	for _, e := range b.Engines() {
		cfg, err := config.Load(b.Lab.ConfigPath(e))
		if err != nil {
			return out, fmt.Errorf("check: %w", err)
		}
		if _, err := b.established(ctx, e, evpnMost); err != nil {
			return out, err
		}
		var g status.BGP
		if err := b.ctlJSON(ctx, e, &g, "show", "bgp"); err != nil {
			return out, err
		}
		if len(g.Peers) == 0 || len(g.Peers) != len(cfg.BGP.Neighbors) {
			return out, fmt.Errorf("%s: %d sessions for %d neighbours", e, len(g.Peers), len(cfg.BGP.Neighbors))
		}
		for i, p := range g.Peers {
			x := cfg.BGP.Neighbors[i]
			want, err := linkLocalOf(cfg, x.Peer)
			if err != nil {
				return out, err
			}
			if x.Address.IsValid() || p.Name != x.Peer || p.Address != want {
				return out, fmt.Errorf("%s: neighbour %+v has the session %s at %v, want %v", e, x, p.Name, p.Address, want)
			}
			out[e+":"+p.Name] = p.Address
		}
	}
	return out, nil
}

// linkLocalOf returns the link-local address that follows from the key of a peer.
func linkLocalOf(cfg *config.Node, peer string) (netip.Addr, error) {
	for i := range cfg.Peers {
		if cfg.Peers[i].Name == peer {
			return wireguard.PublicKey(cfg.Peers[i].PublicKey).LinkLocal(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("check: no peer %q", peer)
}

// AttackLinkLocal replaces the last leaf by a rogue with the leaf's WireGuard key,
// which opens TCP connections to BGP from another leaf's link-local address, and
// from its own to another leaf's behind the spine. Each must be counted by the
// spine. The leaf runs again at the end.
func (b *Bench) AttackLinkLocal(ctx context.Context) (out []Attack, err error) {
	leaves, spines := b.kind(lab.Leaf), b.kind(lab.Spine)
	if len(leaves) < 2 || len(spines) == 0 {
		return nil, errors.New("check: a rogue leaf needs a spine and two leaves")
	}
	name, other, target := leaves[len(leaves)-1], leaves[0], spines[0]
	at := map[string]netip.Addr{}
	for of, by := range map[string]string{name: target, other: target, target: name} {
		cfg, err := config.Load(b.Lab.ConfigPath(by))
		if err != nil {
			return nil, fmt.Errorf("check: %w", err)
		}
		if at[of], err = linkLocalOf(cfg, of); err != nil {
			return nil, err
		}
	}
	self, _ := b.Topo.Node(name)
	victim, _ := b.Topo.Node(other)
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	cleartext, err := tenantFrame(endpointOf(h[1]), endpointOf(h[0]), MarkerOf(b.Topo.Tenants[0].Name))
	if err != nil {
		return nil, err
	}
	r, err := b.rogue(ctx, name, map[string][]netip.Prefix{target: {
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("0.0.0.0/0"), netip.PrefixFrom(victim.Address, 32),
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
	honest := newOuter(self.Address, victim.Address, uint32(b.Topo.Tenants[0].VNI), cleartext)
	if err := b.awaitRogueLeaf(ctx, r, f, honest, victim.Name); err != nil {
		return nil, err
	}
	put := func(from, to string) func() error {
		return func() error { r.send(bgpSYN(at[from], at[to])); return nil }
	}
	return f.series(ctx, []assault{
		{"wireguard", "another leaf's link-local address as source", target, "wg-not-allowed-ip", 1, put(other, target)},
		{"wireguard", "the node's own link-local address as source", target, "wg-not-allowed-ip", 1, put(target, target)},
		{"vxlan", "another leaf's link-local address behind the spine", target, "outer-link-local", 1, put(name, other)},
	})
}

// bgpSYN returns a packet that opens a TCP connection to BGP.
func bgpSYN(from, to netip.Addr) outer {
	p := make([]byte, wire.IPv6Len+20)
	p[0], p[5], p[6], p[7] = 0x60, 20, wire.ProtoTCP, 255
	copy(p[8:], from.AsSlice())
	copy(p[24:], to.AsSlice())
	t := p[wire.IPv6Len:]
	copy(t, []byte{0xc0, 0x01, 0, 179}) // ports
	t[12], t[13], t[14] = 5<<4, wire.FlagSYN, 0xff
	sum := ^wire.Fold(wire.Sum(t, wire.IPv6(p).Pseudo(wire.ProtoTCP, len(t))))
	t[16], t[17] = byte(sum>>8), byte(sum)
	return p
}

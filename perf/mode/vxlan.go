package mode

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ztos/ztos/perf/bed"
)

// kernelVXLANPort plus the mode's ID is the UDP port of a mode's VXLAN devices:
// the kernel's sockets listen on all addresses.
const kernelVXLANPort = 14000

// VXLANOverWireGuard is the kernel's VXLAN over wireguard-go: a bridge with the
// host's link and a VXLAN device at each leaf, whose VTEPs are addresses inside
// the WireGuard tunnels.
func VXLANOverWireGuard(id int, program string, p Path, mtu int) *Mode {
	name := VXLANWireGuard
	if p == EndToEnd {
		name = VXLANWireGE2E
	}
	return &Mode{
		Name: name, ID: id, MTU: mtu, server: bridgedServer,
		start: func(ctx context.Context, b *bed.Bed, m *Mode) error {
			vtep1, vtep2 := m.address("255.1"), m.address("255.2")
			err := m.tunnels(ctx, b, program, p, m.MTU+vxlanOverhead,
				netip.PrefixFrom(vtep1, 32), netip.PrefixFrom(vtep2, 32))
			if err != nil {
				return err
			}
			return errors.Join(
				b.Run(ctx, bed.Leaf1, "ip addr add %s/32 dev %s", vtep1, m.device("wg")),
				b.Run(ctx, bed.Leaf2, "ip addr add %s/32 dev %s", vtep2, m.device("wg")),
				m.vxlan(ctx, b, vtep1, vtep2))
		},
	}
}

// VXLAN is the kernel's VXLAN straight on the underlay, leaf to leaf: spine1's
// kernel forwards. Nothing is protected.
func VXLAN(id, mtu int) *Mode {
	return &Mode{
		Name: KernelVXLAN, ID: id, MTU: mtu, server: bridgedServer,
		start: func(ctx context.Context, b *bed.Bed, m *Mode) error {
			return m.vxlan(ctx, b, b.Underlay(bed.Leaf1, bed.Spine1), b.Underlay(bed.Leaf2, bed.Spine1))
		},
	}
}

// vxlan makes the hosts' links and, at each leaf, a bridge of the link and a
// VXLAN device.
func (m *Mode) vxlan(ctx context.Context, b *bed.Bed, vtep1, vtep2 netip.Addr) error {
	if err := errors.Join(m.hostLinks(b), m.bridgedHosts(ctx, b)); err != nil {
		return err
	}
	bridge, vxlan := m.device("br"), m.device("vx")
	for _, l := range []struct {
		node          string
		local, remote netip.Addr
	}{
		{bed.Leaf1, vtep1, vtep2},
		{bed.Leaf2, vtep2, vtep1},
	} {
		err := errors.Join(
			b.Run(ctx, l.node, "ip link add %s type bridge", bridge),
			b.Run(ctx, l.node, "ip link add %s mtu %d type vxlan id %d local %s remote %s dstport %d",
				vxlan, m.MTU, m.ID, l.local, l.remote, kernelVXLANPort+m.ID),
			b.Run(ctx, l.node, "ip link set %s master %s up", vxlan, bridge),
			b.Run(ctx, l.node, "ip link set %s master %s", m.Device(), bridge),
			b.Run(ctx, l.node, "ip link set %s up", bridge))
		if err != nil {
			return err
		}
	}
	return nil
}

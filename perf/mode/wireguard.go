package mode

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/ztos/ztos/perf/bed"
)

// wireGuardPort plus the mode's ID is the UDP port of its tunnels.
const wireGuardPort = 21900

// tunnelEnd is one wireguard-go process with its TUN device.
type tunnelEnd struct {
	node   string
	device string
	port   int
	key    *ecdh.PrivateKey
	peers  []tunnelPeer
}

// tunnelPeer is what an end knows of another.
type tunnelPeer struct {
	end      *tunnelEnd
	address  netip.Addr     // of its node on the underlay
	prefixes []netip.Prefix // reached through it, and accepted from it
}

// route sends a prefix into a tunnel.
type route struct {
	node   string
	prefix netip.Prefix
	device string
}

// WireGuard is wireguard-go alone: hosts in two subnets, routed by the leaves'
// kernels into the tunnels. program is the path of perf/peers/wireguard-go.
func WireGuard(id int, program string, p Path, mtu int) *Mode {
	name := WireGuardName
	if p == EndToEnd {
		name = WireGuardE2E
	}
	return &Mode{
		Name: name, ID: id, MTU: mtu, server: routedServer,
		start: func(ctx context.Context, b *bed.Bed, m *Mode) error {
			if err := errors.Join(m.hostLinks(b), m.routedHosts(ctx, b)); err != nil {
				return err
			}
			return m.tunnels(ctx, b, program, p, m.MTU,
				netip.PrefixFrom(m.address("1.0"), 24), netip.PrefixFrom(m.address("2.0"), 24))
		},
	}
}

// tunnels brings the WireGuard tunnels of mode m up and routes the prefix left
// to leaf1 and right to leaf2 through them. mtu is that of the TUN devices. The
// spine has one device with two peers, which is a little faster than two
// devices with one each.
func (m *Mode) tunnels(ctx context.Context, b *bed.Bed, program string, p Path, mtu int,
	left, right netip.Prefix) error {
	leaf1 := &tunnelEnd{node: bed.Leaf1}
	leaf2 := &tunnelEnd{node: bed.Leaf2}
	ends := []*tunnelEnd{leaf1, leaf2}
	routes := []route{{bed.Leaf1, right, m.device("wg")}, {bed.Leaf2, left, m.device("wg")}}
	if p == HopByHop {
		spine := &tunnelEnd{node: bed.Spine1}
		ends = append(ends, spine)
		leaf1.peers = []tunnelPeer{{spine, b.Underlay(bed.Spine1, bed.Leaf1), []netip.Prefix{right}}}
		leaf2.peers = []tunnelPeer{{spine, b.Underlay(bed.Spine1, bed.Leaf2), []netip.Prefix{left}}}
		spine.peers = []tunnelPeer{
			{leaf1, b.Underlay(bed.Leaf1, bed.Spine1), []netip.Prefix{left}},
			{leaf2, b.Underlay(bed.Leaf2, bed.Spine1), []netip.Prefix{right}},
		}
		routes = append(routes, route{bed.Spine1, left, m.device("wg")}, route{bed.Spine1, right, m.device("wg")})
	} else {
		leaf1.peers = []tunnelPeer{{leaf2, b.Underlay(bed.Leaf2, bed.Spine1), []netip.Prefix{right}}}
		leaf2.peers = []tunnelPeer{{leaf1, b.Underlay(bed.Leaf1, bed.Spine1), []netip.Prefix{left}}}
	}
	for _, e := range ends {
		e.device, e.port = m.device("wg"), wireGuardPort+m.ID
		var err error
		if e.key, err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return fmt.Errorf("key: %w", err)
		}
	}
	for _, e := range ends {
		if err := m.startEnd(ctx, b, program, e, mtu); err != nil {
			return err
		}
	}
	for _, r := range routes {
		if err := b.Run(ctx, r.node, "ip route add %s dev %s", r.prefix, r.device); err != nil {
			return err
		}
	}
	return nil
}

// startEnd starts wireguard-go for end e and waits until its TUN device is
// there.
func (m *Mode) startEnd(ctx context.Context, b *bed.Bed, program string, e *tunnelEnd, mtu int) error {
	var uapi strings.Builder
	fmt.Fprintf(&uapi, "private_key=%s\nlisten_port=%d\n", hex.EncodeToString(e.key.Bytes()), e.port)
	for _, p := range e.peers {
		fmt.Fprintf(&uapi, "public_key=%s\nendpoint=%s\n",
			hex.EncodeToString(p.end.key.PublicKey().Bytes()), netip.AddrPortFrom(p.address, uint16(p.end.port)))
		for _, prefix := range p.prefixes {
			fmt.Fprintf(&uapi, "allowed_ip=%s\n", prefix)
		}
	}
	uapi.WriteString("\n")
	name := m.process(e.node)
	proc, err := b.Start(e.node, name, uapi.String(), program, "-tun", e.device, "-mtu", fmt.Sprint(mtu))
	if err != nil {
		return err
	}
	m.procs = append(m.procs, proc)
	err = bed.Wait(ctx, 5*time.Second, func() error {
		text, err := os.ReadFile(proc.Log)
		if err == nil && !bytes.Contains(text, []byte("ready\n")) {
			err = fmt.Errorf("%s is not ready", name)
		}
		return err
	}, proc)
	if err != nil {
		return err
	}
	return b.Run(ctx, e.node, "ip link set %s up", e.device)
}

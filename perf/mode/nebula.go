package mode

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/perf/bed"
)

// nebulaPort plus the mode's ID is the UDP port of nebula.
const nebulaPort = 24200

// nebulaConfig is the configuration of one end, beside its certificates: no
// lighthouse, as each end knows the other's address, and a route to the subnet
// of the other's host. Its socket buffers are as large as ZTOS makes its own.
const nebulaConfig = `
pki: {ca: "%[1]s/ca.crt", cert: "%[1]s/%[2]s.crt", key: "%[1]s/%[2]s.key"}
static_host_map:
  "%[3]s": ["%[4]s:%[5]d"]
lighthouse: {am_lighthouse: false, interval: 60, hosts: []}
listen: {host: 0.0.0.0, port: %[5]d, batch: 64, read_buffer: 4194304, write_buffer: 4194304}
punchy: {punch: false}
tun:
  dev: %[6]s
  mtu: %[7]d
  tx_queue: 1000
  unsafe_routes:
  - {route: %[8]s, via: %[3]s, mtu: %[7]d}
logging: {level: warning, format: text}
firewall:
  outbound: [{port: any, proto: any, host: any}]
  inbound: [{port: any, proto: any, host: any}]
`

// Nebula is nebula end to end: hosts in two subnets, routed by the leaves'
// kernels into its TUN devices. programs are the paths of nebula and of
// nebula-cert.
func Nebula(id int, programs [2]string, mtu int) *Mode {
	return &Mode{
		Name: NebulaName, ID: id, MTU: mtu, server: routedServer,
		start: func(ctx context.Context, b *bed.Bed, m *Mode) error {
			if err := errors.Join(m.hostLinks(b), m.routedHosts(ctx, b)); err != nil {
				return err
			}
			return m.nebula(ctx, b, programs[0], programs[1])
		},
	}
}

// nebulaEnd is nebula on one leaf.
type nebulaEnd struct {
	node     string
	inside   netip.Addr   // in nebula's network
	outside  netip.Addr   // on the underlay
	attached netip.Prefix // the subnet of its host
}

// nebula makes certificates of this run's own and starts both ends.
func (m *Mode) nebula(ctx context.Context, b *bed.Bed, program, cert string) error {
	dir := filepath.Join(b.Dir(), fmt.Sprintf("mode%d", m.ID))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ends := []nebulaEnd{
		{bed.Leaf1, m.address("253.1"), b.Underlay(bed.Leaf1, bed.Spine1), netip.PrefixFrom(m.address("1.0"), 24)},
		{bed.Leaf2, m.address("253.2"), b.Underlay(bed.Leaf2, bed.Spine1), netip.PrefixFrom(m.address("2.0"), 24)},
	}
	// Validity in whole hours: it outlives any run.
	if err := b.Run(ctx, bed.Leaf1, "%s ca -name perf -duration 24h -out-crt %s/ca.crt -out-key %[2]s/ca.key", cert, dir); err != nil {
		return err
	}
	for i, e := range ends {
		err := b.Run(ctx, bed.Leaf1, "%s sign -ca-crt %s/ca.crt -ca-key %[2]s/ca.key -name %s -ip %s/24 -subnets %s -out-crt %[2]s/%[3]s.crt -out-key %[2]s/%[3]s.key",
			cert, dir, e.node, e.inside, e.attached)
		if err != nil {
			return err
		}
		far := ends[1-i]
		device := m.device("nb")
		file := filepath.Join(dir, e.node+".yaml")
		text := fmt.Sprintf(nebulaConfig, dir, e.node, far.inside, far.outside, nebulaPort+m.ID, device, m.MTU, far.attached)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		p, err := b.Start(e.node, m.process(e.node), "", program, "-config", file)
		if err != nil {
			return err
		}
		m.procs = append(m.procs, p)
		err = bed.Wait(ctx, 5*time.Second, func() error {
			return b.Run(ctx, e.node, "ip link show dev %s up", device)
		}, p)
		if err != nil {
			return err
		}
	}
	return nil
}

// NebulaVersion returns what a nebula program says of its version, "" when it
// cannot.
func NebulaVersion(ctx context.Context, b *bed.Bed, program string) string {
	out, err := b.Output(ctx, bed.Leaf1, program, "-version")
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), ": ")
	if v, err := strconv.Unquote(version); err == nil {
		return v
	}
	return version
}

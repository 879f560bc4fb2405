package mode

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/metrics"
)

// Names of the modes that several measurements have, as in their JSON.
const (
	ZTOS           = "ztos"
	WireGuardName  = "wireguard-go"
	WireGuardE2E   = "wireguard-go-end-to-end"
	VXLANWireGuard = "vxlan-over-wireguard-go"
	VXLANWireGE2E  = "vxlan-over-wireguard-go-end-to-end"
	KernelVXLAN    = "kernel-vxlan"
	NebulaName     = "nebula"
	BareName       = "bare"
)

// Overheads inside an underlay packet, bytes.
const (
	// vxlanOverhead is outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14.
	vxlanOverhead = 50
)

// Path says where the tunnels of a peer end.
type Path int

// The paths.
const (
	HopByHop Path = iota + 1 // leaf1-spine1 and spine1-leaf2, as ZTOS does
	EndToEnd                 // leaf1-leaf2, the spine forwards UDP in its kernel
)

// Mode is one way from bed.H1 to bed.H2. Make it with one of the constructors,
// start it once; Bed.Close takes it down. One goroutine at a time.
type Mode struct {
	Name string
	// ID keeps the modes of a bed apart: in addresses 10.(100+ID).0.0/16, in
	// the names of devices, in ports. 1 to 99, unique on a bed.
	ID int
	// MTU of the tenants, bytes of IP packet; 0 until Start sets it to what
	// TenantMTU says.
	MTU int

	start  func(ctx context.Context, b *bed.Bed, m *Mode) error
	server func(b *bed.Bed, m *Mode) netip.Addr

	procs   []*bed.Proc      // of the nodes
	engines []metrics.Engine // those of ZTOS
}

// Start sets the mode up and waits until it carries traffic.
func (m *Mode) Start(ctx context.Context, b *bed.Bed) error {
	if m.MTU == 0 {
		m.MTU = TenantMTU(b)
	}
	if err := m.start(ctx, b, m); err != nil {
		return fmt.Errorf("mode: %s: %w", m.Name, err)
	}
	return m.reach(ctx, b, startLimit)
}

// How long a mode may take until it carries traffic: at its start, and after a
// pause that may have outlived its sessions, as WireGuard tries anew every five
// seconds on each hop.
const (
	startLimit  = 15 * time.Second
	resumeLimit = time.Minute
)

// reach waits until the mode carries traffic, for limit at most.
func (m *Mode) reach(ctx context.Context, b *bed.Bed, limit time.Duration) error {
	err := bed.Wait(ctx, limit, func() error {
		return b.Run(ctx, bed.H1, "ping -c 1 -W 1 %s", m.Server(b))
	}, m.procs...)
	if err != nil {
		return fmt.Errorf("mode: %s: %w", m.Name, err)
	}
	return nil
}

// Pause stops the mode's processes (SIGSTOP), so that their timers cost the mode
// that is measured nothing.
func (m *Mode) Pause() error { return m.signal(syscall.SIGSTOP) }

// Resume continues them and waits until the mode carries traffic: sessions may
// have ended meanwhile.
func (m *Mode) Resume(ctx context.Context, b *bed.Bed) error {
	if err := m.signal(syscall.SIGCONT); err != nil {
		return err
	}
	return m.reach(ctx, b, resumeLimit)
}

// signal sends a signal to all processes.
func (m *Mode) signal(s syscall.Signal) error {
	for _, p := range m.procs {
		if err := p.Signal(s); err != nil {
			return fmt.Errorf("mode: %s: %w", m.Name, err)
		}
	}
	return nil
}

// Server returns the address on bed.H2 that bed.H1 sends to.
func (m *Mode) Server(b *bed.Bed) netip.Addr { return m.server(b, m) }

// Procs returns the processes that carry the traffic, those of all nodes; none
// when kernels do, or when they are the lab's own.
func (m *Mode) Procs() []*bed.Proc { return m.procs }

// Engines returns the engines of ZTOS; none for a peer.
func (m *Mode) Engines() []metrics.Engine { return m.engines }

// Device returns the name of the mode's links to the hosts, at both ends.
func (m *Mode) Device() string { return m.device("t") }

// Alive returns nil while all processes of the mode run.
func (m *Mode) Alive() error {
	for _, p := range m.procs {
		if err := p.Alive(); err != nil {
			return err
		}
	}
	return nil
}

// Lab is the mode of the engines that came up with a lab of the standard kind:
// hosts of one tenant, MACsec leaf to leaf, VXLAN, WireGuard to the spines.
func Lab(id int) *Mode {
	return &Mode{
		Name: ZTOS, ID: id, MTU: 1500,
		start: func(_ context.Context, b *bed.Bed, m *Mode) error {
			for i := range b.Topology.Nodes {
				n := &b.Topology.Nodes[i]
				// Other leaves carry nothing of what is measured.
				if n.Kind == lab.Spine || n.Name == bed.Leaf1 || n.Name == bed.Leaf2 {
					m.engines = append(m.engines, metrics.Engine{Node: n.Name, Address: labMetrics})
				}
			}
			return nil
		},
		server: func(b *bed.Bed, _ *Mode) netip.Addr { return b.Tenant(bed.H2) },
	}
}

// labMetrics is where an engine of a lab serves its metrics, in its own
// namespace.
const labMetrics = "127.0.0.1:9464"

// Bare is no tunnel at all: the kernels of the leaves and of the spine route
// between the hosts' subnets.
func Bare(id, mtu int) *Mode {
	return &Mode{Name: BareName, ID: id, MTU: mtu, server: routedServer, start: startBare}
}

func startBare(ctx context.Context, b *bed.Bed, m *Mode) error {
	if err := errors.Join(m.hostLinks(b), m.routedHosts(ctx, b)); err != nil {
		return err
	}
	left, right := m.address("1.0"), m.address("2.0")
	return errors.Join(
		b.Run(ctx, bed.Leaf1, "ip route add %s/24 via %s", right, b.Underlay(bed.Spine1, bed.Leaf1)),
		b.Run(ctx, bed.Leaf2, "ip route add %s/24 via %s", left, b.Underlay(bed.Spine1, bed.Leaf2)),
		b.Run(ctx, bed.Spine1, "ip route add %s/24 via %s", left, b.Underlay(bed.Leaf1, bed.Spine1)),
		b.Run(ctx, bed.Spine1, "ip route add %s/24 via %s", right, b.Underlay(bed.Leaf2, bed.Spine1)))
}

// device returns the name that the mode's devices of this kind have.
func (m *Mode) device(kind string) string { return fmt.Sprintf("%s%d", kind, m.ID) }

// address returns an address of the mode; low is its last two octets.
func (m *Mode) address(low string) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("10.%d.%s", 100+m.ID, low))
}

// process returns the name of the mode's process on a node.
func (m *Mode) process(node string) string { return fmt.Sprintf("%s-%d-%s", m.Name, m.ID, node) }

// hostLinks makes the mode's links h1-leaf1 and h2-leaf2.
func (m *Mode) hostLinks(b *bed.Bed) error {
	return errors.Join(
		b.AddHostLink(bed.H1, bed.Leaf1, m.Device(), m.MTU),
		b.AddHostLink(bed.H2, bed.Leaf2, m.Device(), m.MTU))
}

// bridgedHosts gives the hosts addresses in one segment, low octets 0.1 and 0.2.
func (m *Mode) bridgedHosts(ctx context.Context, b *bed.Bed) error {
	return errors.Join(
		b.Run(ctx, bed.H1, "ip addr add %s/24 dev %s", m.address("0.1"), m.Device()),
		b.Run(ctx, bed.H2, "ip addr add %s/24 dev %s", m.address("0.2"), m.Device()))
}

// bridgedServer is the server of bridgedHosts.
func bridgedServer(_ *bed.Bed, m *Mode) netip.Addr { return m.address("0.2") }

// routedHosts gives each host a subnet with its leaf as the gateway: low octets
// 1.0 and 2.0.
func (m *Mode) routedHosts(ctx context.Context, b *bed.Bed) error {
	for _, s := range []struct {
		host, leaf             string
		address, gateway, peer string // low octets
	}{
		{bed.H1, bed.Leaf1, "1.1", "1.254", "2.0"},
		{bed.H2, bed.Leaf2, "2.1", "2.254", "1.0"},
	} {
		err := errors.Join(
			b.Run(ctx, s.host, "ip addr add %s/24 dev %s", m.address(s.address), m.Device()),
			b.Run(ctx, s.leaf, "ip addr add %s/24 dev %s", m.address(s.gateway), m.Device()),
			b.Run(ctx, s.host, "ip route add %s/24 via %s", m.address(s.peer), m.address(s.gateway)))
		if err != nil {
			return err
		}
	}
	return nil
}

// routedServer is the server of routedHosts.
func routedServer(_ *bed.Bed, m *Mode) netip.Addr { return m.address("2.1") }

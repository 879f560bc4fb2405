package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// HostMove is the result of Bench.HostMove.
type HostMove struct {
	Host  string `json:"host"`
	Moves int    `json:"moves"`
	// Loss window of each move, milliseconds, shortest first: what a sender
	// elsewhere lost from the host's first frame at its new place on, and the time
	// the host took to change places.
	Windows []float64 `json:"loss_windows_ms"`
	P50     float64   `json:"p50_ms"`
	Worst   float64   `json:"worst_ms"`
}

// How a host is moved: less often than the moves that make a duplicate.
const (
	moveCount = 4
	moveRate  = 2000            // datagrams a second
	moveMost  = 3 * time.Second // loss window that is still accepted, on a busy machine
	moveLeg   = "eth1"          // the host's second leg
	movePort  = "moved0"        // and its port at the other leaf
)

// HostMove gives the first tenant's first host a second leg to the leaf of the
// second host, and moves it to and fro, its MAC and address with it, while
// datagrams flow to it from the third host. All leaves must follow by EVPN, with
// sequence numbers, and the loss be short.
func (b *Bench) HostMove(ctx context.Context) (r HostMove, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	if len(hosts) < 3 {
		return r, errors.New("check: moving a host needs three of a tenant")
	}
	host, second, third := hosts[0], hosts[1], hosts[2]
	r.Host = host.Name
	leaves := [2]string{host.Host.Port.Node, second.Host.Port.Node}
	if err := b.secondLeg(ctx, host, leaves[1]); err != nil {
		return r, err
	}
	defer func() {
		homeErr := b.home(context.WithoutCancel(ctx), host)
		_, delErr := b.run(context.WithoutCancel(ctx), leaves[1], "ip", "link", "del", movePort)
		err = errors.Join(err, homeErr, b.unedit(context.WithoutCancel(ctx), leaves[1]), delErr)
	}()
	if err := b.edit(ctx, leaves[1], func(c *config.Node) error { return attach(c, uint32(tenant.VNI)) }); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, lab.Ref{Node: leaves[1], Dev: movePort}, true, true); err != nil {
		return r, err
	}
	t, err := b.tap(host.Name, func(frame) bool { return false }, hostDev, moveLeg)
	if err != nil {
		return r, err
	}
	defer t.close() //nolint:errcheck // it keeps nothing
	for i := range moveCount {
		from, to, dev, old := leaves[i%2], leaves[(i+1)%2], moveLeg, hostDev
		if i%2 == 1 {
			dev, old = hostDev, moveLeg
		}
		b.note("move %s from %s to %s", host.Name, from, to)
		s, err := b.moveOnce(ctx, t, host, third, old, dev)
		if err != nil {
			return r, fmt.Errorf("move %d: %w", i+1, err)
		}
		r.Moves++
		r.Windows = append(r.Windows, s.Window)
		if s.Window > float64(moveMost.Milliseconds()) {
			return r, fmt.Errorf("move %d: loss window %.0f ms, want at most %v", i+1, s.Window, moveMost)
		}
		node, _ := b.Topo.Node(to)
		for _, leaf := range b.kind(lab.Leaf) {
			want := node.Address
			if leaf == to {
				want = netip.Addr{}
			}
			if err := b.macAt(ctx, leaf, uint32(tenant.VNI), host.Host.MAC.String(), want, 5*time.Second); err != nil {
				return r, fmt.Errorf("move %d: %w", i+1, err)
			}
		}
	}
	slices.Sort(r.Windows)
	r.P50, r.Worst = r.Windows[len(r.Windows)/2], r.Windows[len(r.Windows)-1]
	return r, nil
}

// hostDev is the interface of a host.
const hostDev = "eth0"

// secondLeg cables a host to another leaf, without an address.
func (b *Bench) secondLeg(ctx context.Context, h *lab.Node, leaf string) error {
	mtu := strconv.Itoa(h.Host.MTU)
	for _, s := range []struct {
		node string
		args []string
	}{
		{leaf, []string{"ip", "link", "add", movePort, "mtu", mtu, "type", "veth", "peer", "name", moveLeg,
			"netns", b.Lab.Namespace(h.Name), "address", awayMAC.String(), "mtu", mtu}},
		{leaf, []string{"sysctl", "-qw", "net.ipv6.conf." + movePort + ".disable_ipv6=1"}},
		{h.Name, []string{"sysctl", "-qw", "net.ipv6.conf." + moveLeg + ".disable_ipv6=1"}},
		{h.Name, []string{"ip", "link", "set", moveLeg, "up"}},
		{leaf, []string{"ip", "link", "set", movePort, "up"}},
	} {
		if _, err := b.run(ctx, s.node, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// attach adds the moved host's port to a bridge domain.
func attach(c *config.Node, vni uint32) error {
	c.Ports = append(c.Ports, config.Port{Name: movePort, Kind: config.AFPacket, Device: movePort})
	for i := range c.BridgeDomains {
		if d := &c.BridgeDomains[i]; uint32(d.VNI) == vni {
			d.Attach = append(d.Attach, config.Attach{Port: movePort})
			return nil
		}
	}
	return fmt.Errorf("check: %s has no VNI %d", c.Self.Name, vni)
}

// moveOnce moves a host's IPv4 address from one leg to the other while datagrams
// flow to it, and says so by a gratuitous ARP, as a hypervisor does.
func (b *Bench) moveOnce(ctx context.Context, t *tap, host, far *lab.Node, old, dev string) (Stream, error) {
	at := prefix4(host)
	s, err := b.stream(far.Name, host.Name, moveRate, 200, 0)
	if err != nil {
		return Stream{}, err
	}
	stepErr := s.flowing(ctx, 200, 5*time.Second)
	if stepErr == nil {
		stepErr = b.batch(ctx, host.Name,
			fmt.Sprintf("link set %s address %v", old, awayMAC), fmt.Sprintf("addr del %v dev %s", at, old),
			fmt.Sprintf("addr add %v dev %s", at, dev), fmt.Sprintf("link set %s address %v", dev, host.Host.MAC))
	}
	if stepErr == nil {
		stepErr = t.send(dev, gratuitousARP(host.Host.MAC, at.Addr()))
	}
	if stepErr == nil {
		stepErr = s.flowing(ctx, 200, 10*time.Second)
	}
	st, err := s.stop()
	return st, errors.Join(stepErr, err)
}

// awayMAC is what a leg has while the host is elsewhere: it neither takes the
// host's frames nor sends with its MAC.
const awayMAC table.MAC = 0x02aaaa000001

// prefix4 returns a host's IPv4 address.
func prefix4(h *lab.Node) (at netip.Prefix) {
	for _, p := range h.Host.Addresses {
		if p.Addr().Is4() {
			at = p
		}
	}
	return at
}

// home gives a host's first leg its MAC and address, wherever they are.
func (b *Bench) home(ctx context.Context, h *lab.Node) error {
	return b.batch(ctx, h.Name, fmt.Sprintf("link set %s address %v", hostDev, h.Host.MAC),
		fmt.Sprintf("addr replace %v dev %s", prefix4(h), hostDev))
}

// batch runs commands of ip(8) in one process of a node.
func (b *Bench) batch(ctx context.Context, node string, lines ...string) error {
	cmd, err := b.Lab.Command(ctx, node, "ip", "-batch", "-")
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: ip -batch: %w: %s", node, err, tail(string(out), 200))
	}
	return nil
}

// gratuitousARP returns the broadcast by which a host says where its address is.
func gratuitousARP(mac table.MAC, ip netip.Addr) []byte {
	f := make([]byte, 60)
	table.Broadcast.Put(f)
	mac.Put(f[6:])
	copy(f[12:], []byte{0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1}) // Ethernet, IPv4, request
	mac.Put(f[22:])
	copy(f[28:], ip.AsSlice())
	copy(f[38:], ip.AsSlice())
	return f
}

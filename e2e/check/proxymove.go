package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// ProxyMoved is the result of Bench.ProxyMoved.
type ProxyMoved struct {
	Moves   int       `json:"moves"`
	Windows []float64 `json:"loss_windows_ms"`
	Lines   []string  `json:"lines"` // of the leaf that it left, after each move
	Flooded int       `json:"flooded"`
}

// ProxyMoved moves the first host to the other leaf and back, while datagrams flow
// to it: its address must be shown where it is, and a question about it be answered
// by the leaf that it left, without being flooded.
func (b *Bench) ProxyMoved(ctx context.Context) (r ProxyMoved, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	host, b1, a2, b2 := hosts[0], hosts[1], hosts[2], hosts[3]
	here, there := host.Host.Port.Node, b1.Host.Port.Node
	ip := addr(host, false)
	if err := b.secondLeg(ctx, host, there); err != nil {
		return r, err
	}
	defer func() {
		bg := context.WithoutCancel(ctx)
		homeErr := b.home(bg, host)
		_, delErr := b.run(bg, there, "ip", "link", "del", movePort)
		err = errors.Join(err, homeErr, b.unedit(bg, there), delErr)
	}()
	if err := b.edit(ctx, there, func(c *config.Node) error { return attach(c, uint32(tenant.VNI)) }); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, lab.Ref{Node: there, Dev: movePort}, true, true); err != nil {
		return r, err
	}
	t, err := b.tap(host.Name, func(frame) bool { return false }, hostDev, moveLeg)
	if err != nil {
		return r, err
	}
	defer t.close() //nolint:errcheck // it keeps nothing
	for i := range 2 {
		leaves, devs, asker, far := [2]string{here, there}, [2]string{hostDev, moveLeg}, a2, []string{b1.Name, b2.Name}
		port := movePort
		if i == 1 {
			slices.Reverse(leaves[:])
			slices.Reverse(devs[:])
			asker, far, port = b2, []string{a2.Name}, host.Host.Port.Dev
		}
		s, err := b.moveOnce(ctx, t, host, a2, devs[0], devs[1])
		if err != nil {
			return r, fmt.Errorf("move %d: %w", i+1, err)
		}
		r.Moves++
		r.Windows = append(r.Windows, s.Window)
		at, _ := b.Topo.Node(leaves[1])
		want := shownNeighbour{VNI: tenant.VNI, Address: ip, MAC: host.Host.MAC.String(), Source: "local", Port: port}
		if _, err := b.awaitNeighbour(ctx, leaves[1], want); err != nil {
			return r, err
		}
		want.Source, want.Port, want.VTEP = "evpn", "", at.Address
		line, err := b.awaitNeighbour(ctx, leaves[0], want)
		if err != nil {
			return r, err
		}
		r.Lines = append(r.Lines, line)
		n, err := b.asked(ctx, asker, ip, host.Host.MAC.String(), far...)
		if r.Flooded += n; err == nil && n > 0 {
			err = fmt.Errorf("move %d: the question was flooded", i+1)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// asked lets a host ask for an address, wants it told that mac has it, and returns
// how often other hosts heard the question.
func (b *Bench) asked(ctx context.Context, h *lab.Node, a netip.Addr, mac string, others ...string) (heard int, err error) {
	e, err := b.listen(append([]string{h.Name}, others...)...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := b.say(h, question(h, a, addr(h, a.Is6()))); err != nil {
		return 0, err
	}
	if _, ok := e.taps[0].first(3*time.Second, func(f frame) bool {
		w, _ := wordOf(f.data)
		return !f.out && w.Says && w.Sender == a && w.MAC.String() == mac
	}); !ok {
		return 0, fmt.Errorf("%s was not told that %s has %v", h.Name, mac, a)
	}
	pause(ctx, 100*time.Millisecond)
	for i := range others {
		heard += e.heard(1+i, a)
	}
	return heard, nil
}

// ProxyWithdrawn is the result of Bench.ProxyWithdrawn.
type ProxyWithdrawn struct {
	Gone    float64 `json:"gone_after_ms"` // from the port's going down
	Flooded int     `json:"flooded"`       // questions then, at another host of that leaf
}

// ProxyWithdrawn takes the second host's port down: the other leaf must forget its
// addresses, and flood questions about them again.
func (b *Bench) ProxyWithdrawn(ctx context.Context) (r ProxyWithdrawn, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, b1, b2 := hosts[0], hosts[1], hosts[3]
	leaf, far := a1.Host.Port.Node, b1.Host.Port.Node
	if _, err := b.run(ctx, far, "ip", "link", "set", b1.Host.Port.Dev, "down"); err != nil {
		return r, err
	}
	defer func() {
		bg := context.WithoutCancel(ctx)
		_, upErr := b.run(bg, far, "ip", "link", "set", b1.Host.Port.Dev, "up")
		err = errors.Join(err, upErr)
		if err == nil {
			_, err = b.rejoin(bg, b1)
		}
	}()
	start := time.Now()
	for _, p := range b1.Host.Addresses {
		if err := b.forgotten(ctx, leaf, p.Addr()); err != nil {
			return r, err
		}
	}
	r.Gone = time.Since(start).Seconds() * 1e3
	e, err := b.listen(b2.Name)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, p := range b1.Host.Addresses {
		if err := b.askUntil(ctx, a1, p.Addr(), func() bool { return e.heard(0, p.Addr()) > 0 }); err != nil {
			return r, err
		}
		r.Flooded += e.heard(0, p.Addr())
	}
	return r, nil
}

// forgotten waits until a leaf does not show an address.
func (b *Bench) forgotten(ctx context.Context, leaf string, a netip.Addr) error {
	return eventually(ctx, proxyMost, func() error {
		list, err := b.neighbours(ctx, leaf, a)
		if i := slices.IndexFunc(list, func(n shownNeighbour) bool { return n.Address == a }); err == nil && i >= 0 {
			err = fmt.Errorf("%s still has %+v", leaf, list[i])
		}
		return err
	})
}

// ProxySilent is the result of Bench.ProxySilent.
type ProxySilent struct {
	Kept   time.Duration `json:"kept_ns"` // for how long an idle host that answers stayed known
	Probes uint64        `json:"probes"`
	Lost   uint64        `json:"lost"` // hosts that did not answer
}

// silentAgeing is the ageing time of the test, s.
const silentAgeing = 3

// ProxySilent makes ageing short. A host that says nothing by itself must be asked
// before it is forgotten, and stay known as long as it answers, longer than the
// ageing time; one that does not answer any more must be withdrawn.
func (b *Bench) ProxySilent(ctx context.Context) (r ProxySilent, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, far, a2 := hosts[0], hosts[1].Host.Port.Node, hosts[2]
	leaf := a1.Host.Port.Node
	defer func() {
		bg := context.WithoutCancel(ctx)
		_, arpErr := b.run(bg, a2.Name, "sysctl", "-qw", "net.ipv4.conf."+hostDev+".arp_ignore=0")
		err = errors.Join(err, arpErr, b.unedit(bg, leaf))
	}()
	before, err := b.proxyCounts(ctx, leaf)
	if err != nil {
		return r, err
	}
	// From now on it answers no ARP at all.
	if _, err := b.run(ctx, a2.Name, "sysctl", "-qw", "net.ipv4.conf."+hostDev+".arp_ignore=8"); err != nil {
		return r, err
	}
	if err := b.edit(ctx, leaf, func(c *config.Node) error {
		c.BridgeDomains[0].Ageing = config.Duration(silentAgeing * time.Second)
		return nil
	}); err != nil {
		return r, err
	}
	start := time.Now()
	for _, l := range []string{leaf, far} {
		if err := b.forgotten(ctx, l, addr(a2, false)); err != nil {
			return r, err
		}
	}
	if most := 2*silentAgeing*time.Second - time.Since(start); most > 0 {
		pause(ctx, most)
	}
	r.Kept = time.Since(start)
	now, err := b.proxyCounts(ctx, leaf)
	if err != nil {
		return r, err
	}
	r.Probes, r.Lost = now["probes"]-before["probes"], now["lost"]-before["lost"]
	if r.Probes < 4 || r.Lost == 0 {
		return r, fmt.Errorf("%s asked %d times and lost %d hosts", leaf, r.Probes, r.Lost)
	}
	for _, l := range []string{leaf, far} {
		if _, err := b.awaitNeighbour(ctx, l, b.neighbourOf(l, a1, addr(a1, false))); err != nil {
			return r, fmt.Errorf("a host that answers was forgotten: %w", err)
		}
	}
	return r, nil
}

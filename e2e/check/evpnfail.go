package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// LeafStop is the result of Bench.LeafStop.
type LeafStop struct {
	Leaf string `json:"leaf"`
	// From the stop until another leaf neither floods to it nor has its MACs.
	Gone float64 `json:"gone_after_ms"`
	// From the start until its hosts are reached again.
	Back float64 `json:"back_after_ms"`
}

// LeafStop stops the third host's leaf. The others must forget its VTEP and what
// is behind it, and find it again when it is back.
func (b *Bench) LeafStop(ctx context.Context) (r LeafStop, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	if len(hosts) < 3 {
		return r, errors.New("check: stopping a leaf needs three hosts of a tenant")
	}
	near, far := hosts[0], hosts[2]
	r.Leaf = far.Host.Port.Node
	watch := near.Host.Port.Node
	b.dropNode(r.Leaf)
	start := time.Now()
	if err := b.Lab.StopProcess(ctx, r.Leaf, lab.EngineProcess, sigterm); err != nil {
		return r, err
	}
	goneErr := b.awaitVTEPs(ctx, watch, &EVPN{}, r.Leaf)
	if goneErr == nil {
		goneErr = eventually(ctx, 5*time.Second, func() error {
			return b.eachMAC(ctx, watch, func(e *ztosv1.MACEntry) error {
				if node, _ := b.Topo.Node(r.Leaf); e.GetVtep() == node.Address.String() {
					return fmt.Errorf("%s still has %s of VNI %d at %s", watch, e.GetMac(), e.GetVni(), e.GetVtep())
				}
				return nil
			})
		})
	}
	r.Gone = time.Since(start).Seconds() * 1e3
	start = time.Now()
	if err := errors.Join(goneErr, b.startEngine(context.WithoutCancel(ctx), r.Leaf)); err != nil {
		return r, err
	}
	if err := b.awaitVTEPs(ctx, watch, &EVPN{}); err != nil {
		return r, err
	}
	_, err = b.resumes(ctx, near, far)
	r.Back = time.Since(start).Seconds() * 1e3
	return r, err
}

// SpineGrace is the result of Bench.SpineGrace.
type SpineGrace struct {
	Spines int `json:"spines"`
	// Looks at a leaf while no spine spoke BGP: each found all VTEPs and MACs.
	Looks int `json:"looks"`
	// From the start of the first spine until a ping was answered, and until BGP
	// was up again.
	Answered float64 `json:"answered_after_ms"`
	BGP      float64 `json:"bgp_after_ms"`
}

// SpineGrace kills all spines, and with them every BGP session, and starts them
// again. The leaves must keep what they know, so that frames flow as soon as
// there is a spine, and afterwards too, when BGP has come up.
func (b *Bench) SpineGrace(ctx context.Context) (r SpineGrace, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	leaf := hosts[0].Host.Port.Node
	spines := b.kind(lab.Spine)
	r.Spines = len(spines)
	if _, err := b.resumes(ctx, hosts[0], hosts[1]); err != nil { // its MAC is known
		return r, err
	}
	mac := hosts[1].Host.MAC.String()
	peer, _ := b.Topo.Node(hosts[1].Host.Port.Node)
	look := func() error {
		r.Looks++
		if err := b.macAt(ctx, leaf, uint32(tenant.VNI), mac, peer.Address, 0); err != nil {
			return err
		}
		g, err := b.evpnOf(ctx, leaf)
		if err != nil {
			return err
		}
		for _, d := range g.GetDomains() {
			if got, want := slices.Sorted(slices.Values(d.GetVteps())), b.otherLeaves(leaf, d.GetName()); !slices.Equal(got, want) {
				return fmt.Errorf("%s: VNI %d floods to %v, want %v", leaf, d.GetVni(), got, want)
			}
		}
		return nil
	}
	for _, s := range spines {
		b.dropNode(s)
		if err := b.Lab.StopProcess(ctx, s, lab.EngineProcess, sigkill); err != nil {
			return r, err
		}
	}
	lookErr := b.untilDown(ctx, leaf, look)
	start := time.Now()
	for _, s := range spines {
		if err := b.startEngine(context.WithoutCancel(ctx), s); err != nil {
			return r, errors.Join(lookErr, err)
		}
	}
	if lookErr != nil {
		return r, lookErr
	}
	// Meanwhile what is stale is announced again, or goes: nothing may go.
	looking := startLook(ctx, look)
	backErr := b.spinesBack(ctx, hosts[0], hosts[1], start, &r)
	return r, errors.Join(backErr, looking.end())
}

// spinesBack waits until frames flow from one host to the other and all sessions are
// up, and a moment longer.
func (b *Bench) spinesBack(ctx context.Context, from, to *lab.Node, start time.Time, r *SpineGrace) error {
	if _, err := b.resumes(ctx, from, to); err != nil {
		return err
	}
	r.Answered = time.Since(start).Seconds() * 1e3
	for _, e := range b.Engines() {
		if _, err := b.established(ctx, e, evpnMost); err != nil {
			return err
		}
	}
	r.BGP = time.Since(start).Seconds() * 1e3
	pause(ctx, 2*time.Second)
	return nil
}

// untilDown looks again and again until a leaf has noticed that all of its sessions
// are down, and a moment longer.
func (b *Bench) untilDown(ctx context.Context, leaf string, look func() error) error {
	var lookErr error
	err := eventually(ctx, evpnMost, func() error {
		if lookErr = look(); lookErr != nil {
			return nil
		}
		return b.call(ctx, leaf, func(ctx context.Context, n *node) error {
			g, err := n.evpn.GetBGP(ctx, &ztosv1.GetBGPRequest{})
			for _, p := range g.GetPeers() {
				if p.State == "established" {
					err = errors.Join(err, fmt.Errorf("%s: session with %s is still up", leaf, p.Name))
				}
			}
			return err
		})
	})
	err = errors.Join(lookErr, err)
	for range 20 {
		if err == nil {
			pause(ctx, 100*time.Millisecond)
			err = look()
		}
	}
	return err
}

// Stranger is the result of Bench.Stranger.
type Stranger struct {
	Leaf     string `json:"leaf"`
	VTEP     string `json:"vtep"`
	Refused  uint64 `json:"refused"`  // routes of it
	Unserved uint64 `json:"unserved"` // frames of it that were dropped
}

// Stranger takes the keys of the third host's leaf out of the first leaf's
// configuration. What that leaf goes on announcing must be refused there, counted
// and reported; its frames must be dropped; and the others be served as before.
func (b *Bench) Stranger(ctx context.Context) (r Stranger, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	far, ok := b.Topo.Node(hosts[2].Host.Port.Node)
	if !ok || len(hosts) < 3 {
		return r, errors.New("check: a stranger needs three hosts of a tenant")
	}
	r.Leaf, r.VTEP = hosts[0].Host.Port.Node, far.Address.String()
	before, err := b.Drops(ctx, r.Leaf)
	if err != nil {
		return r, err
	}
	if err := b.edit(ctx, r.Leaf, func(c *config.Node) error { return forget(c, far.Address) }); err != nil {
		return r, err
	}
	stepErr := b.refused(ctx, &r)
	if stepErr == nil {
		stepErr = b.estranged(ctx, &r, hosts, before)
	}
	if err := errors.Join(stepErr, b.unedit(context.WithoutCancel(ctx), r.Leaf)); err != nil {
		return r, err
	}
	if err := b.macAt(ctx, r.Leaf, uint32(tenant.VNI), hosts[2].Host.MAC.String(), far.Address, 5*time.Second); err != nil {
		return r, err
	}
	_, err = b.resumes(ctx, hosts[0], hosts[2])
	return r, err
}

// forget takes a VTEP out of all bridge domains.
func forget(c *config.Node, v netip.Addr) error {
	n := 0
	for i := range c.BridgeDomains {
		m := c.BridgeDomains[i].MACsec
		if m == nil {
			continue
		}
		before := len(m.Peers)
		m.Peers = slices.DeleteFunc(m.Peers, func(p config.RxSC) bool { return p.VTEP == v })
		n += before - len(m.Peers)
	}
	if n == 0 {
		return fmt.Errorf("check: %s has no keys of %v", c.Self.Name, v)
	}
	return nil
}

// refused wants a leaf to refuse what a VTEP announces, and to flood nothing there.
func (b *Bench) refused(ctx context.Context, r *Stranger) error {
	return eventually(ctx, 10*time.Second, func() error {
		g, err := b.evpnOf(ctx, r.Leaf)
		if err != nil {
			return err
		}
		r.Refused = 0
		for _, x := range g.GetRefusals() {
			if x.GetVtep() == r.VTEP && strings.HasPrefix(x.GetReason(), "vni-") {
				r.Refused += x.GetCount()
			}
		}
		if r.Refused == 0 {
			return fmt.Errorf("%s refused nothing of %s: %v", r.Leaf, r.VTEP, g.GetRefusals())
		}
		for _, d := range g.GetDomains() {
			if slices.Contains(d.GetVteps(), r.VTEP) {
				return fmt.Errorf("%s floods VNI %d to %s, which it has no keys for", r.Leaf, d.GetVni(), r.VTEP)
			}
		}
		return nil
	})
}

// estranged wants the stranger's host to be out of reach, its frames to be dropped,
// and the second host to be reached.
func (b *Bench) estranged(ctx context.Context, r *Stranger, hosts []*lab.Node, before Drops) error {
	if _, err := b.resumes(ctx, hosts[0], hosts[1]); err != nil {
		return err
	}
	p, err := b.ping(ctx, hosts[2].Name, addr(hosts[0], false), pingOptions{count: 3})
	if err != nil {
		return err
	}
	if p.Received > 0 {
		return fmt.Errorf("%s reaches %s by a leaf that is not granted the VNI", hosts[2].Name, hosts[0].Name)
	}
	now, err := b.Drops(ctx, r.Leaf)
	if r.Unserved = now.since(before)["vxlan-unknown-vtep"]; err == nil && r.Unserved == 0 {
		err = fmt.Errorf("%s dropped no frame of %s: %v", r.Leaf, r.VTEP, now.since(before))
	}
	return err
}

package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// Ungranted is the result of Bench.Ungranted.
type Ungranted struct {
	Leaf    string `json:"leaf"`
	VTEP    string `json:"vtep"`
	Refused uint64 `json:"refused"` // announcements of it, summed over the spines
	From    uint64 `json:"from"`    // frames of it that spines dropped
	To      uint64 `json:"to"`      // frames to it that spines dropped
	Line    string `json:"line"`    // of `ztosctl show evpn` at a spine
}

// Ungranted takes the third host's leaf out of the first tenant's grants at all
// spines, while that leaf and the others go on as before: it announces a VNI that
// it was not granted. The spines must show that, count it, and pass on nothing of
// that VNI from it or to it; the leaf's other tenant, and the tenant's other
// leaves, are served as before. With the grant back all is as it was.
func (b *Bench) Ungranted(ctx context.Context) (r Ungranted, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	if len(hosts) < 3 || len(b.Topo.Tenants) < 2 {
		return r, errors.New("check: a grant that is missing needs three hosts of a tenant and another tenant")
	}
	far, _ := b.Topo.Node(hosts[2].Host.Port.Node)
	r.Leaf, r.VTEP = far.Name, far.Address.String()
	spines := b.kind(lab.Spine)
	defer func() {
		for _, s := range spines {
			err = errors.Join(err, b.unedit(context.WithoutCancel(ctx), s))
		}
		if err == nil {
			_, err = b.resumes(ctx, hosts[0], hosts[2])
		}
	}()
	before := make([]Drops, len(spines))
	for i, s := range spines {
		if err := b.edit(ctx, s, func(c *config.Node) error { return revoke(c, tenant.VNI, far.Address) }); err != nil {
			return r, err
		}
		if before[i], err = b.Drops(ctx, s); err != nil {
			return r, err
		}
	}
	for _, s := range spines {
		if err := b.refusalShown(ctx, s, tenant.VNI, &r); err != nil {
			return r, err
		}
	}
	// The leaves know of each other, and send.
	if err := b.macAt(ctx, hosts[0].Host.Port.Node, uint32(tenant.VNI), hosts[2].Host.MAC.String(), far.Address, 5*time.Second); err != nil {
		return r, fmt.Errorf("the leaves are to go on as before: %w", err)
	}
	for _, pair := range [][2]*lab.Node{{hosts[2], hosts[0]}, {hosts[0], hosts[2]}} {
		p, err := b.ping(ctx, pair[0].Name, addr(pair[1], false), pingOptions{count: 5})
		if err != nil {
			return r, err
		}
		if p.Received > 0 {
			return r, fmt.Errorf("%s reaches %s over spines that do not grant the VNI", pair[0].Name, pair[1].Name)
		}
	}
	for i, s := range spines {
		now, err := b.Drops(ctx, s)
		if err != nil {
			return r, err
		}
		d := now.since(before[i])
		r.From += d["spine-vni-not-member"]
		r.To += d["spine-dest-not-member"]
	}
	if r.From == 0 || r.To == 0 {
		return r, fmt.Errorf("spines dropped %d frames from and %d to %s, want some of both", r.From, r.To, r.Leaf)
	}
	other := b.Topo.Hosts(b.Topo.Tenants[1].Name)
	for _, pair := range [][2]*lab.Node{{hosts[0], hosts[1]}, {other[0], other[2]}} {
		p, err := b.ping(ctx, pair[0].Name, addr(pair[1], false), pingOptions{count: 5})
		if err == nil && p.Received != p.Sent {
			err = fmt.Errorf("%s to %s, which are granted: %d of %d echoes", pair[0].Name, pair[1].Name, p.Received, p.Sent)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// revoke takes a VTEP out of a spine's VRF.
func revoke(c *config.Node, vni table.VNI, v netip.Addr) error {
	for i := range c.VRFs {
		f := &c.VRFs[i]
		if !slices.Contains(f.VNIs, vni) || !f.Announced {
			continue
		}
		n := len(f.VTEPs)
		f.VTEPs = slices.DeleteFunc(f.VTEPs, func(a netip.Addr) bool { return a == v })
		if len(f.VTEPs) < n {
			return nil
		}
	}
	return fmt.Errorf("check: %s grants VNI %d to %v in no VRF with `announced`", c.Self.Name, vni, v)
}

// refusalShown waits until `ztosctl show evpn` of a spine shows, as JSON and in
// the table, that a VTEP announces a VNI that it was not granted.
func (b *Bench) refusalShown(ctx context.Context, spine string, vni table.VNI, r *Ungranted) error {
	const reason = "vni-not-granted"
	return eventually(ctx, 10*time.Second, func() error {
		var e status.EVPN
		if err := b.ctlJSON(ctx, spine, &e, "show", "evpn"); err != nil {
			return err
		}
		i := slices.IndexFunc(e.Refusals, func(x status.EVPNRefusal) bool {
			return x.VTEP.String() == r.VTEP && x.VNI == vni && x.Reason == reason && x.Count > 0
		})
		if i < 0 {
			return fmt.Errorf("%s shows no refusal of %s in VNI %d: %+v", spine, r.VTEP, vni, e.Refusals)
		}
		text, err := b.ctl(ctx, spine, "show", "evpn")
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) > 3 && f[0] == r.VTEP && f[1] == fmt.Sprint(vni) && f[2] == reason {
				r.Refused += e.Refusals[i].Count
				r.Line = strings.TrimSpace(line)
				return nil
			}
		}
		return fmt.Errorf("%s: no line of the refusal in\n%s", spine, text)
	})
}

// Unannounced is the result of Bench.Unannounced.
type Unannounced struct {
	Leaf    string `json:"leaf"`
	Dropped uint64 `json:"dropped"` // frames to it, summed over the spines
}

// Unannounced takes the first tenant from the third host's leaf, which so announces
// its VNI no more, though it is granted, and lets the first leaf flood to it all the
// same, by its configuration. The spines must pass on nothing: `announced` makes a
// member of who announces only.
func (b *Bench) Unannounced(ctx context.Context) (r Unannounced, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	near := hosts[0].Host.Port.Node
	far, _ := b.Topo.Node(hosts[2].Host.Port.Node)
	r.Leaf = far.Name
	defer func() {
		bg := context.WithoutCancel(ctx)
		err = errors.Join(err, b.unedit(bg, near), b.unedit(bg, r.Leaf))
		if err == nil {
			_, err = b.resumes(ctx, hosts[0], hosts[2])
		}
	}()
	is := func(d config.BridgeDomain) bool { return d.VNI == tenant.VNI }
	if err := b.edit(ctx, near, func(c *config.Node) error {
		i := slices.IndexFunc(c.BridgeDomains, is)
		c.BridgeDomains[i].VTEPs = append(c.BridgeDomains[i].VTEPs, far.Address)
		return nil
	}); err != nil {
		return r, err
	}
	if err := b.edit(ctx, r.Leaf, func(c *config.Node) error {
		c.BridgeDomains = slices.DeleteFunc(c.BridgeDomains, is)
		return nil
	}); err != nil {
		return r, err
	}
	spines := b.kind(lab.Spine)
	start := make([]Drops, len(spines))
	for i, s := range spines {
		if start[i], err = b.Drops(ctx, s); err != nil {
			return r, err
		}
	}
	// Before the withdrawal has come to a spine it may pass some on: again and again.
	return r, eventually(ctx, 10*time.Second, func() error {
		if err := b.shout(hosts[0]); err != nil {
			return err
		}
		r.Dropped = 0
		for i, s := range spines {
			now, err := b.Drops(ctx, s)
			if err != nil {
				return err
			}
			r.Dropped += now.since(start[i])["spine-dest-not-member"]
		}
		if r.Dropped == 0 {
			return fmt.Errorf("no spine dropped a frame to %s, which does not announce VNI %d", r.Leaf, tenant.VNI)
		}
		return nil
	})
}

// shout lets a host send a broadcast: a gratuitous ARP of its own.
func (b *Bench) shout(h *lab.Node) error {
	t, err := b.tap(h.Name, func(frame) bool { return false }, hostDev)
	if err != nil {
		return err
	}
	sendErr := t.send(hostDev, gratuitousARP(h.Host.MAC, prefix4(h).Addr()))
	_, err = t.close()
	return errors.Join(sendErr, err)
}

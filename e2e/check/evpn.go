package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// EVPN is the result of Bench.EVPN.
type EVPN struct {
	Sessions int `json:"sessions"` // established, each counted at both ends
	VTEPs    int `json:"vteps"`    // found, summed over leaves and VNIs
	MACs     int `json:"macs"`     // placed by EVPN, summed over leaves
}

// evpnMost is how long sessions and routes may take to be there.
const evpnMost = 30 * time.Second

// EVPN checks that the fabric has found itself: no leaf was told a VTEP, every
// session is up, every leaf has found the other leaves of each of its tenants, and
// knows their hosts by EVPN and not by learning; nothing was refused.
func (b *Bench) EVPN(ctx context.Context) (r EVPN, err error) {
	for _, leaf := range b.kind(lab.Leaf) {
		cfg, err := config.Load(b.Lab.ConfigPath(leaf))
		if err != nil {
			return r, fmt.Errorf("check: %w", err)
		}
		for _, d := range cfg.BridgeDomains {
			if len(d.VTEPs) > 0 || d.EVPN == nil {
				return r, fmt.Errorf("%s: VNI %d has static VTEPs %v: finding them would show nothing", leaf, d.VNI, d.VTEPs)
			}
		}
	}
	if r, err = b.Found(ctx); err != nil {
		return r, err
	}
	for _, leaf := range b.kind(lab.Leaf) {
		g, err := b.evpnOf(ctx, leaf)
		if err != nil {
			return r, err
		}
		if x := g.GetRefusals(); len(x) > 0 {
			return r, fmt.Errorf("%s refused %v", leaf, x)
		}
	}
	return r, nil
}

// Found waits until every session is up and every leaf has found the other leaves
// of each of its tenants, and wants their hosts known by EVPN.
func (b *Bench) Found(ctx context.Context) (r EVPN, err error) {
	for _, e := range b.Engines() {
		n, err := b.established(ctx, e, evpnMost)
		if err != nil {
			return r, err
		}
		r.Sessions += n
	}
	for _, leaf := range b.kind(lab.Leaf) {
		if err := b.awaitVTEPs(ctx, leaf, &r); err != nil {
			return r, err
		}
		if err := b.placed(ctx, leaf, &r); err != nil {
			return r, err
		}
	}
	if r.Sessions == 0 || r.VTEPs == 0 || r.MACs == 0 {
		return r, fmt.Errorf("check: %+v: no EVPN in this lab", r)
	}
	return r, nil
}

// Interest is the result of Bench.Interest.
type Interest struct {
	Leaf   string `json:"leaf"`
	Before int64  `json:"routes_before"`
	After  int64  `json:"routes_after"` // without one of the tenants
}

// Interest takes the last tenant from the third host's leaf: it must not be sent
// that tenant's routes any more (RFC 4684), and be sent them when it hosts it again.
func (b *Bench) Interest(ctx context.Context) (r Interest, err error) {
	r.Leaf = b.Topo.Hosts(b.Topo.Tenants[0].Name)[2].Host.Port.Node
	g, err := b.evpnOf(ctx, r.Leaf)
	if err != nil {
		return r, err
	}
	r.Before = g.GetRoutes()
	routes := func(want func(int64) bool) error {
		return eventually(ctx, evpnMost, func() error {
			g, err := b.evpnOf(ctx, r.Leaf)
			if err != nil {
				return err
			}
			if r.After = g.GetRoutes(); !want(r.After) {
				return fmt.Errorf("%s holds %d routes, of %d before", r.Leaf, r.After, r.Before)
			}
			return nil
		})
	}
	err = b.edit(ctx, r.Leaf, func(c *config.Node) error {
		c.BridgeDomains = c.BridgeDomains[:len(c.BridgeDomains)-1]
		return nil
	})
	if err != nil {
		return r, err
	}
	tenants := int64(len(b.Topo.Tenants))
	goneErr := routes(func(n int64) bool { return n > 0 && n <= r.Before*(tenants-1)/tenants })
	after := r.After
	if err := b.unedit(context.WithoutCancel(ctx), r.Leaf); err != nil || goneErr != nil {
		return r, errors.Join(goneErr, err)
	}
	err = routes(func(n int64) bool { return n >= r.Before })
	r.After = after
	return r, err
}

// established waits until all BGP sessions of an engine are up and returns their
// number.
func (b *Bench) established(ctx context.Context, engine string, most time.Duration) (n int, err error) {
	err = eventually(ctx, most, func() error {
		return b.call(ctx, engine, func(ctx context.Context, c *node) error {
			g, err := c.evpn.GetBGP(ctx, &ztosv1.GetBGPRequest{})
			if err != nil {
				return err
			}
			for _, p := range g.GetPeers() {
				if p.State != "established" {
					return fmt.Errorf("%s: session with %s is %s after %v (%s)", engine, p.Name, p.State, most, p.Error)
				}
			}
			n = len(g.GetPeers())
			return nil
		})
	})
	return n, err
}

// evpnOf returns what EVPN knows at an engine.
func (b *Bench) evpnOf(ctx context.Context, engine string) (g *ztosv1.GetEVPNResponse, err error) {
	err = b.call(ctx, engine, func(ctx context.Context, c *node) (err error) {
		g, err = c.evpn.GetEVPN(ctx, &ztosv1.GetEVPNRequest{})
		return err
	})
	return g, err
}

// otherLeaves returns the addresses of the other leaves of a tenant, sorted.
func (b *Bench) otherLeaves(leaf, tenant string, without ...string) (out []string) {
	for _, h := range b.Topo.Hosts(tenant) {
		far, ok := b.Topo.Node(h.Host.Port.Node)
		if !ok || far.Name == leaf || slices.Contains(without, far.Name) || slices.Contains(out, far.Address.String()) {
			continue
		}
		out = append(out, far.Address.String())
	}
	slices.Sort(out)
	return out
}

// awaitVTEPs waits until a leaf has found the other leaves of each of its tenants.
func (b *Bench) awaitVTEPs(ctx context.Context, leaf string, r *EVPN, without ...string) error {
	found := 0
	err := eventually(ctx, evpnMost, func() error {
		g, err := b.evpnOf(ctx, leaf)
		if err != nil {
			return err
		}
		found = 0
		for _, d := range g.GetDomains() {
			got := slices.Sorted(slices.Values(d.GetVteps()))
			if want := b.otherLeaves(leaf, d.GetName(), without...); !slices.Equal(got, want) {
				return fmt.Errorf("%s: VNI %d floods to %v, want %v", leaf, d.GetVni(), got, want)
			}
			found += len(d.GetVteps())
		}
		return nil
	})
	r.VTEPs += found
	return err
}

// placed counts the entries that EVPN has put into a leaf's FDB, and wants no
// remote ones that were learned.
func (b *Bench) placed(ctx context.Context, leaf string, r *EVPN) error {
	return b.eachMAC(ctx, leaf, func(e *ztosv1.MACEntry) error {
		if e.GetVtep() == "" {
			return nil
		}
		if !e.GetEvpn() {
			return fmt.Errorf("%s: %s in VNI %d at %s was learned from frames", leaf, e.GetMac(), e.GetVni(), e.GetVtep())
		}
		r.MACs++
		return nil
	})
}

// eachMAC calls fn for the FDB of a leaf.
func (b *Bench) eachMAC(ctx context.Context, leaf string, fn func(*ztosv1.MACEntry) error) error {
	return b.call(ctx, leaf, func(ctx context.Context, n *node) error {
		s, err := n.ListFDB(ctx, &ztosv1.ListFDBRequest{})
		if err != nil {
			return err
		}
		for {
			m, err := s.Recv()
			if err != nil {
				return ignoreEOF(err)
			}
			for _, e := range m.GetEntries() {
				if err := fn(e); err != nil {
					return err
				}
			}
		}
	})
}

// macAt waits until a leaf has a MAC at a VTEP, invalid for one of its own ports.
func (b *Bench) macAt(ctx context.Context, leaf string, vni uint32, mac string, want netip.Addr, most time.Duration) error {
	return eventually(ctx, most, func() error {
		at, found := "nowhere", false
		err := b.eachMAC(ctx, leaf, func(e *ztosv1.MACEntry) error {
			if e.GetVni() == vni && e.GetMac() == mac {
				found = e.GetVtep() == addrText(want)
				at = e.GetVtep() + e.GetPort()
			}
			return nil
		})
		if err == nil && !found {
			err = fmt.Errorf("%s has %s of VNI %d at %s, want %q", leaf, mac, vni, at, addrText(want))
		}
		return err
	})
}

// addrText is empty for no address.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// edit applies a leaf's configuration with a change, by the API; its file stays.
func (b *Bench) edit(ctx context.Context, leaf string, change func(*config.Node) error) error {
	cfg, err := config.Load(b.Lab.ConfigPath(leaf))
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if err := change(cfg); err != nil {
		return err
	}
	doc, err := config.Marshal(cfg)
	if err != nil {
		return err
	}
	return b.call(ctx, leaf, func(ctx context.Context, n *node) error {
		_, err := n.ApplyConfig(ctx, &ztosv1.ApplyConfigRequest{Document: doc})
		return err
	})
}

// unedit goes back to the file.
func (b *Bench) unedit(ctx context.Context, leaf string) error {
	return b.call(ctx, leaf, func(ctx context.Context, n *node) error {
		_, err := n.Reload(ctx, &ztosv1.ReloadRequest{})
		return err
	})
}

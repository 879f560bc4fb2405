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
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/lab"
)

// routeMost is how long a route may take to come or go.
const routeMost = 15 * time.Second

// LeafRoute is the route that a leaf is to have for a prefix.
type LeafRoute struct {
	Leaf   string       `json:"leaf"`
	VRF    string       `json:"vrf"`
	Prefix netip.Prefix `json:"prefix"`
	Via    []string     `json:"via"` // leaves, sorted; none: EVPN has no such route
}

// nextHop is one in words: VTEP, VNI, router MAC.
func nextHop(vtep netip.Addr, vni table.VNI, mac table.MAC) string {
	return fmt.Sprintf("%v/%d/%v", vtep, vni, mac)
}

// l3vni returns the L3VNI of a VRF.
func (b *Bench) l3vni(vrf string) table.VNI {
	for _, t := range b.Topo.Tenants {
		if t.VRF == vrf && t.L3VNI {
			return t.VNI
		}
	}
	return 0
}

// RoutedByEVPN waits until leaves have routes by EVPN, in force, by the leaves
// that are named, with the VRF's L3VNI and those leaves' own router MACs, and no
// others for these prefixes.
func (b *Bench) RoutedByEVPN(ctx context.Context, want ...LeafRoute) ([]LeafRoute, error) {
	for _, w := range want {
		var paths []string
		for _, v := range w.Via {
			n, ok := b.Topo.Node(v)
			if !ok {
				return nil, fmt.Errorf("check: no leaf %s", v)
			}
			paths = append(paths, nextHop(n.Address, b.l3vni(w.VRF), l3.DefaultRouterMAC(n.Address)))
		}
		if err := b.awaitRoute(ctx, w, paths); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// awaitRoute waits until the route of w is by paths.
func (b *Bench) awaitRoute(ctx context.Context, w LeafRoute, paths []string) error {
	return eventually(ctx, routeMost, func() error {
		got, err := b.evpnRoutes(ctx, w.Leaf, w.VRF)
		if err != nil {
			return err
		}
		if !slices.Equal(got[w.Prefix], paths) {
			return fmt.Errorf("%s, VRF %s: %v by EVPN is via %v, want %v", w.Leaf, w.VRF, w.Prefix, got[w.Prefix], paths)
		}
		return nil
	})
}

// evpnRoutes returns the routes of a VRF that a leaf has by EVPN and that are in
// force, with their paths in words.
func (b *Bench) evpnRoutes(ctx context.Context, leaf, vrf string) (map[netip.Prefix][]string, error) {
	out := map[netip.Prefix][]string{}
	err := b.call(ctx, leaf, func(ctx context.Context, n *node) error {
		s, err := n.ListRoutes(ctx, &ztosv1.ListRoutesRequest{Vrf: vrf})
		if err != nil {
			return err
		}
		for {
			m, err := s.Recv()
			if err != nil {
				return ignoreEOF(err)
			}
			for _, r := range m.GetRoutes() {
				if r.GetOrigin() != l3.OriginEVPN.String() || !r.GetBest() {
					continue
				}
				p, err := netip.ParsePrefix(r.GetPrefix())
				if err != nil {
					return err
				}
				for _, x := range r.GetPaths() {
					out[p] = append(out[p], fmt.Sprintf("%s/%d/%s", x.GetVtep(), x.GetVni(), x.GetMac()))
				}
			}
		}
	})
	return out, err
}

// NoStaticVRFRoutes wants no leaf to be told a VTEP, by a route or to flood to.
func (b *Bench) NoStaticVRFRoutes(context.Context) (leaves int, err error) {
	for _, leaf := range b.kind(lab.Leaf) {
		cfg, err := config.Load(b.Lab.ConfigPath(leaf))
		if err != nil {
			return leaves, fmt.Errorf("check: %w", err)
		}
		for _, v := range cfg.VRFs {
			for _, r := range v.Routes {
				for _, h := range r.NextHops {
					if h.VTEP.IsValid() {
						return leaves, fmt.Errorf("%s: VRF %s is told that %v is behind %v", leaf, v.Name, r.Prefix, h.VTEP)
					}
				}
			}
		}
		for _, d := range cfg.BridgeDomains {
			if len(d.VTEPs) > 0 {
				return leaves, fmt.Errorf("%s: VNI %d is told VTEPs %v", leaf, d.VNI, d.VTEPs)
			}
		}
		leaves++
	}
	return leaves, nil
}

// RoutedMove gives a host a second leg to another leaf of its subnet and moves it
// there and back while datagrams flow to it from a host of another subnet, whose
// leaf's host route must follow each time.
func (b *Bench) RoutedMove(ctx context.Context, name, from string, to string) (r HostMove, err error) {
	host, err := b.hostNode(name)
	if err != nil {
		return r, err
	}
	far, err := b.hostNode(from)
	if err != nil {
		return r, err
	}
	tenant, _ := b.Topo.Tenant(host.Host.Tenant)
	r.Host = name
	if err := b.secondLeg(ctx, host, to); err != nil {
		return r, err
	}
	defer func() {
		ctx := context.WithoutCancel(ctx)
		homeErr := errors.Join(b.home(ctx, host), b.gatewayBy(ctx, host, hostDev))
		_, delErr := b.run(ctx, to, "ip", "link", "del", movePort)
		err = errors.Join(err, homeErr, b.unedit(ctx, to), delErr)
	}()
	if err := b.edit(ctx, to, func(c *config.Node) error { return attach(c, uint32(tenant.VNI)) }); err != nil {
		return r, err
	}
	if err := b.awaitPort(ctx, lab.Ref{Node: to, Dev: movePort}, true, true); err != nil {
		return r, err
	}
	t, err := b.tap(name, func(frame) bool { return false }, hostDev, moveLeg)
	if err != nil {
		return r, err
	}
	defer t.close() //nolint:errcheck // it keeps nothing
	for i, leaf := range []string{to, host.Host.Port.Node} {
		legs := [2]string{hostDev, moveLeg}
		if i == 1 {
			slices.Reverse(legs[:])
		}
		s, err := b.moveOnce(ctx, t, host, far, legs[0], legs[1])
		if err != nil {
			return r, fmt.Errorf("move %d: %w", i+1, err)
		}
		r.Moves++
		r.Windows = append(r.Windows, s.Window)
		if s.Window > float64(moveMost.Milliseconds()) {
			return r, fmt.Errorf("move %d: loss window %.0f ms, want at most %v", i+1, s.Window, moveMost)
		}
		if err := b.gatewayBy(ctx, host, legs[1]); err != nil {
			return r, err
		}
		a := prefix4(host).Addr()
		_, err = b.RoutedByEVPN(ctx, LeafRoute{far.Host.Port.Node, tenant.VRF, netip.PrefixFrom(a, a.BitLen()), []string{leaf}})
		if err != nil {
			return r, fmt.Errorf("move %d: %w", i+1, err)
		}
		if _, err := b.resumes(ctx, far, host); err != nil {
			return r, fmt.Errorf("move %d: %w", i+1, err)
		}
	}
	slices.Sort(r.Windows)
	r.P50, r.Worst = r.Windows[0], r.Windows[1]
	return r, nil
}

// gatewayBy gives a host its IPv4 default route by a leg: the kernel drops it with
// the address.
func (b *Bench) gatewayBy(ctx context.Context, h *lab.Node, dev string) error {
	for _, g := range h.Host.Gateways {
		if g.Is4() {
			return b.batch(ctx, h.Name, fmt.Sprintf("route replace default via %v dev %s", g, dev))
		}
	}
	return fmt.Errorf("check: %s has no IPv4 gateway", h.Name)
}

// RoutedStranger is the result of Bench.RoutedStranger.
type RoutedStranger struct {
	Leaf    string `json:"leaf"`
	VTEP    string `json:"vtep"`
	Refused uint64 `json:"refused"` // routes of it
	Left    int    `json:"left"`    // routes by other leaves that stayed
}

// RoutedStranger takes the keys that a leaf has of another for the L3VNI of a VRF:
// what that one goes on announcing must be refused there, counted and shown, all
// routes by it go, and all come back with the keys.
func (b *Bench) RoutedStranger(ctx context.Context, leaf, stranger, vrf string) (r RoutedStranger, err error) {
	far, ok := b.Topo.Node(stranger)
	if !ok {
		return r, fmt.Errorf("check: no leaf %s", stranger)
	}
	r.Leaf, r.VTEP = leaf, far.Address.String()
	before, err := b.evpnRoutes(ctx, leaf, vrf)
	if err != nil {
		return r, err
	}
	l3vni := b.l3vni(vrf)
	if err := b.edit(ctx, leaf, func(c *config.Node) error { return forgetIn(c, far.Address, l3vni) }); err != nil {
		return r, err
	}
	stepErr := eventually(ctx, routeMost, func() error {
		g, err := b.evpnOf(ctx, leaf)
		if err != nil {
			return err
		}
		r.Refused = 0
		for _, x := range g.GetRefusals() {
			if x.GetVtep() == r.VTEP && x.GetReason() == "vni-not-granted" {
				r.Refused += x.GetCount()
			}
		}
		if r.Refused == 0 {
			return fmt.Errorf("%s refused nothing of %s: %v", leaf, stranger, g.GetRefusals())
		}
		left, err := b.evpnRoutes(ctx, leaf, vrf)
		r.Left = len(left)
		for p, paths := range left {
			for _, x := range paths {
				if x == nextHop(far.Address, l3vni, l3.DefaultRouterMAC(far.Address)) {
					err = errors.Join(err, fmt.Errorf("%s still has %v by %s, whose keys it has not", leaf, p, stranger))
				}
			}
		}
		return err
	})
	if err := errors.Join(stepErr, b.unedit(context.WithoutCancel(ctx), leaf)); err != nil {
		return r, err
	}
	return r, eventually(ctx, routeMost, func() error {
		after, err := b.evpnRoutes(ctx, leaf, vrf)
		for p, paths := range before {
			if !slices.Equal(after[p], paths) {
				err = errors.Join(err, fmt.Errorf("%s: %v is by %v again, was by %v", leaf, p, after[p], paths))
			}
		}
		return err
	})
}

// forgetIn takes the channel of a VTEP out of one bridge domain.
func forgetIn(c *config.Node, v netip.Addr, vni table.VNI) error {
	for i := range c.BridgeDomains {
		d := &c.BridgeDomains[i]
		if d.VNI != vni || d.MACsec == nil {
			continue
		}
		before := len(d.MACsec.Peers)
		d.MACsec.Peers = slices.DeleteFunc(d.MACsec.Peers, func(p config.RxSC) bool { return p.VTEP == v })
		if len(d.MACsec.Peers) < before {
			return nil
		}
	}
	return fmt.Errorf("check: %s has no keys of %v for VNI %d", c.Self.Name, v, vni)
}

// RouterMAC gives a leaf another router MAC: the host route that another leaf has by
// it must follow, and packets flow by it, there and back.
func (b *Bench) RouterMAC(ctx context.Context, leaf, from, to string) (mac table.MAC, err error) {
	mac = 0x02aabb000001
	src, err := b.hostNode(from)
	if err != nil {
		return mac, err
	}
	dst, err := b.hostNode(to)
	if err != nil {
		return mac, err
	}
	n, ok := b.Topo.Node(leaf)
	if !ok {
		return mac, fmt.Errorf("check: no leaf %s", leaf)
	}
	tenant, _ := b.Topo.Tenant(dst.Host.Tenant)
	err = b.edit(ctx, leaf, func(c *config.Node) error {
		for i := range c.VRFs {
			if c.VRFs[i].Name == tenant.VRF {
				c.VRFs[i].RouterMAC = mac
			}
		}
		return nil
	})
	if err != nil {
		return mac, err
	}
	a := prefix4(dst).Addr()
	w := LeafRoute{src.Host.Port.Node, tenant.VRF, netip.PrefixFrom(a, a.BitLen()), []string{leaf}}
	stepErr := b.awaitRoute(ctx, w, []string{nextHop(n.Address, b.l3vni(tenant.VRF), mac)})
	if stepErr == nil {
		_, stepErr = b.resumes(ctx, src, dst)
	}
	if err := errors.Join(stepErr, b.unedit(context.WithoutCancel(ctx), leaf)); err != nil {
		return mac, err
	}
	if _, err := b.RoutedByEVPN(ctx, w); err != nil {
		return mac, err
	}
	_, err = b.resumes(ctx, src, dst)
	return mac, err
}

// defaultRouters waits until every leaf has heard that all have their own router
// MACs again, after a change of one.
func (b *Bench) defaultRouters(ctx context.Context, vrf string) error {
	known := map[string]bool{}
	for _, l := range b.kind(lab.Leaf) {
		n, _ := b.Topo.Node(l)
		known[nextHop(n.Address, b.l3vni(vrf), l3.DefaultRouterMAC(n.Address))] = true
	}
	return eventually(ctx, routeMost, func() error {
		for _, l := range b.kind(lab.Leaf) {
			got, err := b.evpnRoutes(ctx, l, vrf)
			if err != nil {
				return err
			}
			for p, paths := range got {
				for _, x := range paths {
					if !known[x] {
						return fmt.Errorf("%s: %v is by %s, which no leaf is any more", l, p, x)
					}
				}
			}
		}
		return nil
	})
}

// RoutedLeafStop is the result of Bench.RoutedLeafStop.
type RoutedLeafStop struct {
	Leaf string  `json:"leaf"`
	Had  int     `json:"routes"` // routes by it that others had
	Gone float64 `json:"gone_after_ms"`
	Back float64 `json:"back_after_ms"`
}

// RoutedLeafStop kills a leaf: the others must lose every route by it, and no
// other, and have them all again when it is back.
func (b *Bench) RoutedLeafStop(ctx context.Context, leaf, vrf string) (r RoutedLeafStop, err error) {
	r.Leaf = leaf
	far, ok := b.Topo.Node(leaf)
	if !ok {
		return r, fmt.Errorf("check: no leaf %s", leaf)
	}
	if err := b.defaultRouters(ctx, vrf); err != nil {
		return r, err
	}
	by := nextHop(far.Address, b.l3vni(vrf), l3.DefaultRouterMAC(far.Address))
	before := map[string]map[netip.Prefix][]string{}
	for _, l := range b.kind(lab.Leaf) {
		if l == leaf {
			continue
		}
		if before[l], err = b.evpnRoutes(ctx, l, vrf); err != nil {
			return r, err
		}
		for _, paths := range before[l] {
			if slices.Contains(paths, by) {
				r.Had++
			}
		}
	}
	if r.Had == 0 {
		return r, fmt.Errorf("nobody has a route of VRF %s by %s", vrf, leaf)
	}
	// without wants what was there before, less the paths by the leaf.
	same := func(without bool) error {
		return eventually(ctx, evpnMost, func() error {
			for l, had := range before {
				now, err := b.evpnRoutes(ctx, l, vrf)
				if err != nil {
					return err
				}
				for p, paths := range had {
					want := slices.Clone(paths)
					if without {
						want = slices.DeleteFunc(want, func(x string) bool { return x == by })
					}
					if !slices.Equal(now[p], want) && !(len(now[p]) == 0 && len(want) == 0) {
						return fmt.Errorf("%s: %v is by %v, want %v", l, p, now[p], want)
					}
				}
			}
			return nil
		})
	}
	b.dropNode(leaf)
	start := time.Now()
	if err := b.Lab.StopProcess(ctx, leaf, lab.EngineProcess, sigkill); err != nil {
		return r, err
	}
	goneErr := same(true)
	r.Gone = time.Since(start).Seconds() * 1e3
	start = time.Now()
	if err := errors.Join(goneErr, b.startEngine(context.WithoutCancel(ctx), leaf)); err != nil {
		return r, err
	}
	// Hosts are resolved when they speak, or are spoken to.
	if _, err := b.Routed(ctx, vrf, 1); err != nil {
		return r, err
	}
	err = same(false)
	r.Back = time.Since(start).Seconds() * 1e3
	return r, err
}

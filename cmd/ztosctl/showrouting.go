package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
)

func (a *app) showVRF() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.VRF, error) { return c.VRFs(ctx) }
	return show(a, "vrf", "Routing domains of tenants and their gateways", "  ztosctl show vrf", get, func(vs []status.VRF) *table {
		t := newTable("no VRFs", "VRF", "L3VNI>", "ROUTER MAC", "URPF", "ROUTES>", "NEIGHBOURS>", "GATEWAY OF", "GATEWAY MAC", "ADDRESSES")
		for _, v := range vs {
			cells := []any{v.Name, number(int(v.L3VNI)), v.RouterMAC, v.URPF, v.Routes, v.Neighbours}
			if len(v.Gateways) == 0 {
				t.add(cells...)
			}
			for _, g := range v.Gateways {
				t.add(append(cells, fmt.Sprintf("%d (%s)", g.VNI, g.Name), g.MAC, list(g.Addresses))...)
				cells = []any{"", "", "", "", "", ""}
			}
		}
		return t
	})
}

func (a *app) showRoutes() *cobra.Command {
	var vrf, address *string
	get := func(ctx context.Context, c *client.Client) ([]status.Route, error) {
		f := status.RouteFilter{VRF: *vrf}
		if *address != "" {
			var err error
			if f.Address, err = netip.ParseAddr(*address); err != nil {
				return nil, usagef("--address %q: want an IP address", *address)
			}
		}
		out := []status.Route{}
		for r, err := range c.Routes(ctx, f) {
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	}
	cmd := show(a, "routes", "Routes of VRFs; those in the FIB have a star",
		"  ztosctl show routes --vrf red\n  ztosctl show routes --address 10.1.2.12", get, func(rs []status.Route) *table {
			t := newTable("no routes", "VRF", "", "PREFIX", "ORIGIN", "TO")
			for _, r := range rs {
				star := " "
				if r.Best {
					star = "*"
				}
				t.add(r.VRF, star, r.Prefix, r.Origin, whereTo(&r))
			}
			return t
		})
	vrf = cmd.Flags().String("vrf", "", "only this VRF")
	address = cmd.Flags().String("address", "", "only routes that hold this address")
	return cmd
}

// whereTo says in words where packets go by r, and by which contract.
func whereTo(r *status.Route) string {
	if r.Contract == "" {
		return hops(r)
	}
	return fmt.Sprintf("%s, of VRF %s by contract %s", hops(r), r.From, r.Contract)
}

func hops(r *status.Route) string {
	var to []string
	for _, p := range r.Paths {
		switch {
		case p.VTEP.IsValid():
			to = append(to, fmt.Sprintf("leaf %s by VNI %d, %s", p.VTEP, p.VNI, p.MAC))
		case p.MAC == 0:
			to = append(to, fmt.Sprintf("host %s in VNI %d, not resolved", p.Host, p.VNI))
		default:
			to = append(to, fmt.Sprintf("host %s in VNI %d, %s", p.Host, p.VNI, p.MAC))
		}
	}
	if len(to) > 0 {
		return strings.Join(to, "; ")
	}
	if r.VNI != 0 {
		return fmt.Sprintf("%s, VNI %d", r.Kind, r.VNI)
	}
	return r.Kind
}

func (a *app) showARP() *cobra.Command {
	return a.showNeighbours("arp", "IPv4 hosts that gateways and bridge domains with suppress know", 4)
}

func (a *app) showND() *cobra.Command {
	return a.showNeighbours("nd", "IPv6 hosts that gateways and bridge domains with suppress know", 6)
}

func (a *app) showNeighbours(use, short string, family int) *cobra.Command {
	var filter func() (status.NeighbourFilter, error)
	get := func(ctx context.Context, c *client.Client) ([]status.Neighbour, error) {
		f, err := filter()
		if err != nil {
			return nil, err
		}
		out := []status.Neighbour{}
		for n, err := range c.Neighbours(ctx, f) {
			if err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}
	cmd := show(a, use, short, "  ztosctl show "+use+" --vrf red\n  ztosctl show "+use+" --vni 10100", get, func(ns []status.Neighbour) *table {
		t := newTable("no neighbours", "VRF", "VNI>", "ADDRESS", "MAC", "STATE", "SOURCE", "AT", "AGE>")
		for _, n := range ns {
			mac, age := "", ""
			if n.MAC != 0 {
				mac = n.MAC.String()
			}
			if n.Age != 0 {
				age = ago(n.Age)
			}
			at := n.Port
			if n.VTEP.IsValid() {
				at = n.VTEP.String()
			}
			t.add(n.VRF, n.VNI, n.Address, mac, n.State, n.Source, at, age)
		}
		return t
	})
	vrf := cmd.Flags().String("vrf", "", "only this VRF")
	vni := vniFlag(cmd, "only this VNI")
	filter = func() (f status.NeighbourFilter, err error) {
		f.VRF, f.Family = *vrf, family
		f.VNI, err = vni()
		return f, err
	}
	return cmd
}

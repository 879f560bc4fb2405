package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	tbl "github.com/ztos/ztos/engine/table"
)

func (a *app) showCommand() *cobra.Command {
	return group("show", "Show what the node is and does",
		"  ztosctl show status\n  ztosctl show ports\n  ztosctl show drops -o json",
		a.showStatus(), a.showPorts(), a.showFDB(), a.showPeers(), a.showMACsec(), a.showCounters(), a.showDrops(), a.showMTU(),
		a.showVRF(), a.showRoutes(), a.showARP(), a.showND(), a.showDHCP(),
		a.showBFD(), a.showBGP(), a.showEVPN(), a.showSegments(), a.showMobility(), a.showDuplicates())
}

// show returns a command that gets a value and prints it.
func show[T any, R fmt.Stringer](a *app, use, short, example string, get func(context.Context, *client.Client) (T, error), render func(T) R) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				v, err := get(ctx, c)
				if err != nil {
					return err
				}
				return a.print(v, func() fmt.Stringer { return render(v) })
			})
		},
	}
}

func (a *app) showStatus() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) (status.Node, error) { return c.Status(ctx) }
	return show(a, "status", "Name, addresses, version, configuration and workers", "  ztosctl show status", get, func(n status.Node) *table {
		t := newTable("", "NODE", n.Name)
		t.add("roles", list(n.Roles))
		t.add("address", addr(n.Address))
		if n.Address6.IsValid() {
			t.add("address6", n.Address6)
		}
		t.add("version", n.Version)
		t.add("uptime", ago(n.Uptime))
		t.add("configuration", fmt.Sprintf("generation %d, for %s, from %s", n.Generation, ago(n.ConfigAge), n.ConfigFile))
		t.add("underlay", "GSO "+yes(n.GSO)+", GRO "+yes(n.GRO))
		for _, d := range n.Devices {
			s := fmt.Sprintf("AF_XDP (%s), %d next hops", d.Detail, d.Hops)
			if d.Note != "" {
				s = d.Note
			}
			t.add("underlay "+d.Name, s)
		}
		for _, w := range n.Workers {
			s := "ok"
			if w.Faults > 0 {
				s = fmt.Sprintf("%d bugs contained", w.Faults)
			}
			t.add("worker "+w.Name, s)
		}
		return t
	})
}

func (a *app) showPorts() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.Port, error) { return c.Ports(ctx) }
	return show(a, "ports", "Tenant ports, their devices and attachment circuits", "  ztosctl show ports", get, func(ps []status.Port) *table {
		t := newTable("no ports", "PORT", "KIND", "DRIVER", "DEVICE", "STATE", "MTU>", "MACS>", "RX FRAMES>", "TX FRAMES>", "REFUSED>", "CIRCUITS", "DETAIL")
		for _, p := range ps {
			state := "up"
			if !p.Present {
				state = "absent"
			} else if !p.Up {
				state = "down"
			}
			var cs []string
			for _, c := range p.Circuits {
				cs = append(cs, fmt.Sprintf("%d:%s", c.VNI, vlan(c.VLAN, c.InnerVLAN, c.All)))
			}
			detail := p.Detail
			if p.Note != "" {
				detail += "; " + p.Note
			}
			t.add(p.Name, p.Kind, p.Driver, p.Device, state, number(p.MTU), p.MACs, p.RxFrames, p.TxFrames, p.TxRefused, strings.Join(cs, " "), detail)
		}
		return t
	})
}

// vlan names the frames of an attachment circuit.
func vlan(v, inner uint16, all bool) string {
	switch {
	case all:
		return "all"
	case inner != 0:
		return fmt.Sprintf("%d.%d", v, inner)
	case v != 0:
		return fmt.Sprint(v)
	}
	return "untagged"
}

// macFilter adds the flags of an FDB filter and returns what reads them.
func macFilter(cmd *cobra.Command) func() (status.MACFilter, error) {
	vni := vniFlag(cmd, "only this VNI")
	mac := cmd.Flags().String("mac", "", "only this MAC address")
	port := cmd.Flags().String("port", "", "only this port")
	return func() (f status.MACFilter, err error) {
		if f.VNI, err = vni(); err != nil {
			return f, err
		}
		f.Port = *port
		f.MAC, err = parseMAC(*mac)
		return f, err
	}
}

// vniFlag adds --vni and returns what reads it; 0 is any.
func vniFlag(cmd *cobra.Command, help string) func() (tbl.VNI, error) {
	v := cmd.Flags().Uint32("vni", 0, help)
	return func() (tbl.VNI, error) {
		if *v > uint32(tbl.MaxVNI) {
			return 0, usagef("--vni %d: want 1 to %d", *v, tbl.MaxVNI)
		}
		return tbl.VNI(*v), nil
	}
}

func parseMAC(s string) (tbl.MAC, error) {
	if s == "" {
		return 0, nil
	}
	m, err := tbl.ParseMAC(s)
	if err != nil {
		return 0, usagef("--mac %v", err)
	}
	return m, nil
}

func (a *app) showFDB() *cobra.Command {
	var filter func() (status.MACFilter, error)
	get := func(ctx context.Context, c *client.Client) ([]status.MAC, error) {
		f, err := filter()
		if err != nil {
			return nil, err
		}
		out := []status.MAC{}
		for m, err := range c.FDB(ctx, f) {
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
		return out, nil
	}
	cmd := show(a, "fdb", "MAC addresses and where they are", "  ztosctl show fdb --vni 10100\n  ztosctl show fdb --mac 02:00:00:00:00:01", get, func(ms []status.MAC) *table {
		t := newTable("no MAC addresses", "VNI>", "MAC", "AT", "VLAN", "TYPE", "AGE>")
		for _, m := range ms {
			at, vl, age, kind := m.Port, "", ago(m.Age), "learned"
			switch {
			case m.VTEP.IsValid():
				at = m.VTEP.String()
			case m.Segment != "":
				at = "segment " + m.Segment
			default:
				vl = vlan(m.VLAN, m.InnerVLAN, false)
			}
			switch {
			case m.Quarantined && m.EVPN:
				kind, age = "quarantined", ""
			case m.EVPN && m.Static:
				kind, age = "evpn sticky", ""
			case m.EVPN:
				kind, age = "evpn", ""
			case m.Static:
				kind, age = "static", ""
			}
			t.add(m.VNI, m.MAC, at, vl, kind, age)
		}
		return t
	})
	filter = macFilter(cmd)
	return cmd
}

func (a *app) showPeers() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.Peer, error) { return c.Peers(ctx) }
	return show(a, "peers", "Underlay neighbours: sessions, liveness, traffic", "  ztosctl show peers", get, func(ps []status.Peer) *table {
		t := newTable("no peers", "PEER", "CARRIER", "ENDPOINT", "SESSION>", "HANDSHAKE>", "LIVENESS", "RX BYTES>", "TX BYTES>", "TRANSIT>", "PUBLIC KEY")
		for _, p := range ps {
			session, handshake, key := "none", "never", p.PublicKey.String()
			if p.HasSession {
				session = ago(p.SessionAge)
			}
			if p.HasHandshake {
				handshake = ago(p.HandshakeAge)
			}
			if p.Carrier == config.CarrierPlain {
				session, handshake = "", ""
			}
			t.add(p.Name, p.Carrier, endpoint(p.Endpoint), session, handshake, p.Liveness, p.RxBytes, p.TxBytes, p.Transit, key)
		}
		return t
	})
}

// addr and endpoint are empty for none.
func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func endpoint(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// number is empty for 0.
func number[N int | uint32 | uint64](n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// list joins values with commas.
func list[T fmt.Stringer](vs []T) string {
	var out []string
	for _, v := range vs {
		out = append(out, v.String())
	}
	return strings.Join(out, ", ")
}

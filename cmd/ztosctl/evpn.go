package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	tbl "github.com/ztos/ztos/engine/table"
)

func (a *app) showBGP() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) (status.BGP, error) { return c.BGP(ctx) }
	return show(a, "bgp", "BGP sessions: state, routes, messages", "  ztosctl show bgp", get, func(b status.BGP) *table {
		empty := "no peers"
		if !b.Enabled {
			empty = "no `bgp` in the configuration"
		}
		t := newTable(empty, "PEER", "ADDRESS", "AS>", "ROLE", "STATE", "FOR>", "RECEIVED>", "ADVERTISED>", "IGNORED>", "RX>", "TX>", "LAST ERROR")
		for _, p := range b.Peers {
			role := "external"
			switch {
			case p.Client:
				role = "client"
			case p.AS == b.AS:
				role = "internal"
			}
			state := p.State
			if p.Restarting {
				state += ", restarting"
			}
			t.add(p.Name, p.Address, p.AS, role, state, ago(p.Age), p.Received, p.Advertised, number(p.Ignored), p.RxMessages, p.TxMessages, p.Error)
		}
		return t
	})
}

// evpnTables are the tables of `show evpn`, one below the other.
type evpnTables []*table

// String returns the tables with an empty line between them.
func (ts evpnTables) String() string {
	var parts []string
	for _, t := range ts {
		parts = append(parts, t.String())
	}
	return strings.Join(parts, "\n")
}

func (a *app) showEVPN() *cobra.Command {
	return &cobra.Command{
		Use: "evpn", Short: "Bridge domains with EVPN, the VTEPs they found, and what was refused",
		Example: "  ztosctl show evpn\n  ztosctl show evpn -o json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				e, err := c.EVPN(ctx)
				if err != nil {
					return err
				}
				return a.print(e, func() fmt.Stringer { return renderEVPN(&e) })
			})
		},
	}
}

func renderEVPN(e *status.EVPN) fmt.Stringer {
	if !e.Enabled {
		return line("no `bgp` in the configuration")
	}
	top := newTable("", "VTEP", e.VTEP.String())
	top.add("routes of peers", fmt.Sprintf("%d, in %d paths", e.Routes, e.Paths))
	bds := newTable("no bridge domain with `evpn`", "VNI>", "NAME", "RD", "IMPORT", "EXPORT", "LOCAL>", "REMOTE>", "VTEPS")
	for _, d := range e.Domains {
		bds.add(d.VNI, d.Name, d.RD, strings.Join(d.Import, " "), strings.Join(d.Export, " "), d.Local, d.Remote, list(d.VTEPs))
	}
	refused := newTable("nothing was refused", "REFUSED", "VNI>", "REASON", "TIMES>", "LAST>", "ROUTE")
	for _, r := range e.Refusals {
		from := addr(r.VTEP)
		if from == "" {
			from = "others"
		}
		refused.add(from, number(uint32(r.VNI)), r.Reason, r.Count, ago(r.Age), r.Route)
	}
	return evpnTables{top, bds, renderSuppression(e), refused}
}

// renderSuppression is what the proxy ARP and ND of each bridge domain did.
func renderSuppression(e *status.EVPN) *table {
	t := newTable("no bridge domain with `suppress`", "SUPPRESS VNI>", "UNKNOWN", "LOCAL>", "KNOWN>", "COUNTS")
	for _, d := range e.Domains {
		s := d.Suppression
		if s == nil {
			continue
		}
		unknown := "flood"
		if s.Drop {
			unknown = "drop"
		}
		var counts []string
		for _, c := range s.Counts {
			if c.Count > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", c.Name, c.Count))
			}
		}
		t.add(d.VNI, unknown, s.Local, s.Known, strings.Join(counts, ", "))
	}
	return t
}

// where names a node of a move or duplicate.
func where(a netip.Addr) string {
	if !a.IsValid() {
		return "here"
	}
	return a.String()
}

func (a *app) showMobility() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.Move, error) { return c.Moves(ctx) }
	return show(a, "mobility", "MACs that moved between nodes lately, the oldest first", "  ztosctl show mobility", get, func(ms []status.Move) *table {
		t := newTable("no MAC moved", "AGO>", "WHAT", "VNI>", "MAC", "FROM", "TO", "PORT", "SEQ>", "ADDRESS")
		for _, m := range ms {
			seq := ""
			if m.Kind == "moved" {
				seq = strconv.FormatUint(uint64(m.Seq), 10)
			}
			from, to := where(m.From), where(m.To)
			if m.Address.IsValid() {
				from, to = "", ""
			}
			t.add(ago(m.Age), m.Kind, m.VNI, m.MAC, from, to, m.Port, seq, addr(m.Address))
		}
		return t
	})
}

func (a *app) showDuplicates() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.Duplicate, error) { return c.Duplicates(ctx) }
	return show(a, "duplicates", "MACs and addresses in quarantine, because two claim them", "  ztosctl show duplicates", get, func(ds []status.Duplicate) *table {
		t := newTable("no duplicates", "VNI>", "MAC", "ADDRESS", "KEEPER", "NEWCOMER", "FOR>", "RELEASED IN>")
		for _, d := range ds {
			left := "by command"
			if d.Left > 0 {
				left = ago(d.Left)
			}
			keeper, newcomer, age := where(d.Keeper), where(d.Newcomer), ago(d.Age)
			if d.Address.IsValid() {
				keeper, newcomer, age = "", "", ""
			}
			t.add(d.VNI, d.MAC, addr(d.Address), keeper, newcomer, age, left)
		}
		return t
	})
}

func (a *app) evpnCommand() *cobra.Command {
	release := &cobra.Command{
		Use:     "release VNI MAC|ADDRESS",
		Short:   "End the quarantine of a MAC or an IP address",
		Example: "  ztosctl evpn release 10100 02:00:00:00:00:01\n  ztosctl evpn release 10100 10.1.0.9",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			vni, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || vni == 0 || vni > uint64(tbl.MaxVNI) {
				return usagef("VNI %q: want 1 to %d", args[0], tbl.MaxVNI)
			}
			if ip, err := netip.ParseAddr(args[1]); err == nil && ip.Zone() == "" && !ip.Is4In6() {
				return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
					if err := c.ReleaseAddress(ctx, tbl.VNI(vni), ip); err != nil {
						return err
					}
					return a.done(result{Done: fmt.Sprintf("released %s in VNI %d", ip, vni)})
				})
			}
			hw, err := net.ParseMAC(args[1])
			if err != nil || len(hw) != 6 {
				return usagef("%q: want an IP address, or a MAC of six octets, as 02:00:00:00:00:01", args[1])
			}
			mac := tbl.MACFrom(hw)
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				if err := c.ReleaseDuplicate(ctx, tbl.VNI(vni), mac); err != nil {
					return err
				}
				return a.done(result{Done: fmt.Sprintf("released %s in VNI %d", mac, vni)})
			})
		},
	}
	return group("evpn", "Change what EVPN decided", "  ztosctl evpn release 10100 02:00:00:00:00:01", release)
}

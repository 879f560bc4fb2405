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
	return evpnTables{top, bds, refused}
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
		t := newTable("no MAC moved", "AGO>", "WHAT", "VNI>", "MAC", "FROM", "TO", "PORT", "SEQ>")
		for _, m := range ms {
			seq := ""
			if m.Kind == "moved" {
				seq = strconv.FormatUint(uint64(m.Seq), 10)
			}
			t.add(ago(m.Age), m.Kind, m.VNI, m.MAC, where(m.From), where(m.To), m.Port, seq)
		}
		return t
	})
}

func (a *app) showDuplicates() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.Duplicate, error) { return c.Duplicates(ctx) }
	return show(a, "duplicates", "MACs in quarantine, because two nodes claim them", "  ztosctl show duplicates", get, func(ds []status.Duplicate) *table {
		t := newTable("no duplicates", "VNI>", "MAC", "KEEPER", "NEWCOMER", "FOR>", "RELEASED IN>")
		for _, d := range ds {
			left := "by command"
			if d.Left > 0 {
				left = ago(d.Left)
			}
			t.add(d.VNI, d.MAC, where(d.Keeper), where(d.Newcomer), ago(d.Age), left)
		}
		return t
	})
}

func (a *app) evpnCommand() *cobra.Command {
	release := &cobra.Command{
		Use:     "release VNI MAC",
		Short:   "End the quarantine of a MAC",
		Example: "  ztosctl evpn release 10100 02:00:00:00:00:01",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			vni, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || vni == 0 || vni > uint64(tbl.MaxVNI) {
				return usagef("VNI %q: want 1 to %d", args[0], tbl.MaxVNI)
			}
			hw, err := net.ParseMAC(args[1])
			if err != nil || len(hw) != 6 {
				return usagef("MAC %q: want six octets, as 02:00:00:00:00:01", args[1])
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

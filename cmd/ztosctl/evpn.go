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
	return show(a, "bgp", "BGP sessions: state, routes, messages", "  ztosctl show bgp", get, func(b status.BGP) fmt.Stringer {
		empty := "no peers"
		if !b.Enabled {
			empty = "no `bgp` in the configuration"
		}
		t := newTable(empty, "PEER", "VRF", "ADDRESS", "AS>", "ROLE", "STATE", "FOR>", "RECEIVED>", "ADVERTISED>", "IGNORED>", "RX>", "TX>", "LAST ERROR")
		for _, p := range b.Peers {
			role := "external"
			switch {
			case p.Client:
				role = "client"
			case p.AS == b.AS && p.VRF == "":
				role = "internal"
			}
			state := p.State
			if p.Restarting {
				state += ", restarting"
			}
			t.add(p.Name, p.VRF, p.Address, p.AS, role, state, ago(p.Age), p.Received, p.Advertised, number(p.Ignored), p.RxMessages, p.TxMessages, p.Error)
		}
		if len(b.External) == 0 {
			return t
		}
		return tables{t, renderExternal(b.External)}
	})
}

// renderExternal says what VRFs have by routers outside the fabric.
func renderExternal(list []status.ExternalVRF) *table {
	t := newTable("", "VRF", "AS>", "ROUTES>", "NOT TAKEN")
	for _, x := range list {
		var faults []string
		for _, f := range x.Faults {
			if f.Count > 0 {
				faults = append(faults, fmt.Sprintf("%s %d", f.Name, f.Count))
			}
		}
		t.add(x.VRF, x.AS, x.Routes, strings.Join(faults, ", "))
	}
	return t
}

// tables are several tables, one below the other.
type tables []*table

// String returns the tables with an empty line between them.
func (ts tables) String() string {
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
	return tables{top, bds, renderSuppression(e), refused}
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
		t.add(d.VNI, unknown, s.Local, s.Known, counted(s.Counts))
	}
	return t
}

func (a *app) showSegments() *cobra.Command {
	return &cobra.Command{
		Use: "segments", Short: "Ethernet segments of several leaves: who forwards, where flows go, and why",
		Example: "  ztosctl show segments\n  ztosctl show segments -o json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				e, err := c.EVPN(ctx)
				if err != nil {
					return err
				}
				type segments struct {
					Segments []status.Segment      `json:"segments"`
					Groups   []status.SegmentGroup `json:"groups"`
				}
				return a.print(segments{e.Segments, e.Groups}, func() fmt.Stringer { return renderSegments(&e) })
			})
		},
	}
}

func renderSegments(e *status.EVPN) fmt.Stringer {
	own := newTable("no segment of this node", "SEGMENT", "ESI", "PORT", "MODE", "LINK", "VNI>", "DF", "BACKUP", "OTHER LEAVES", "WHY")
	for _, s := range e.Segments {
		link := "down"
		if s.Up {
			link = "up"
		}
		if len(s.VNIs) == 0 {
			own.add(s.Name, s.ESI, s.Port, s.Mode, link, "", "", "", "", "in no bridge domain")
		}
		for _, v := range s.VNIs {
			df := addr(v.DF)
			if v.Self {
				df = "this leaf"
			}
			own.add(s.Name, s.ESI, s.Port, s.Mode, link, v.VNI, df, addr(v.Backup), list(v.Peers), v.Why)
		}
	}
	far := newTable("no MAC of others behind a segment", "MACS BEHIND", "VNI>", "FLOWS TO", "STAND BY")
	for _, g := range e.Groups {
		to := list(g.VTEPs)
		switch {
		case g.Local:
			to = "the port here"
		case len(g.VTEPs) == 0:
			to = "all (unknown)"
		}
		far.add(g.ESI, g.VNI, to, list(g.Backup))
	}
	return tables{own, far}
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

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	tbl "github.com/ztos/ztos/engine/table"
)

func (a *app) showMACsec() *cobra.Command {
	var vni func() (tbl.VNI, error)
	get := func(ctx context.Context, c *client.Client) ([]status.SecY, error) {
		v, err := vni()
		if err != nil {
			return nil, err
		}
		return c.SecYs(ctx, v)
	}
	cmd := show(a, "macsec", "MACsec of each VNI: channels, SAs, packet numbers; -o json has all counters",
		"  ztosctl show macsec\n  ztosctl show macsec --vni 10100 -o json", get, secyTable)
	vni = vniFlag(cmd, "only this VNI")
	return cmd
}

// secyTable has a line for each SA, with the SecY's or channel's words on its
// first.
func secyTable(ys []status.SecY) *table {
	t := newTable("no VNI is protected by MACsec", "VNI>", "SUITE", "CHANNEL", "SCI", "AN>", "STATE", "NEXT PN>", "WINDOW>", "PACKETS>", "REFUSED>", "KEY")
	for _, y := range ys {
		suite := y.Cipher.String() + " " + y.Mode.String()
		if !y.Encrypt {
			suite += " integrity-only"
		}
		if y.Offset != 0 {
			suite += fmt.Sprintf(" offset %d", y.Offset)
		}
		if len(y.TxSAs) == 0 {
			t.add(y.VNI, suite, "tx", y.TxSCI, "", "no SA")
		}
		for _, sa := range y.TxSAs {
			state := "installed"
			if sa.InUse {
				state = "in use"
			}
			if sa.SoftLimit {
				state += ", rekey due"
			}
			t.add(y.VNI, suite, "tx", y.TxSCI, sa.AN, state, sa.NextPN, "", sa.OutPkts, "", sa.Fingerprint)
		}
		for _, c := range y.RxSCs {
			if len(c.SAs) == 0 {
				t.add(y.VNI, suite, "rx "+addr(c.VTEP), c.SCI, "", "no SA")
			}
			for _, sa := range c.SAs {
				ok, bad := split(sa.Counters)
				t.add(y.VNI, suite, "rx "+addr(c.VTEP), c.SCI, sa.AN, "receives", sa.NextPN, y.ReplayWindow, ok, bad, sa.Fingerprint)
			}
		}
	}
	return t
}

// split sums what a receive SA accepted and what it refused.
func split(cs []status.Count) (ok, bad uint64) {
	for _, c := range cs {
		if c.Name == "InPktsOK" {
			ok += c.Value
		} else {
			bad += c.Value
		}
	}
	return ok, bad
}

func (a *app) showCounters() *cobra.Command {
	var all *bool
	var kind *string
	get := func(ctx context.Context, c *client.Client) ([]status.CounterGroup, error) {
		gs, err := c.Counters(ctx)
		out := []status.CounterGroup{}
		for _, g := range gs {
			if *kind == "" || g.Kind == *kind {
				out = append(out, g)
			}
		}
		return out, err
	}
	cmd := show(a, "counters", "All counters that are not 0, of ports, peers, VNIs, MACsec, WireGuard and workers",
		"  ztosctl show counters\n  ztosctl show counters --kind wireguard --all", get, func(gs []status.CounterGroup) *table {
			t := newTable("every counter is 0", "KIND", "NAME", "COUNTER", "VALUE>")
			for _, g := range gs {
				for _, n := range g.Counts {
					if n.Value != 0 || *all {
						t.add(g.Kind, g.Name, n.Name, n.Value)
					}
				}
			}
			return t
		})
	all = cmd.Flags().Bool("all", false, "also those that are 0; JSON has them always")
	kind = cmd.Flags().String("kind", "", "only of this kind: port, peer, vni, macsec, wireguard, worker, ...")
	return cmd
}

// drop is a drop reason as it is shown.
type drop struct {
	Reason  string            `json:"reason"`
	Help    string            `json:"help"`
	Count   uint64            `json:"count"`
	Workers map[string]uint64 `json:"workers"`
	names   []string          // of Workers, in the order of the answer
}

func (a *app) showDrops() *cobra.Command {
	var all, workers *bool
	get := func(ctx context.Context, c *client.Client) ([]*drop, error) {
		ds, err := c.Drops(ctx, *all)
		return sumDrops(ds), err
	}
	cmd := show(a, "drops", "Frames that were dropped, by reason", "  ztosctl show drops\n  ztosctl show drops --all -o json", get, func(ds []*drop) *table {
		t := newTable("nothing was dropped", "REASON", "FRAMES>", "WHEN")
		if *workers {
			t = newTable("nothing was dropped", "REASON", "FRAMES>", "WORKER")
		}
		for _, d := range ds {
			if !*workers {
				t.add(d.Reason, d.Count, d.Help)
				continue
			}
			for _, w := range d.names {
				t.add(d.Reason, d.Workers[w], w)
			}
		}
		return t
	})
	all = cmd.Flags().Bool("all", false, "also the reasons that did not occur")
	workers = cmd.Flags().Bool("workers", false, "a line for each worker")
	return cmd
}

func sumDrops(ds []status.Drop) []*drop {
	out := []*drop{}
	by := map[counter.Reason]*drop{}
	for _, d := range ds {
		s := by[d.Reason]
		if s == nil {
			s = &drop{Reason: d.Reason.String(), Help: d.Reason.Help(), Workers: map[string]uint64{}}
			by[d.Reason] = s
			out = append(out, s)
		}
		s.Count += d.Count
		if d.Count > 0 {
			if _, ok := s.Workers[d.Worker]; !ok {
				s.names = append(s.names, d.Worker)
			}
			s.Workers[d.Worker] += d.Count
		}
	}
	return out
}

func (a *app) showMTU() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) ([]status.MTU, error) { return c.MTUs(ctx) }
	return show(a, "mtu", "Tenant MTU of each VNI and what each layer costs", "  ztosctl show mtu", get, func(ms []status.MTU) *table {
		t := newTable("no VNIs", "VNI>", "NAME", "UNDERLAY>", "OVERHEAD", "CAP>", "TENANT MTU>")
		for _, m := range ms {
			var ls []string
			for _, l := range m.Layers {
				ls = append(ls, fmt.Sprintf("%s %d", l.Name, l.Bytes))
			}
			t.add(m.VNI, m.Name, m.UnderlayMTU, strings.Join(ls, " + "), number(m.Cap), m.TenantMTU)
		}
		return t
	})
}

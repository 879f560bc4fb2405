package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	tbl "github.com/ztos/ztos/engine/table"
)

func (a *app) explainCommand() *cobra.Command {
	return group("explain", "Say where a host is, by which route, through which keys, or why it is nowhere",
		"  ztosctl explain mac 02:00:00:00:00:01\n  ztosctl explain ip 10.1.0.2 -o json",
		a.explainOf("mac", "MAC", "02:00:00:00:00:01", func(s string) (q status.ExplainQuery, err error) {
			q.MAC, err = tbl.ParseMAC(s)
			if err != nil || q.MAC.IsMulticast() {
				return q, usagef("%q: want a unicast MAC of six octets, as 02:00:00:00:00:01", s)
			}
			if q.MAC == 0 {
				err = usagef("%q: no host has it", s)
			}
			return q, err
		}),
		a.explainOf("ip", "ADDRESS", "10.1.0.2", func(s string) (q status.ExplainQuery, err error) {
			q.Address, err = netip.ParseAddr(s)
			if q.Address = q.Address.Unmap(); err != nil || q.Address.Zone() != "" {
				err = usagef("%q: want an IP address without a zone, as 10.1.0.2", s)
			}
			return q, err
		}))
}

// explainOf is `explain` for a kind of name. It exits with 1 when it is nowhere.
func (a *app) explainOf(use, arg, example string, parse func(string) (status.ExplainQuery, error)) *cobra.Command {
	var vni func() (tbl.VNI, error)
	cmd := &cobra.Command{
		Use: use + " " + arg, Short: "Say where the host with a " + arg + " is; exit code 1 when it is nowhere", Args: cobra.ExactArgs(1),
		Example: "  ztosctl explain " + use + " " + example + "\n  ztosctl explain " + use + " " + example + " --vni 10100 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := parse(args[0])
			if err != nil {
				return err
			}
			if q.VNI, err = vni(); err != nil {
				return err
			}
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				e, err := c.Explain(ctx, q)
				if err != nil {
					return err
				}
				if len(e.Places)+len(e.Routed) > 0 || a.json() {
					err = a.print(e, func() fmt.Stringer { return renderExplanation(&e) })
				}
				if err == nil && e.Why != "" {
					err = errors.New(args[0] + " is nowhere: " + e.Why)
				}
				return err
			})
		},
	}
	vni = vniFlag(cmd, "only in this bridge domain")
	return cmd
}

func renderExplanation(e *status.Explanation) fmt.Stringer {
	var parts tables
	for i := range e.Places {
		p := &e.Places[i]
		parts = append(parts, renderPlace(p), renderRoutes(p))
	}
	for i := range e.Routed {
		parts = append(parts, renderRouted(&e.Routed[i]))
	}
	return parts
}

// renderRouted says how a VRF sends packets to the address, and through which keys.
func renderRouted(x *status.Routed) *table {
	r := x.Route
	t := newTable("", "VRF", r.VRF)
	t.add("route", fmt.Sprintf("%s, %s", r.Prefix, r.Origin))
	if r.Contract != "" {
		t.add("by contract", fmt.Sprintf("%s, of VRF %s", r.Contract, r.From))
	}
	if len(x.Ways) == 0 {
		t.add("to", hops(&r))
	}
	if x.Why != "" {
		t.add("but", x.Why)
	}
	for i := range x.Ways {
		w := &x.Ways[i]
		t.add("to", hops(&status.Route{Kind: r.Kind, Paths: []status.Path{w.Path}}))
		if w.Why != "" {
			t.add("but", w.Why)
		}
		addKeys(t, w.Keys)
	}
	return t
}

// renderPlace says where p is, and through which keys.
func renderPlace(p *status.Place) *table {
	t := newTable("", "VNI", fmt.Sprintf("%d, %s", p.VNI, p.Name))
	if p.Address.IsValid() {
		t.add("address", p.Address)
	}
	t.add("mac", p.MAC)
	at := p.Kind
	switch {
	case p.Segment != "" && p.VTEP.IsValid():
		at = "segment " + p.Segment + ", by VTEP " + p.VTEP.String() + " and others"
	case p.Segment != "":
		at = "segment " + p.Segment + ", which is here too"
	case p.VTEP.IsValid():
		at = "VTEP " + p.VTEP.String()
	case p.Port != "":
		at = "port " + p.Port
		if p.VLAN != 0 {
			at += fmt.Sprintf(", VLAN %d", p.VLAN)
		}
	}
	t.add("at", at)
	if p.Source != "" {
		t.add("known by", p.Source)
	}
	if p.Why != "" {
		t.add("but", p.Why)
	}
	addKeys(t, p.Keys)
	return t
}

// addKeys adds through which keys a way leads, if it does through any.
func addKeys(t *table, k *status.ExplainedKeys) {
	if k == nil {
		return
	}
	if k.Cipher == 0 {
		t.add("MACsec", "none")
	} else {
		an := "no AN in use"
		if k.TxSA != "" {
			an = "AN " + k.TxSA
		}
		t.add("MACsec sends", fmt.Sprintf("%s, SCI %s, %s", k.Cipher, k.TxSCI, an))
		t.add("MACsec takes", "SCI "+strings.Join(k.RxSCs, "; SCI "))
	}
	for _, x := range k.Peers {
		state := "usable"
		if !x.Usable {
			state = "not usable"
		}
		if x.Carrier == config.CarrierPlain {
			t.add("peer "+x.Name, "no WireGuard, "+endpoint(x.Endpoint)+", "+state)
		} else {
			t.add("peer "+x.Name, "WireGuard "+x.PublicKey.String()+", "+endpoint(x.Endpoint)+", "+state)
		}
	}
}

// renderRoutes lists what is announced of p.
func renderRoutes(p *status.Place) *table {
	t := newTable("nobody announces it", "TYPE>", "RD", "ADDRESS", "NEXT HOP", "VNI>", "SEQ>", "TARGETS", "FROM", "USE")
	for _, r := range p.Routes {
		from, use := addr(r.From), ""
		if r.Own {
			from = "here"
		}
		switch {
		case r.Used:
			use = "used"
		case r.Best:
			use = "best"
		}
		seq := fmt.Sprint(r.Seq)
		if r.Sticky {
			seq = "sticky"
		}
		t.add(2, r.RD, addr(r.Address), r.NextHop, r.Label, seq, strings.Join(r.RTs, " "), from, use)
	}
	return t
}

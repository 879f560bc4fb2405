package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
)

func (a *app) verifyCommand() *cobra.Command {
	isolation := &cobra.Command{
		Use:   "isolation",
		Short: "Prove from the loaded tables that no path leads from one tenant to another",
		Long: `Looks at every entry of every table that the node has loaded (circuits, flood
lists, FDBs, FIBs, adjacencies, keys, the spine's guard) and compares the tenants
of its two ends. Exits with 1 when one leads from one tenant to another and no
contract permits it; what contracts permit is listed with their names.`,
		Example: "  ztosctl verify isolation\n  ztosctl verify isolation -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.Isolation(ctx)
				if err != nil {
					return err
				}
				if s.Breaches == nil {
					s.Breaches = []status.Breach{} // a list in JSON, too
				}
				if s.Permitted == nil {
					s.Permitted = []status.Permit{}
				}
				if err := a.print(s, func() fmt.Stringer { return renderIsolation(&s) }); err != nil {
					return err
				}
				if n := uint64(len(s.Breaches)) + s.More; n > 0 {
					return fmt.Errorf("%d entries lead from one tenant to another", n)
				}
				return nil
			})
		},
	}
	return group("verify", "Prove what has to hold", "  ztosctl verify isolation", isolation)
}

func renderIsolation(s *status.Isolation) fmt.Stringer {
	top := newTable("", "TENANTS", strconv.Itoa(s.Tenants))
	top.add("entries of tables", fmt.Sprintf("%d, of which %d lead nowhere", s.Steps, s.Nowhere))
	top.add("configuration", fmt.Sprintf("generation %d", s.Generation))
	top.add("took", s.Elapsed)
	none := "no path leads from one tenant to another"
	if len(s.Permitted) > 0 {
		none += " but by contracts"
	}
	found := newTable(none, "FROM", "TO", "BY")
	for _, b := range s.Breaches {
		found.add(b.From, b.To, b.Step)
	}
	if s.More > 0 {
		found.add("", "", fmt.Sprintf("and %d more", s.More))
	}
	if len(s.Permitted) == 0 {
		return tables{top, found}
	}
	permitted := newTable("", "CONTRACT", "FROM", "TO", "BY")
	for _, p := range s.Permitted {
		permitted.add(p.Contract, p.From, p.To, p.Step)
	}
	if s.Further > 0 {
		permitted.add("", "", "", fmt.Sprintf("and %d more", s.Further))
	}
	return tables{top, found, permitted}
}

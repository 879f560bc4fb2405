package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
)

func (a *app) showBFD() *cobra.Command {
	get := func(ctx context.Context, c *client.Client) (status.BFD, error) { return c.BFD(ctx) }
	return show(a, "bfd", "BFD sessions: state, times, packets that were refused",
		"  ztosctl show bfd\n  ztosctl show bfd -o json", get, func(b status.BFD) *table {
			empty := "no sessions"
			if !b.Enabled {
				empty = "no `bfd` in the configuration"
			}
			t := newTable(empty, "NEIGHBOUR", "ADDRESS", "HOPS>", "STATE", "FOR>", "THEIRS", "TX>", "DETECTION>", "AUTHENTICATION", "PATH", "WENT DOWN>", "LAST REASON", "RX>", "SENT>", "REFUSED")
			for _, s := range b.Sessions {
				path := "used"
				if s.PathWithheld {
					path = "withheld"
				}
				count := map[string]uint64{}
				for _, n := range s.Counters {
					count[n.Name] = n.Value
				}
				t.add(s.Name, s.Address, s.Hops, s.State, ago(s.Age), s.TheirState, s.Tx, s.Detection, s.Authentication, path,
					count["went-down"], s.LastDown, count["received"], count["sent"], refusals(s.Counters))
			}
			if r := refusals(b.Strangers); b.Enabled && r != "" {
				t.add("(none)", "", "", "", "", "", "", "", "", "", "", "", "", "", r)
			}
			return t
		})
}

// refusals names the counters of refused packets that are not 0.
func refusals(cs []status.Count) string {
	var out []string
	for _, n := range cs {
		if what, ok := strings.CutPrefix(n.Name, "refused-"); ok && n.Value > 0 {
			out = append(out, fmt.Sprintf("%s: %d", what, n.Value))
		}
	}
	return strings.Join(out, ", ")
}

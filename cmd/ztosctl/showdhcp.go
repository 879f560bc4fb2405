package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
)

func (a *app) showDHCP() *cobra.Command {
	return &cobra.Command{
		Use: "dhcp", Short: "DHCP relays: what they passed on, what they refused, the last requests",
		Example: "  ztosctl show dhcp\n  ztosctl show dhcp -o json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.engine(cmd, func(ctx context.Context, c *client.Client) error {
				d, err := c.DHCP(ctx)
				if err != nil {
					return err
				}
				return a.print(d, func() fmt.Stringer { return renderDHCP(&d) })
			})
		},
	}
}

func renderDHCP(d *status.DHCP) fmt.Stringer {
	if len(d.VRFs) == 0 {
		return line("no `dhcp-relay` in the configuration")
	}
	relays := newTable("", "VRF", "VNI>", "NAME", "SERVERS", "IPV4 ASKED>", "ANSWERED>", "IPV6 ASKED>", "ANSWERED>", "REFUSED")
	vrfs := newTable("", "VRF", "LOOPBACKS", "REPLIES REFUSED")
	recent := newTable("no requests", "AGO>", "VNI>", "MAC", "MESSAGE", "CIRCUIT", "REFUSED")
	for _, v := range d.VRFs {
		vrfs.add(v.Name, list(v.Loopbacks), counted(v.Faults))
		for _, r := range v.Relays {
			relays.add(v.Name, r.VNI, r.Name, list(r.Servers), r.Requests4, r.Replies4, r.Requests6, r.Replies6, counted(r.Faults))
			for _, q := range r.Recent {
				recent.add(ago(q.Age), r.VNI, q.MAC, q.Type, q.Circuit, q.Fault)
			}
		}
	}
	return tables{vrfs, relays, recent}
}

// counted lists the counts that are not 0.
func counted(cs []status.NamedCount) string {
	var out []string
	for _, c := range cs {
		if c.Count > 0 {
			out = append(out, fmt.Sprintf("%s %d", c.Name, c.Count))
		}
	}
	return strings.Join(out, ", ")
}

package profile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/perf/bed"
)

// Nodes are the engines that are looked at.
var Nodes = []string{bed.Leaf1, bed.Spine1, bed.Leaf2}

// BedOptions say what to look at.
type BedOptions struct {
	Topology string // file of the standard lab
	Engine   string // path of ztos-engine
	LogDir   string // folder for the output of the processes
}

// row leaves of a topology only the row of the bed.
func row(t *lab.Topology) {
	keep := append([]string{bed.H1, bed.H2}, Nodes...)
	t.Nodes = slices.DeleteFunc(t.Nodes, func(n lab.Node) bool { return !slices.Contains(keep, n.Name) })
	t.Links = slices.DeleteFunc(t.Links, func(l lab.Link) bool {
		return slices.ContainsFunc(l.Ends, func(e lab.End) bool { return !slices.Contains(keep, e.At.Node) })
	})
	t.Tenants = slices.DeleteFunc(t.Tenants, func(n lab.Tenant) bool {
		return !slices.ContainsFunc(t.Nodes, func(h lab.Node) bool { return h.Host != nil && h.Host.Tenant == n.Name })
	})
}

// open brings the row up and waits until it carries traffic.
func open(ctx context.Context, o BedOptions) (*bed.Bed, error) {
	b, err := bed.Open(ctx, bed.Options{
		Name: "profile", Topology: o.Topology, Engine: o.Engine, LogDir: o.LogDir, Edit: row,
	})
	if err != nil {
		return nil, err
	}
	err = bed.Wait(ctx, 15*time.Second, func() error {
		return b.Run(ctx, bed.H1, "ping -c 1 -W 1 %s", b.Tenant(bed.H2))
	})
	if err != nil {
		return b, fmt.Errorf("profile: %w", err)
	}
	return b, nil
}

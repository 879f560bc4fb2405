package scale

import (
	"context"
	"fmt"
	"slices"
)

// Plan is the sizes of a run. PerVRF has a series of VRF counts for each number
// of routes in a VRF.
type Plan struct {
	FDB, FIB, VNI, SA, Peer []int
	PerVRF                  []VRFPlan
}

// VRFPlan is VRF counts with a number of routes for each VRF.
type VRFPlan struct {
	Routes int
	Counts []int
}

// Full is what the engine is meant to hold. 100,000 routes in each of 1,000 VRFs
// are 100 million, 9 GB: measured are 1,000 VRFs of 1,000, and 100 of 100,000,
// and neither the bytes of a route nor a lookup depend on the other VRFs but by
// the processor's caches.
var Full = Plan{
	FDB: []int{1000, 10_000, 100_000, 1_000_000},
	FIB: []int{1000, 10_000, 100_000},
	PerVRF: []VRFPlan{
		{1000, []int{1, 10, 100, 1000}},
		{100_000, []int{1, 10, 100}},
	},
	VNI:  []int{16, 256, 4096, 16_000},
	SA:   []int{10, 100, 1000, 10_000},
	Peer: []int{1, 10, 100, 1000},
}

// Quick takes a minute or so.
var Quick = Plan{
	FDB:    []int{1000, 10_000, 100_000},
	FIB:    []int{1000, 10_000, 100_000},
	PerVRF: []VRFPlan{{1000, []int{1, 10, 100}}},
	VNI:    []int{16, 256, 2048},
	SA:     []int{10, 100, 1000},
	Peer:   []int{1, 10, 100},
}

// Run measures the series of p that only names, all when it is empty: fdb, fib,
// vrf, vni, sa, peer.
func (p *Plan) Run(ctx context.Context, run *Runner, only []string) (*Report, error) {
	r := NewReport()
	pure := func(f func([]int) Series, sizes []int) func() (Series, error) {
		return func() (Series, error) { return f(sizes), nil }
	}
	node := func(f func(context.Context, []int) (Series, error), sizes []int) func() (Series, error) {
		return func() (Series, error) { return f(ctx, sizes) }
	}
	steps := []struct {
		name string
		do   func() (Series, error)
	}{{"fdb", pure(FDB, p.FDB)}, {"fib", pure(FIB, p.FIB)}}
	for _, v := range p.PerVRF {
		steps = append(steps, struct {
			name string
			do   func() (Series, error)
		}{"vrf", func() (Series, error) { return VRFs(v.Counts, v.Routes), nil }})
	}
	steps = append(steps, []struct {
		name string
		do   func() (Series, error)
	}{
		{"vni", pure(VNI, p.VNI)}, {"vni", node(run.VNI, p.VNI)},
		{"sa", pure(SA, p.SA)}, {"sa", node(run.SA, p.SA)},
		{"peer", pure(Peer, p.Peer)}, {"peer", node(run.Peer, p.Peer)},
	}...)
	for _, s := range steps {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("scale: %w", err)
		}
		series, err := s.do()
		if err != nil {
			return nil, err
		}
		run.Log("%s: %d sizes", series.Title, len(series.Points))
		r.Series = append(r.Series, series)
	}
	return r, nil
}

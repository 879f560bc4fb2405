package scale

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/ztos/ztos/engine/table"
)

// Runner measures whole engines.
type Runner struct {
	Binary string        // ztos-engine
	Dir    string        // for keys, documents and logs
	Idle   time.Duration // over which idle processor time is taken
	Log    func(format string, args ...any)
}

// nodeMetrics are what every engine is asked, in the order of measure's values.
var nodeMetrics = []Metric{
	{"start", "from the process's start until the API answers with the configuration in force", "s", false},
	{"apply", "a document with one bridge domain changed, by the API; without one, with nothing changed", "s", false},
	{"reload", "the same by SIGHUP", "s", false},
	{"memory", "resident after that", "B", false},
	{"idle", "part of one CPU while nothing happens", "CPU", false},
	{"scrape", "metrics read once", "s", false},
	{"metrics", "their length; at most 4,096 things of a kind have series", "B", false},
}

// measure runs an engine with l and returns nodeMetrics, and what more adds.
func (r *Runner) measure(ctx context.Context, name string, l Load, more func(context.Context, *Engine) ([]float64, error)) (out []float64, err error) {
	s, err := NewSite(fmt.Sprintf("%s/%s-%d-%d", r.Dir, name, l.VNIs, l.Peers), l)
	if err != nil {
		return nil, err
	}
	// A former run's packet numbers are not this one's load.
	if err := os.RemoveAll(s.Dir + "/state"); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	e, start, err := r.start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	apply, reload := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	const times = 3
	for i := range times {
		a, err := e.Apply(ctx, 2*i+1)
		if err != nil {
			return nil, err
		}
		b, err := e.Reload(ctx, 2*i+2)
		if err != nil {
			return nil, err
		}
		apply, reload = min(apply, a), min(reload, b)
	}
	var extra []float64
	if more != nil {
		if extra, err = more(ctx, e); err != nil {
			return nil, err
		}
	}
	rss, err := e.RSS()
	if err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // the garbage collector has its say first
	idle, err := e.Idle(r.Idle)
	if err != nil {
		return nil, err
	}
	scrape, size, err := e.Scrape(ctx)
	if err != nil {
		return nil, err
	}
	r.Log("%s: %+v: start %v, apply %v, idle %.1f %%", name, l, start, apply, 100*idle)
	return append([]float64{start.Seconds(), apply.Seconds(), reload.Seconds(), float64(rss), idle, scrape.Seconds(), float64(size)}, extra...), nil
}

// start starts an engine three times and returns the last one with the shortest
// time that it took. All but the first find their packet numbers on disk.
func (r *Runner) start(ctx context.Context, s *Site) (e *Engine, best time.Duration, err error) {
	const times = 3
	for i := range times {
		if e, err = StartEngine(ctx, r.Binary, s); err != nil {
			return nil, 0, err
		}
		if i == 0 || e.Started < best {
			best = e.Started
		}
		if i < times-1 {
			if err := e.Close(); err != nil {
				return nil, 0, err
			}
		}
	}
	return e, best, nil
}

// run measures s at each of sizes.
func (r *Runner) run(ctx context.Context, s Series, sizes []int, load func(int) Load, more func(context.Context, *Engine) ([]float64, error)) (Series, error) {
	for _, n := range sizes {
		v, err := r.measure(ctx, s.Name, load(n), more)
		if err != nil {
			return s, fmt.Errorf("%s at %d: %w", s.Name, n, err)
		}
		s.Points = append(s.Points, Point{n, v})
	}
	return s, nil
}

// VNI measures engines with VNIs of two remote VTEPs, unprotected, so that their
// keys are not what is measured.
func (r *Runner) VNI(ctx context.Context, sizes []int) (Series, error) {
	return r.run(ctx, Series{
		Name: "vni-node", Title: "Engine with VNIs", Axis: "VNIs", Metrics: nodeMetrics,
	}, sizes, func(n int) Load { return Load{VNIs: n, VTEPs: 2} }, nil)
}

// SA measures engines with protected VNIs of ten SAs each; sizes are SAs.
func (r *Runner) SA(ctx context.Context, sizes []int) (Series, error) {
	m := append(append([]Metric{}, nodeMetrics...),
		Metric{"one SA", "a change of one SA, by the API: checked, applied and published", "s", false})
	return r.run(ctx, Series{
		Name: "sa-node", Title: "Engine with MACsec SAs, ten in a VNI", Axis: "SAs", Metrics: m,
	}, sizes, func(n int) Load {
		return Load{VNIs: max(1, n/sasPerSecY), VTEPs: sasPerSecY - 1, SAs: true}
	}, func(ctx context.Context, e *Engine) ([]float64, error) {
		best := math.Inf(1)
		for range rounds {
			began := time.Now()
			if err := e.api.UseAN(ctx, table.VNI(firstVNI), 0); err != nil {
				return nil, fmt.Errorf("scale: %w", err)
			}
			best = min(best, time.Since(began).Seconds())
		}
		return []float64{best}, nil
	})
}

// Peer measures engines with peers that have sessions with a Swarm.
func (r *Runner) Peer(ctx context.Context, sizes []int) (Series, error) {
	m := append(append([]Metric{}, nodeMetrics...),
		Metric{"up", "until every peer has a session, all calling at once: above 200 handshake messages a second they are answered with cookies first", "s", false},
		Metric{"probes", "part of one CPU with a liveness check of 1 s in both directions", "CPU", false})
	return r.run(ctx, Series{
		Name: "peer-node", Title: "Engine with WireGuard peers", Axis: "peers", Metrics: m,
	}, sizes, func(n int) Load { return Load{Peers: n} }, r.probes)
}

// probes lets e and its peers probe each other each second. It returns how long
// all sessions took to come up, and which part of a CPU e uses then.
func (r *Runner) probes(ctx context.Context, e *Engine) (out []float64, err error) {
	e.site.Load.Liveness = time.Second
	_, err = e.Apply(ctx, 0)
	e.site.Load.Liveness = 0
	if err != nil {
		return nil, err
	}
	swarm, err := NewSwarm(e, time.Second)
	if err != nil {
		return nil, err
	}
	defer swarm.Close()
	up, err := swarm.Up(ctx, e)
	if err != nil {
		return nil, err
	}
	cpu, err := e.Idle(r.Idle)
	if err != nil {
		return nil, err
	}
	// Back to the document of the other measurements. The sessions stay.
	_, err = e.Apply(ctx, 0)
	return []float64{up.Seconds(), cpu}, err
}

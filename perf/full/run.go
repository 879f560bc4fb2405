package full

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/iperf"
	"github.com/ztos/ztos/perf/metrics"
	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/progress"
	"github.com/ztos/ztos/perf/usage"
)

// bedName is the lab's name, so that it does not meet that of a short run.
const bedName = "perf-full"

// maxFailures is how many failed measurements a run bears. One is noted and the
// run goes on; so many mean that something is wrong with all of it.
const maxFailures = 10

// runner is one run.
type runner struct {
	c       *Config
	b       *bed.Bed
	runs    []run
	bar     *progress.Bar
	report  *Report
	iperf   *bed.Proc          // its server
	control string             // unix socket of the UDP receiver
	rates   map[string]float64 // of UDP, found in the last round, by what was measured
	// counted is what the engines of each mode, by ID, had counted the last
	// time that they were asked.
	counted map[int]metrics.Counters
	// alloced is what their workers had allocated then.
	alloced map[int]metrics.Allocs
	// warm is what the workers of all engines had allocated, and the engines
	// taken in, at the end of the first round: until then they open sockets
	// and make room.
	warm struct {
		allocs metrics.Allocs
		frames uint64
	}
}

// Run builds the bed, measures and takes the bed down. With an error the report
// has what was measured until then; it is nil when nothing was.
func Run(ctx context.Context, c *Config) (report *Report, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	b, err := bed.Open(ctx, bed.Options{Name: bedName, Topology: c.Topology, LogDir: c.LogDir})
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, b.Close())
	}()
	r := &runner{
		c: c, b: b, runs: c.runs(), control: filepath.Join(b.Dir(), "udp.sock"),
		rates: map[string]float64{}, counted: map[int]metrics.Counters{}, alloced: map[int]metrics.Allocs{},
	}
	r.bar = progress.New(c.Progress, c.Terminal, r.steps())
	defer r.bar.End()
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	r.report = newReport(ctx, r)
	if err := r.idle(ctx); err != nil {
		return nil, err
	}
	for round := range c.Rounds {
		if err := r.round(ctx, round); err != nil {
			return r.report, err
		}
		r.allocs(round == 0)
		r.report.finish()
	}
	r.report.Complete = true
	if len(r.report.Failures) > 0 {
		return r.report, fmt.Errorf("full: %d measurements failed, the first: %s", len(r.report.Failures), r.report.Failures[0])
	}
	return r.report, nil
}

// steps counts the steps of the whole run.
func (r *runner) steps() int {
	n := len(r.runs) + 1 // starts, and the look at idle nodes
	for round := range r.c.Rounds {
		for _, x := range r.runs {
			n += len(x.cases) * len(r.measurements(x, round))
		}
	}
	return n
}

// start starts all modes and the servers.
func (r *runner) start(ctx context.Context) error {
	for _, x := range r.runs {
		r.bar.Step("start " + x.mode.Name)
		if err := x.mode.Start(ctx, r.b); err != nil {
			return err
		}
	}
	var err error
	if r.iperf, err = iperf.Serve(r.b, bed.H2); err != nil {
		return err
	}
	udpServer, err := r.b.Start(bed.H2, "udpgen-server", "", r.c.UDPGen, "recv",
		"-port", fmt.Sprint(udpPort), "-control", r.control)
	if err != nil {
		return err
	}
	// Both answer, and caches are warm; the figures are not kept.
	first := r.runs[0].mode
	return bed.Wait(ctx, 10*time.Second, func() error {
		if _, err := iperf.TCP(ctx, r.b, bed.H1, first.Server(r.b).String(), 1, time.Second, 0); err != nil {
			return err
		}
		_, err := r.udpTrial(ctx, first, 64, true, 1000)
		return err
	}, r.iperf, udpServer)
}

// idle watches all nodes while nobody sends, and pauses them then.
func (r *runner) idle(ctx context.Context) error {
	r.bar.Step("nobody sends")
	before := map[int]time.Duration{}
	for _, x := range r.runs {
		for _, p := range x.mode.Procs() {
			t, err := usage.CPU([]int{p.PID})
			if err != nil {
				return err
			}
			before[p.PID] = t
		}
	}
	start := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(r.c.IdleTime):
	}
	took := time.Since(start)
	for _, x := range r.runs {
		var most float64
		for _, p := range x.mode.Procs() {
			t, err := usage.CPU([]int{p.PID})
			if err != nil {
				return err
			}
			most = max(most, (t-before[p.PID]).Seconds()/took.Seconds())
		}
		if len(x.mode.Procs()) > 0 && !x.tcpOnly {
			r.report.Idle[x.mode.Name] = most
		}
	}
	for _, x := range r.runs {
		if err := x.mode.Pause(); err != nil {
			return err
		}
	}
	return nil
}

// round measures every mode in each of its cases. Only one mode at a time runs;
// the others are paused.
func (r *runner) round(ctx context.Context, round int) error {
	for _, x := range r.runs {
		if err := x.mode.Resume(ctx, r.b); err != nil {
			return err
		}
		for _, k := range x.cases {
			if err := r.offloads(x.mode, k.offloads()); err != nil {
				return err
			}
			for _, what := range r.measurements(x, round) {
				if err := r.measure(ctx, x.mode, k, what, round); err != nil {
					return err
				}
			}
		}
		if err := r.drops(ctx, x.mode); err != nil {
			return err
		}
		if err := x.mode.Pause(); err != nil {
			return err
		}
	}
	return nil
}

// measure makes one measurement. That it fails is noted; it is an error only when
// too many do, or the run is over.
func (r *runner) measure(ctx context.Context, m *mode.Mode, k Case, what measurement, round int) error {
	err := m.Alive()
	if err == nil {
		err = what.do(ctx, m, k)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failures := &r.report.Failures
	if err != nil {
		*failures = append(*failures, fmt.Sprintf("%s, %s, %s, round %d: %v", what.name, m.Name, k, round+1, err))
	}
	if n := len(*failures); n > maxFailures {
		return fmt.Errorf("full: %d measurements failed, the last: %s", n, (*failures)[n-1])
	}
	r.bar.Step(fmt.Sprintf("round %d  %-4s %-34s %s", round+1, what.name, m.Name, r.line(what, m, k)))
	return nil
}

// line says what a measurement found.
func (r *runner) line(what measurement, m *mode.Mode, k Case) string {
	out := string(k)
	for _, f := range what.shows {
		if s := r.report.result(m.Name, k)[f]; s != nil {
			out += fmt.Sprintf("  %s %s", f, format(s.Rounds[len(s.Rounds)-1]))
		}
	}
	return out
}

// offloads switches those of the tenants at both hosts.
func (r *runner) offloads(m *mode.Mode, on bool) error {
	return errors.Join(
		r.b.SetOffloads(bed.H1, m.Device(), on),
		r.b.SetOffloads(bed.H2, m.Device(), on))
}

// allocs says what workers have allocated since the end of the first round.
func (r *runner) allocs(first bool) {
	var sum metrics.Allocs
	var frames uint64
	for id, a := range r.alloced {
		sum = sum.Add(a)
		frames += r.counted[id].Frames
	}
	if first {
		r.warm.allocs, r.warm.frames = sum, frames
		return
	}
	d := sum.Sub(r.warm.allocs)
	r.report.Allocs = &Allocs{Frames: frames - r.warm.frames, Mallocs: d.Objects, Bytes: d.Bytes, Where: d.Where}
}

// drops reads from the engines of a mode what they must not have dropped, as
// overload may lose frames, but never spoil one, and what their workers allocated.
func (r *runner) drops(ctx context.Context, m *mode.Mode) error {
	c, err := metrics.Read(ctx, r.b, m.Engines())
	if err != nil {
		return err
	}
	r.counted[m.ID] = c
	if r.alloced[m.ID], err = metrics.WorkerAllocs(ctx, r.b, m.Engines()); err != nil {
		return err
	}
	var sum metrics.Counters
	for _, c := range r.counted {
		sum = sum.Add(c)
	}
	r.report.AuthDrops, r.report.ReplayDrops = sum.Auth, sum.Replay
	return nil
}

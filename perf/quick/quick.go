package quick

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/iperf"
	"github.com/ztos/ztos/perf/machine"
	"github.com/ztos/ztos/perf/metrics"
	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/progress"
)

// Config says what to run. There are no defaults but those of cmd/perfquick.
type Config struct {
	Topology    string        // file of the standard lab
	Engine      string        // path of ztos-engine
	WireGuardGo string        // path of the peer perf/peers/wireguard-go
	LogDir      string        // folder for the output of the processes
	Cipher      config.Cipher // of MACsec; 0: as the topology has it
	Rounds      int           // at least 1
	Duration    time.Duration // of one measurement, whole seconds
	Omit        time.Duration // start of it that is not counted, whole seconds, in addition
	Only        []string      // names of modes; empty for all
	Progress    io.Writer     // gets a bar when Terminal, else a line per measurement
	Terminal    bool
}

// Sample is one measurement of one mode.
type Sample struct {
	Gbps          float64 `json:"gbps"`           // received TCP payload
	Retransmits   int     `json:"retransmits"`    // of the sender
	CalibrationNS float64 `json:"calibration_ns"` // one ChaCha20-Poly1305 seal of 1500 bytes, just before
}

// Run builds the bed, measures and takes the bed down. The report is complete also
// when the error is about taking down; otherwise it is nil with an error.
func Run(ctx context.Context, c *Config) (report *Report, err error) {
	modes := c.modes()
	if len(c.Only) > 0 {
		modes = slices.DeleteFunc(modes, func(m *mode.Mode) bool { return !slices.Contains(c.Only, m.Name) })
	}
	if len(modes) == 0 {
		return nil, fmt.Errorf("quick: no mode is called %q", c.Only)
	}
	p := progress.New(c.Progress, c.Terminal, len(modes)*(c.Rounds+1))
	defer p.End()

	o := bed.Options{Topology: c.Topology, LogDir: c.LogDir, Edit: c.edit}
	if slices.ContainsFunc(modes, func(m *mode.Mode) bool { return m.Name == mode.ZTOS }) {
		o.Engine, o.EngineEnv = c.Engine, []string{metrics.ProfileAll}
	}
	b, err := bed.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, b.Close())
	}()
	for _, m := range modes {
		p.Step("start " + m.Name)
		if err := m.Start(ctx, b); err != nil {
			return nil, fmt.Errorf("quick: %w", err)
		}
	}
	if _, err := iperf.Serve(b, bed.H2); err != nil {
		return nil, err
	}
	if err := c.warmUp(ctx, b, modes[0]); err != nil {
		return nil, err
	}

	report = newReport(c, b)
	for round := 1; round <= c.Rounds; round++ {
		for _, m := range modes {
			if err := m.Alive(); err != nil {
				return nil, err
			}
			s, err := c.measure(ctx, b, m, report)
			if err != nil {
				return nil, fmt.Errorf("quick: %s, round %d: %w", m.Name, round, err)
			}
			report.add(m.Name, s)
			p.Step(fmt.Sprintf("round %d  %-34s %6.2f Gbit/s", round, m.Name, s.Gbps))
		}
	}
	report.finish()
	return report, nil
}

// tenantMTU is that of the standard lab's tenants, bytes.
const tenantMTU = 1500

// modes lists all modes in the order in which a round measures them.
func (c *Config) modes() []*mode.Mode {
	return []*mode.Mode{
		mode.Lab(1),
		mode.WireGuard(2, c.WireGuardGo, mode.HopByHop, tenantMTU),
		mode.WireGuard(3, c.WireGuardGo, mode.EndToEnd, tenantMTU),
		mode.VXLANOverWireGuard(4, c.WireGuardGo, mode.HopByHop, tenantMTU),
		mode.VXLANOverWireGuard(5, c.WireGuardGo, mode.EndToEnd, tenantMTU),
	}
}

// edit sets the cipher of all tenants, if one is asked for.
func (c *Config) edit(t *lab.Topology) {
	for i := range t.Tenants {
		if c.Cipher != 0 {
			t.Tenants[i].Cipher = c.Cipher
		}
	}
}

// warmStreams is enough that every worker and path of the engines has had frames:
// they make room for them, and open sockets, when the first come.
const warmStreams = 16

// warmUp waits for the iperf3 server and fills caches once; its figure is not
// kept.
func (c *Config) warmUp(ctx context.Context, b *bed.Bed, m *mode.Mode) error {
	return bed.Wait(ctx, 5*time.Second, func() error {
		_, err := iperf.TCP(ctx, b, bed.H1, m.Server(b).String(), warmStreams, time.Second, 0)
		return err
	})
}

// measure measures mode m once.
func (c *Config) measure(ctx context.Context, b *bed.Bed, m *mode.Mode, report *Report) (Sample, error) {
	s := Sample{CalibrationNS: machine.Calibrate()}
	if m.Name != mode.ZTOS {
		return s, c.stream(ctx, b, m, &s)
	}
	before, err := c.engines(ctx, b, m)
	if err != nil {
		return s, err
	}
	if err := c.stream(ctx, b, m, &s); err != nil {
		return s, err
	}
	after, err := c.engines(ctx, b, m)
	if err != nil {
		return s, err
	}
	report.counted = report.counted.add(after.sub(before))
	return s, nil
}

// counted is what engines counted.
type counted struct {
	metrics.Counters
	workers metrics.Allocs
}

func (c counted) sub(o counted) counted {
	return counted{c.Counters.Sub(o.Counters), c.workers.Sub(o.workers)}
}

func (c counted) add(o counted) counted {
	return counted{c.Counters.Add(o.Counters), c.workers.Add(o.workers)}
}

// engines reads what those of mode m have counted since their start.
func (c *Config) engines(ctx context.Context, b *bed.Bed, m *mode.Mode) (now counted, err error) {
	if now.workers, err = metrics.WorkerAllocs(ctx, b, m.Engines()); err != nil {
		return now, err
	}
	now.Counters, err = metrics.Read(ctx, b, m.Engines())
	return now, err
}

// stream runs one TCP stream over mode m and notes its rate in s.
func (c *Config) stream(ctx context.Context, b *bed.Bed, m *mode.Mode, s *Sample) error {
	r, err := iperf.TCP(ctx, b, bed.H1, m.Server(b).String(), 1, c.Duration, c.Omit)
	s.Gbps, s.Retransmits = r.BitsPerSecond/1e9, r.Retransmits
	return err
}

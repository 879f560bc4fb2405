package quick

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/machine"
	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/stat"
)

// Report is the result of a run. A ratio is ZTOS's median over a peer's median;
// it is null when one of the two was not measured.
type Report struct {
	VsWireGuard      *float64 `json:"tcp1_vs_wireguard_go"`
	VsVXLANWireGuard *float64 `json:"tcp1_vs_vxlan_over_wireguard_go"`
	VsWireGuardE2E   *float64 `json:"tcp1_vs_wireguard_go_end_to_end"`
	VsVXLANWireGE2E  *float64 `json:"tcp1_vs_vxlan_over_wireguard_go_end_to_end"`

	// Of all engines over all measurements of ZTOS; null without ZTOS.
	AuthDrops       *uint64  `json:"auth_drops"`
	ReplayDrops     *uint64  `json:"replay_drops"`
	MallocsPerFrame *float64 `json:"mallocs_per_frame"`

	// Engines has the raw figures behind them.
	Engines *Engines `json:"engines"`

	Rounds   int                `json:"rounds"`
	Modes    map[string]*Series `json:"modes"`
	Settings Settings           `json:"settings"`
	Machine  machine.Machine    `json:"machine"`

	counted counted
}

// Engines is what all engines together counted while ZTOS was measured.
type Engines struct {
	// Frames from tenants and outer packets from peers, taken in.
	Frames uint64 `json:"frames"`
	// Heap allocations of the workers, which do all that is done for a frame,
	// and their bytes: exact, from a profile of every allocation.
	// MallocsPerFrame is made of these.
	WorkerMallocs uint64 `json:"worker_mallocs"`
	WorkerBytes   uint64 `json:"worker_malloc_bytes"`
	// Heap allocations of the whole engines, whatever for: timers of control,
	// reading metrics and profiles.
	Mallocs uint64 `json:"mallocs"`
}

// Series is what one mode reached, Gbit/s of TCP payload.
type Series struct {
	Median      float64  `json:"median_gbps"`
	Min         float64  `json:"min_gbps"`
	Max         float64  `json:"max_gbps"`
	Retransmits int      `json:"retransmits"` // of all rounds
	Rounds      []Sample `json:"rounds"`
}

// Settings are the conditions that all modes share.
type Settings struct {
	Topology    string  `json:"topology"`
	UnderlayMTU int     `json:"underlay_mtu"`
	TenantMTU   int     `json:"tenant_mtu"`
	Cipher      string  `json:"macsec_cipher"`
	Mode        string  `json:"macsec_mode"`
	Seconds     float64 `json:"seconds"`
	OmitSeconds float64 `json:"omit_seconds"`
}

// newReport returns an empty report of a run on b.
func newReport(c *Config, b *bed.Bed) *Report {
	return &Report{
		Rounds: c.Rounds,
		Modes:  map[string]*Series{},
		Settings: Settings{
			Topology: c.Topology, UnderlayMTU: b.UnderlayMTU(), TenantMTU: tenantMTU,
			Cipher: b.Topology.Tenants[0].Cipher.String(), Mode: b.Topology.Tenants[0].Mode.String(),
			Seconds: c.Duration.Seconds(), OmitSeconds: c.Omit.Seconds(),
		},
		Machine: machine.This(),
	}
}

// add takes one measurement.
func (r *Report) add(name string, s Sample) {
	if r.Modes[name] == nil {
		r.Modes[name] = &Series{}
	}
	r.Modes[name].Rounds = append(r.Modes[name].Rounds, s)
}

// finish computes medians and ratios from the samples.
func (r *Report) finish() {
	var calibrations []float64
	for _, s := range r.Modes {
		var gbps []float64
		s.Retransmits = 0
		for _, sample := range s.Rounds {
			gbps = append(gbps, sample.Gbps)
			calibrations = append(calibrations, sample.CalibrationNS)
			s.Retransmits += sample.Retransmits
		}
		s.Median, s.Min, s.Max = stat.Median(gbps), slices.Min(gbps), slices.Max(gbps)
	}
	r.Machine.Calibration = stat.Median(calibrations)
	r.VsWireGuard = r.ratio(mode.WireGuardName)
	r.VsVXLANWireGuard = r.ratio(mode.VXLANWireGuard)
	r.VsWireGuardE2E = r.ratio(mode.WireGuardE2E)
	r.VsVXLANWireGE2E = r.ratio(mode.VXLANWireGE2E)
	if r.Modes[mode.ZTOS] == nil {
		return
	}
	e := r.counted
	r.AuthDrops, r.ReplayDrops = &e.Auth, &e.Replay
	r.Engines = &Engines{Frames: e.Frames, WorkerMallocs: e.workers.Objects, WorkerBytes: e.workers.Bytes, Mallocs: e.Mallocs}
	perFrame := 0.0
	if e.Frames > 0 {
		perFrame = float64(e.workers.Objects) / float64(e.Frames)
	}
	r.MallocsPerFrame = &perFrame
}

// ratio returns ZTOS's median over that of peer; nil when it cannot.
func (r *Report) ratio(peer string) *float64 {
	ours, theirs := r.Modes[mode.ZTOS], r.Modes[peer]
	if ours == nil || theirs == nil || theirs.Median == 0 {
		return nil
	}
	v := ours.Median / theirs.Median
	return &v
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("quick: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("quick: %w", err)
	}
	return nil
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Gbit/s of one TCP stream, tenant MTU %d, underlay MTU %d, median of %d interleaved rounds of %g s\n",
		r.Settings.TenantMTU, r.Settings.UnderlayMTU, r.Rounds, r.Settings.Seconds)
	fmt.Fprintf(out, "%s, %d cores, Linux %s, %s, ChaCha20-Poly1305 of 1500 B: %.0f ns\n\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Machine.Calibration)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "mode\tmedian\tmin\tmax\tretransmits\tZTOS is\t")
	for _, m := range (&Config{}).modes() {
		s := r.Modes[m.Name]
		if s == nil {
			continue
		}
		ratio := ""
		if v := r.ratio(m.Name); v != nil && m.Name != mode.ZTOS {
			ratio = fmt.Sprintf("%.2fx", *v)
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%.2f\t%d\t%s\t\n",
			m.Name, s.Median, s.Min, s.Max, s.Retransmits, ratio)
	}
	t.Flush() // its writer's errors come up in out.Flush
	if r.MallocsPerFrame != nil {
		fmt.Fprintf(out, "\nengines: %d frames, authentication drops %d, replay drops %d, mallocs per frame %.6f (%d of the workers; %d of the engines, whatever for)\n",
			r.Engines.Frames, *r.AuthDrops, *r.ReplayDrops, *r.MallocsPerFrame, r.Engines.WorkerMallocs, r.Engines.Mallocs)
	}
	return out.Flush()
}

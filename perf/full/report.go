package full

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ztos/ztos/perf/machine"
	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/stat"
)

// Report is the result of a run.
type Report struct {
	Command  string          `json:"command"`  // what made it
	Date     string          `json:"date"`     // day it began, UTC
	Seconds  float64         `json:"seconds"`  // how long it took
	Complete bool            `json:"complete"` // all rounds were made
	Rounds   int             `json:"rounds"`
	Machine  machine.Machine `json:"machine"`
	Settings Settings        `json:"settings"`

	// Modes has the figures by mode and case.
	Modes map[string]map[Case]Result `json:"modes"`
	// Idle is what the busiest node of a mode uses while nobody sends, in
	// processors. Modes of kernels alone have none.
	Idle map[string]float64 `json:"idle_cores_per_node"`
	// Ratios are ZTOS's medians over a peer's, by case: tcp1_vs_wireguard_go
	// is TCP1, ZTOS with all layers over leaf, spine and leaf, over
	// wireguard-go hop by hop. Those of ZTOS on two nodes begin with
	// two_nodes_.
	Ratios map[Case]map[string]float64 `json:"ratios"`
	// AddedRTT is what a mode adds to the median round trip of the bare path,
	// idle, microseconds, by case.
	AddedRTT map[Case]map[string]float64 `json:"rtt_idle_added_us"`
	// Of all engines over the whole run.
	AuthDrops   uint64 `json:"auth_drops"`
	ReplayDrops uint64 `json:"replay_drops"`
	// Allocs is null after less than two rounds.
	Allocs *Allocs `json:"worker_allocs"`
	// Failures says which measurements failed, and how.
	Failures []string `json:"failures,omitempty"`

	start time.Time
}

// Allocs is what the workers of all engines allocated on the heap after the first
// round, in which they get their memory: exactly, from profiles of every
// allocation.
type Allocs struct {
	Frames  uint64 `json:"frames"` // from tenants and peers, that they took in
	Mallocs uint64 `json:"mallocs"`
	Bytes   uint64 `json:"bytes"`
	// Where has them by the function that allocated.
	Where map[string]uint64 `json:"where,omitempty"`
}

// Settings are what a run was made with.
type Settings struct {
	UnderlayMTU    int     `json:"underlay_mtu"`
	TenantMTU      int     `json:"tenant_mtu"`       // cases host and wire
	JumboMTU       int     `json:"jumbo_tenant_mtu"` // cases jumbo-host and jumbo-wire
	TCPSeconds     float64 `json:"tcp_seconds"`
	UDPSeconds     float64 `json:"udp_trial_seconds"`
	ConfirmSeconds float64 `json:"udp_confirm_seconds"`
	RTTCount       int     `json:"rtt_count"`
	Sparse         int     `json:"other_than_tcp1_every"` // rounds
	IdleSeconds    float64 `json:"idle_seconds"`
	Nebula         string  `json:"nebula_version,omitempty"`
}

// newReport returns an empty report of a run whose modes are up.
func newReport(ctx context.Context, r *runner) *Report {
	c := r.c
	now := time.Now()
	return &Report{
		Command: c.Command, Date: now.UTC().Format(time.DateOnly), start: now, Machine: machine.This(),
		Settings: Settings{
			UnderlayMTU: r.b.UnderlayMTU(), TenantMTU: tenantMTU, JumboMTU: mode.TenantMTU(r.b),
			TCPSeconds: c.TCPTime.Seconds(), UDPSeconds: c.UDPTrial.Seconds(), ConfirmSeconds: c.UDPConfirm.Seconds(),
			RTTCount: c.RTTCount, Sparse: c.Sparse, IdleSeconds: c.IdleTime.Seconds(),
			Nebula: mode.NebulaVersion(ctx, r.b, c.Nebula),
		},
		Modes: map[string]map[Case]Result{}, Idle: map[string]float64{},
	}
}

// result returns the figures of a mode in a case, to be added to.
func (r *Report) result(name string, k Case) Result {
	if r.Modes[name] == nil {
		r.Modes[name] = map[Case]Result{}
	}
	if r.Modes[name][k] == nil {
		r.Modes[name][k] = Result{}
	}
	return r.Modes[name][k]
}

// compared are the figures that ratios are made of: more is better.
func compared() map[string]Figure {
	out := map[string]Figure{"tcp1": TCP1, "tcp4": TCP4}
	for _, size := range UDPSizes {
		out[fmt.Sprintf("udp%d", size)] = UDP(size)
	}
	return out
}

// best is the peers that protect what they carry without VXLAN, of which the
// fastest is compared with under the name of all.
const best = "best_of_wireguard_go_and_nebula"

// bestOf lists them.
var bestOf = []string{mode.WireGuardName, mode.WireGuardE2E, mode.NebulaName}

// peers are the modes that ZTOS is compared with.
var peers = []string{mode.WireGuardName, mode.WireGuardE2E, mode.NebulaName, mode.KernelVXLAN, mode.VXLANWireGuard, mode.VXLANWireGE2E}

// finish counts a round as made and computes what follows from the samples.
func (r *Report) finish() {
	r.Rounds++
	r.Seconds = time.Since(r.start).Seconds()
	r.derive()
}

// derive computes ratios, differences and the calibration.
func (r *Report) derive() {
	var calibrations []float64
	for _, cases := range r.Modes {
		for _, res := range cases {
			if s := res[Calibration]; s != nil {
				calibrations = append(calibrations, s.Rounds...)
			}
		}
	}
	r.Machine.Calibration = stat.Median(calibrations)
	r.Ratios, r.AddedRTT = map[Case]map[string]float64{}, map[Case]map[string]float64{}
	twoNodes := mode.EngineName(mode.Layers{WireGuard: true, MACsec: true}, mode.TwoNodes)
	for _, k := range Cases {
		r.ratios(k, mode.ZTOS, "")
		r.ratios(k, twoNodes, "two_nodes_")
		r.addedRTT(k)
	}
}

// ratios computes those of one mode of ZTOS in case k.
func (r *Report) ratios(k Case, ours, prefix string) {
	for short, f := range compared() {
		v, ok := r.Modes[ours][k].median(f)
		if !ok {
			continue
		}
		set := func(peer string, theirs float64) {
			if r.Ratios[k] == nil {
				r.Ratios[k] = map[string]float64{}
			}
			if theirs > 0 {
				r.Ratios[k][prefix+short+"_vs_"+strings.ReplaceAll(peer, "-", "_")] = v / theirs
			}
		}
		for _, p := range peers {
			if theirs, ok := r.Modes[p][k].median(f); ok {
				set(p, theirs)
			}
		}
		// The best of some that are not all there would flatter.
		var most float64
		all := true
		for _, p := range bestOf {
			theirs, ok := r.Modes[p][k].median(f)
			all = all && ok
			most = max(most, theirs)
		}
		if all {
			set(best, most)
		}
	}
}

// addedRTT computes what modes add to the bare path in case k.
func (r *Report) addedRTT(k Case) {
	bare, ok := r.Modes[mode.BareName][k].median(IdleP50)
	if !ok {
		return
	}
	r.AddedRTT[k] = map[string]float64{}
	for name, cases := range r.Modes {
		if v, ok := cases[k].median(IdleP50); ok && name != mode.BareName {
			r.AddedRTT[k][name] = v - bare
		}
	}
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("full: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("full: %w", err)
	}
	return nil
}

// ReadJSON reads a report that WriteJSON wrote.
func ReadJSON(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("full: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("full: %s: %w", path, err)
	}
	return r, nil
}

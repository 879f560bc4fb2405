package pgo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/quick"
)

// GainConfig says how to measure. There are no defaults but those of cmd/pgo.
type GainConfig struct {
	Off, On  string        // engines built without the profile and with it
	Topology string        // file of the standard lab
	LogDir   string        // folder for the output of the processes
	Pairs    int           // of runs, at least 1
	Rounds   int           // measurements of each run
	Duration time.Duration // of one measurement, whole seconds
	Note     func(string)  // gets a line for each run
}

// Gain is what the profile gains: one TCP stream over all three layers, the two
// engines in turns, the first of a pair by turns too.
type Gain struct {
	// Ratio is the median over all pairs of on over off: more than 1 is
	// faster with the profile.
	Ratio    float64   `json:"ratio"`
	Ratios   []float64 `json:"ratios"` // pair by pair
	Off      Runs      `json:"off"`
	On       Runs      `json:"on"`
	Seconds  float64   `json:"seconds"` // of a measurement
	Binaries struct {
		Off int64 `json:"off"`
		On  int64 `json:"on"`
	} `json:"binary_bytes"`
}

// Runs are the medians of one engine's runs, Gbit/s of TCP payload, and their
// median.
type Runs struct {
	Median float64   `json:"median_gbps"`
	Runs   []float64 `json:"runs_gbps"`
}

// MeasureGain runs the pairs. It takes about Pairs x 2 x (Rounds x (2 x Duration +
// 2 s) + 8 s).
func MeasureGain(ctx context.Context, c *GainConfig) (*Gain, error) {
	g := &Gain{Seconds: c.Duration.Seconds()}
	for path, size := range map[string]*int64{c.Off: &g.Binaries.Off, c.On: &g.Binaries.On} {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("pgo: %w", err)
		}
		*size = st.Size()
	}
	for pair := range c.Pairs {
		sides := []struct {
			name, engine string
			runs         *Runs
		}{{"off", c.Off, &g.Off}, {"on", c.On, &g.On}}
		if pair%2 == 1 {
			slices.Reverse(sides)
		}
		for _, s := range sides {
			gbps, err := c.run(ctx, s.engine)
			if err != nil {
				return nil, fmt.Errorf("pgo: %s: %w", s.name, err)
			}
			s.runs.Runs = append(s.runs.Runs, gbps)
			c.Note(fmt.Sprintf("pair %d of %d  %-3s  %6.2f Gbit/s", pair+1, c.Pairs, s.name, gbps))
		}
		g.Ratios = append(g.Ratios, g.On.Runs[pair]/g.Off.Runs[pair])
	}
	g.Ratio, g.Off.Median, g.On.Median = median(g.Ratios), median(g.Off.Runs), median(g.On.Runs)
	return g, nil
}

// run returns the median of one run, Gbit/s.
func (c *GainConfig) run(ctx context.Context, engine string) (float64, error) {
	r, err := quick.Run(ctx, &quick.Config{
		Topology: c.Topology, Engine: engine, LogDir: c.LogDir, Rounds: c.Rounds, Duration: c.Duration, Omit: time.Second,
		Only: []string{mode.ZTOS}, Progress: io.Discard,
	})
	if err != nil {
		return 0, err
	}
	gbps := r.Modes[mode.ZTOS].Median
	if gbps <= 0 {
		return 0, fmt.Errorf("nothing arrived")
	}
	return gbps, nil
}

// median returns the middle value, or the mean of the two in the middle; 0 for
// none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// WriteJSON writes the result to a file, whose folder is made.
func (g *Gain) WriteJSON(path string) error {
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return fmt.Errorf("pgo: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("pgo: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

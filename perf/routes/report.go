package routes

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/ztos/ztos/perf/scale"
	"github.com/ztos/ztos/perf/stat"
)

// Report is the outcome of Measure: every run, and series of their medians, which
// know how they grow.
type Report struct {
	*scale.Report
	Rounds int
	Runs   []Run
}

// column is a metric and where it is in a Run; NaN: not there.
type column struct {
	scale.Metric
	of func(r *Run) float64
}

// columns are the metrics of each system.
var columns = []column{
	{scale.Metric{Name: "type 2", Title: "seconds until all MACs are in the FDB", Unit: "s"}, func(r *Run) float64 { return r.MACs }},
	{scale.Metric{Name: "type 5", Title: "seconds until all prefixes are in the FIB, the MACs being there", Unit: "s"}, func(r *Run) float64 { return r.Prefixes }},
	{scale.Metric{Name: "type 5 gone", Title: "seconds until all prefixes, withdrawn, have left the FIB", Unit: "s"}, func(r *Run) float64 { return r.WithdrawPrefixes }},
	{scale.Metric{Name: "type 2 gone", Title: "the same of the MACs", Unit: "s"}, func(r *Run) float64 { return r.WithdrawMACs }},
	{scale.Metric{Name: "before", Title: "resident without routes; bgpd and zebra for FRR", Unit: "B"}, func(r *Run) float64 { return float64(r.Before) }},
	{scale.Metric{Name: "loaded", Title: "resident with all; the kernel's tables, which FRR fills, are not in it", Unit: "B"}, func(r *Run) float64 { return float64(r.Loaded) }},
}

// streamColumns are further metrics of the system that has a stream.
var streamColumns = []column{
	{scale.Metric{Name: "sent", Title: "datagrams sent through the VRF meanwhile", Unit: ""}, ofStream(func(s *Stream) float64 { return float64(s.Sent) })},
	{scale.Metric{Name: "lost", Title: "of them, in the worst round", Unit: ""}, ofStream(func(s *Stream) float64 { return float64(s.Lost) })},
	{scale.Metric{Name: "gap", Title: "longest time between two that arrived, the median of rounds", Unit: "s"}, ofStream(func(s *Stream) float64 { return s.Gap })},
}

func ofStream(of func(*Stream) float64) func(*Run) float64 {
	return func(r *Run) float64 {
		if r.Stream == nil {
			return math.NaN()
		}
		return of(r.Stream)
	}
}

// summarize makes the series anew from the runs.
func (r *Report) summarize() {
	r.Series = nil
	for _, s := range []struct {
		system, title string
		columns       []column
	}{
		{ZTOS, "ztos-engine", slices.Concat(columns, streamColumns)},
		{FRR, "FRR with the kernel", columns},
	} {
		r.Series = append(r.Series, r.series(s.system, s.title, s.columns))
	}
}

func (r *Report) series(system, title string, columns []column) scale.Series {
	s := scale.Series{Name: system, Title: title, Axis: "routes of each type"}
	for _, c := range columns {
		s.Metrics = append(s.Metrics, c.Metric)
	}
	bySize := map[int][]*Run{}
	var sizes []int
	for i := range r.Runs {
		one := &r.Runs[i]
		if one.System != system {
			continue
		}
		if bySize[one.Routes] == nil {
			sizes = append(sizes, one.Routes)
		}
		bySize[one.Routes] = append(bySize[one.Routes], one)
	}
	slices.Sort(sizes)
	for _, n := range sizes {
		p := scale.Point{Size: n}
		for _, c := range columns {
			var v []float64
			for _, one := range bySize[n] {
				v = append(v, c.of(one))
			}
			x := stat.Median(v)
			if c.Name == "lost" {
				x = slices.Max(v)
			}
			p.Values = append(p.Values, x)
		}
		s.Points = append(s.Points, p)
	}
	return s
}

// Lost returns the datagrams that were lost in all runs.
func (r *Report) Lost() (n int) {
	for _, one := range r.Runs {
		if one.Stream != nil {
			n += one.Stream.Lost
		}
	}
	return n
}

// Merge adds the runs of another report, of the same machine.
func (r *Report) Merge(o *Report) {
	r.Runs = append(r.Runs, o.Runs...)
	r.summarize()
}

// WriteJSON writes r to path.
func (r *Report) WriteJSON(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// ReadReport reads what WriteJSON wrote.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	r := &Report{Report: &scale.Report{}}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("routes: %s: %w", path, err)
	}
	return r, nil
}

package moves

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ztos/ztos/perf/scale"
	"github.com/ztos/ztos/perf/stat"
)

// Point is the moves at one rate.
type Point struct {
	Rate  int    `json:"rate"` // datagrams a second
	Moves []Move `json:"moves"`
}

// Report is the outcome of Measure: every move, and a series of what they have in
// common at each rate.
type Report struct {
	*scale.Report
	Points []Point
}

// metrics are those of the series, in the order of Point.values.
var metrics = []scale.Metric{
	{Name: "moves", Title: "hosts that moved, once each"},
	{Name: "p50", Title: "loss window: from a host's first frame at its new place until datagrams are sent of which all come there; the median", Unit: "s"},
	{Name: "p90", Title: "the same, which nine of ten do not exceed", Unit: "s"},
	{Name: "p99", Title: "the same, which 99 of 100 do not exceed", Unit: "s"},
	{Name: "worst", Title: "the longest", Unit: "s"},
	{Name: "first", Title: "until the first datagram has come to the new place, the median", Unit: "s"},
	{Name: "sent", Title: "datagrams of all moves"},
	{Name: "astray", Title: "of them, those that were sent after a host's first frame and did not come to its new place"},
	{Name: "lost", Title: "of them, those that were sent before it and came to neither place: on their way when the old leaf let the host go"},
}

// values returns what the moves of p have in common.
func (p *Point) values() []float64 {
	var windows, first []float64
	var sent, astray, lost float64
	for _, m := range p.Moves {
		windows, first = append(windows, m.Window), append(first, m.First)
		sent, astray, lost = sent+float64(m.Sent), astray+float64(m.Astray), lost+float64(m.Lost)
	}
	slices.Sort(windows)
	return []float64{
		float64(len(p.Moves)), stat.Median(windows), stat.Percentile(windows, 0.9), stat.Percentile(windows, 0.99),
		stat.Percentile(windows, 1), stat.Median(first), sent, astray, lost,
	}
}

// summarize makes the series anew from the moves.
func (r *Report) summarize() {
	s := scale.Series{Name: "moves", Title: "hosts that move", Axis: "datagrams a second", Metrics: metrics}
	for i := range r.Points {
		s.Points = append(s.Points, scale.Point{Size: r.Points[i].Rate, Values: r.Points[i].values()})
	}
	r.Series = []scale.Series{s}
}

// WriteJSON writes r to path.
func (r *Report) WriteJSON(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("moves: %w", err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

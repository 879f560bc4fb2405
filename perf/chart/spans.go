package chart

import (
	"math"
	"slices"
)

// Span is three values of one distribution, ascending. All 0 is no value.
type Span [3]float64

// SpanRow is one row: a span for each series.
type SpanRow struct {
	Label  string
	Accent bool // ours
	Spans  []Span
}

// Spans is a chart of distributions on a logarithmic axis: a line from the first
// to the last value, with dots at all three, the first one largest.
type Spans struct {
	Title, Note, Unit string
	Series            []string // one or two
	Own, Peers        string   // what the two colours mean
	Rows              []SpanRow
}

// Drawing lays the chart out.
func (s *Spans) Drawing() *Drawing {
	least, most := math.Inf(1), 0.0
	labels, accents := make([]string, len(s.Rows)), make([]bool, len(s.Rows))
	for i, r := range s.Rows {
		labels[i], accents[i] = r.Label, r.Accent
		for _, v := range r.Spans {
			if v[0] > 0 {
				least, most = min(least, v[0]), max(most, slices.Max(v[:]))
			}
		}
	}
	if most == 0 {
		least, most = 1, 10
	}
	f := newFrame(s.Title, s.Note, s.Unit, labels, accents, len(s.Series), logTicks(least, most), true)
	f.legend(s.Series, s.Own, s.Peers)
	for i, r := range s.Rows {
		for j, v := range r.Spans {
			if v[0] <= 0 {
				continue
			}
			middle := f.lane(i, j) + barHeight/2
			c := shade(r.Accent, j)
			from, to := f.axis.at(v[0]), f.axis.at(v[2])
			f.d.Rect(from, middle-1.25, to-from, 2.5, c)
			for k := len(v) - 1; k >= 0; k-- {
				f.d.Circle(f.axis.at(v[k]), middle, []float64{4.6, 3.4, 2.6}[k], c)
			}
			f.d.Text(to+9, middle+4, valueSize, Start, false, ink, short(v[0])+" / "+short(v[2]))
		}
	}
	return &f.d
}

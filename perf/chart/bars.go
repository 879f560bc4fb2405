package chart

import "math"

// Value is a median with the range that it is from. OK false is no value: its
// place stays empty.
type Value struct {
	Median, Min, Max float64
	OK               bool
}

// BarRow is one row: a bar for each series.
type BarRow struct {
	Label  string
	Accent bool // ours
	Values []Value
}

// Bars is a chart of horizontal bars from 0, in groups, with lines from minimum
// to maximum.
type Bars struct {
	Title, Note, Unit string
	Series            []string // one or two
	Own, Peers        string   // what the two colours mean
	Rows              []BarRow
}

// Drawing lays the chart out.
func (b *Bars) Drawing() *Drawing {
	var most float64
	labels, accents := make([]string, len(b.Rows)), make([]bool, len(b.Rows))
	for i, r := range b.Rows {
		labels[i], accents[i] = r.Label, r.Accent
		for _, v := range r.Values {
			if v.OK {
				most = max(most, v.Max, v.Median)
			}
		}
	}
	f := newFrame(b.Title, b.Note, b.Unit, labels, accents, len(b.Series), linearTicks(most), false)
	f.legend(b.Series, b.Own, b.Peers)
	for i, r := range b.Rows {
		for j, v := range r.Values {
			if !v.OK {
				continue
			}
			y, x := f.lane(i, j), f.axis.at(v.Median)
			f.d.Rect(f.left, y, math.Max(x-f.left, 1), barHeight, shade(r.Accent, j))
			end := x
			if v.Max > v.Min {
				lo, hi := f.axis.at(v.Min), f.axis.at(v.Max)
				middle := y + barHeight/2
				f.d.Rect(lo, middle-0.5, hi-lo, 1, ink)
				f.d.Rect(lo-0.5, middle-3, 1, 6, ink)
				f.d.Rect(hi-0.5, middle-3, 1, 6, ink)
				end = max(x, hi)
			}
			f.d.Text(end+6, y+barHeight-2.5, valueSize, Start, false, ink, short(v.Median))
		}
	}
	return &f.d
}

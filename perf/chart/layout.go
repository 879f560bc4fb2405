package chart

import (
	"image/color"
	"math"
	"strconv"
)

// Colours: ink on white, and two shades each for what is ours and what is
// compared with.
var (
	ink    = color.RGBA{0x1e, 0x29, 0x3b, 0xff}
	soft   = color.RGBA{0x64, 0x74, 0x8b, 0xff}
	rule   = color.RGBA{0xe2, 0xe8, 0xf0, 0xff}
	stripe = color.RGBA{0xf8, 0xfa, 0xfc, 0xff}

	ours   = [2]color.RGBA{{0x1d, 0x4e, 0xd8, 0xff}, {0x7d, 0xa6, 0xf5, 0xff}}
	theirs = [2]color.RGBA{{0x6b, 0x72, 0x80, 0xff}, {0xb8, 0xbf, 0xc9, 0xff}}
)

// shade returns the colour of a series, 0 or 1, in a row.
func shade(accent bool, series int) color.RGBA {
	if accent {
		return ours[series%2]
	}
	return theirs[series%2]
}

// Sizes of the layout.
const (
	width      = 900
	margin     = 24
	titleSize  = 19
	noteSize   = 12.5
	labelSize  = 13
	valueSize  = 11.5
	tickSize   = 11.5
	barHeight  = 13
	barGap     = 2
	rowGap     = 12
	headHeight = 92 // title, note, legend
	footHeight = 44 // ticks and unit
)

// frame is what all charts have: head, rows with labels, an axis.
type frame struct {
	d           Drawing
	left, right float64 // of the plot
	top, bottom float64 // of the rows
	rowHeight   float64
	axis        axis
}

// axis maps values to positions.
type axis struct {
	from, to    float64 // positions
	least, most float64 // values
	log         bool
	ticks       []float64
}

// at returns the position of a value, inside the axis.
func (a *axis) at(v float64) float64 {
	var part float64
	if a.log {
		part = math.Log(max(v, a.least)/a.least) / math.Log(a.most/a.least)
	} else {
		part = (v - a.least) / (a.most - a.least)
	}
	return a.from + (a.to-a.from)*min(max(part, 0), 1)
}

// linearTicks returns round values from 0 to at least most, about five.
func linearTicks(most float64) []float64 {
	if most <= 0 {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if most/(m*step) <= 5 {
			step *= m
			break
		}
	}
	// Whole steps, so that no rounding of sums is seen.
	n := int(math.Ceil(most/step - 1e-9))
	out := make([]float64, n+1)
	for i := range out {
		out[i] = float64(i) * step
	}
	return out
}

// logTicks returns the powers of ten around least to most, both above 0.
func logTicks(least, most float64) []float64 {
	lo, hi := math.Floor(math.Log10(least)+1e-9), math.Ceil(math.Log10(most)-1e-9)
	if hi <= lo {
		hi = lo + 1
	}
	var out []float64
	for e := lo; e <= hi; e++ {
		out = append(out, math.Pow(10, e))
	}
	return out
}

// newFrame draws head, labels and axis, for rows of that many bars.
func newFrame(title, note, unit string, labels []string, accents []bool, bars int, ticks []float64, log bool) *frame {
	f := &frame{rowHeight: float64(bars)*(barHeight+barGap) - barGap + rowGap}
	longest := 0.0
	for i, l := range labels {
		longest = max(longest, TextWidth(l, labelSize, accents[i]))
	}
	f.left, f.right = margin+longest+12, width-margin-60 // room for values
	f.top = headHeight
	f.bottom = f.top + f.rowHeight*float64(len(labels))
	f.d.Width, f.d.Height = width, f.bottom+footHeight
	f.axis = axis{from: f.left, to: f.right, least: ticks[0], most: ticks[len(ticks)-1], log: log, ticks: ticks}

	f.d.Text(margin, 36, titleSize, Start, true, ink, title)
	f.d.Text(margin, 57, noteSize, Start, false, soft, note)
	for i := range labels {
		if i%2 == 0 {
			f.d.Rect(margin-8, f.top+f.rowHeight*float64(i), width-2*margin+16, f.rowHeight, stripe)
		}
	}
	for _, v := range ticks {
		x := f.axis.at(v)
		f.d.Rect(x-0.5, f.top, 1, f.bottom-f.top, rule)
		f.d.Text(x, f.bottom+17, tickSize, Middle, false, soft, short(v))
	}
	f.d.Text((f.left+f.right)/2, f.bottom+35, tickSize, Middle, false, soft, unit)
	for i, l := range labels {
		y := f.top + f.rowHeight*(float64(i)+0.5) + labelSize*0.36
		f.d.Text(f.left-12, y, labelSize, End, accents[i], ink, l)
	}
	return f
}

// legend draws what the shades mean.
func (f *frame) legend(names []string, ownName, peerName string) {
	x, y := float64(margin), 80.0
	swatch := func(c color.RGBA) {
		f.d.Rect(x, y-10, 11, 11, c)
		x += 14
	}
	for i, n := range names {
		swatch(shade(true, i))
		swatch(shade(false, i))
		f.d.Text(x+2, y, noteSize, Start, false, ink, n)
		x += TextWidth(n, noteSize, false) + 24
	}
	note := "blue: " + ownName + ", grey: " + peerName
	f.d.Text(width-margin, y, noteSize, End, false, soft, note)
}

// lane returns the top of a bar of a row.
func (f *frame) lane(row, bar int) float64 {
	return f.top + f.rowHeight*float64(row) + rowGap/2 + float64(bar)*(barHeight+barGap)
}

// short writes a value with three digits that matter, thousands with a k.
func short(v float64) string {
	if math.Abs(v) >= 10_000 {
		return strconv.FormatFloat(v/1000, 'g', 3, 64) + "k"
	}
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(math.Round(v/10)*10, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

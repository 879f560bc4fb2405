package scale

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// colors of the lines, readable on white and apart for most eyes.
var colors = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x00, 0x00, 0x00, 0xff}, {0x88, 0x44, 0x00, 0xff},
	{0x77, 0x77, 0x77, 0xff},
}

// WritePlots writes one SVG and one PNG for each series into dir: both axes
// logarithmic, each quantity relative to its value at the smallest size, so that
// all fit one picture. Flat is constant; the dashed line is linear.
func (r *Report) WritePlots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	for i := range r.Series {
		s := &r.Series[i]
		if len(s.Points) < 2 {
			continue
		}
		p, err := s.plot()
		if err != nil {
			return fmt.Errorf("scale: plot %s: %w", s.Name, err)
		}
		for _, ext := range []string{"svg", "png"} {
			if err := p.Save(7*vg.Inch, 4.5*vg.Inch, filepath.Join(dir, "scale-"+s.Name+"."+ext)); err != nil {
				return fmt.Errorf("scale: %w", err)
			}
		}
	}
	return nil
}

// plot draws s.
func (s *Series) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = s.Title
	p.X.Label.Text, p.Y.Label.Text = s.Axis, "times the value at "+thousands(s.Points[0].Size)
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	for m := range s.Metrics {
		var line plotter.XYs
		first := math.NaN()
		for _, pt := range s.Points {
			v := pt.Values[m]
			if math.IsNaN(v) || v <= 0 {
				continue
			}
			if math.IsNaN(first) {
				first = v
			}
			line = append(line, plotter.XY{X: float64(pt.Size), Y: v / first})
		}
		if len(line) < 2 {
			continue
		}
		l, dots, err := plotter.NewLinePoints(line)
		if err != nil {
			return nil, err
		}
		l.Color, dots.Color, l.Width = colors[m%len(colors)], colors[m%len(colors)], vg.Points(1.2)
		p.Add(l, dots)
		p.Legend.Add(s.Metrics[m].Name, l, dots)
	}
	a, b := float64(s.Points[0].Size), float64(s.Points[len(s.Points)-1].Size)
	linear, err := plotter.NewLine(plotter.XYs{{X: a, Y: 1}, {X: b, Y: b / a}})
	if err != nil {
		return nil, err
	}
	linear.Dashes, linear.Color = []vg.Length{vg.Points(4), vg.Points(3)}, color.Gray{0x99}
	p.Add(linear)
	p.Legend.Add("linear", linear)
	return p, nil
}

package chart

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// rim is the width of the white line around a circle.
const rim = 1.5

// WritePNG writes the drawing as PNG, scale pixels for each unit of length.
func (d *Drawing) WritePNG(w io.Writer, scale float64) error {
	img := image.NewRGBA(image.Rect(0, 0, int(math.Ceil(d.Width*scale)), int(math.Ceil(d.Height*scale))))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	p := &painter{img: img, scale: scale}
	for _, s := range d.shapes {
		switch s := s.(type) {
		case rect:
			p.polygon(s.fill, [][2]float64{{s.x, s.y}, {s.x + s.w, s.y}, {s.x + s.w, s.y + s.h}, {s.x, s.y + s.h}})
		case circle:
			p.disc(s.x, s.y, s.r+rim, color.RGBA{255, 255, 255, 255})
			p.disc(s.x, s.y, s.r, s.fill)
		case text:
			p.text(s)
		}
	}
	return png.Encode(w, img)
}

// painter draws on an image in scaled coordinates.
type painter struct {
	img   *image.RGBA
	scale float64
}

// polygon fills a polygon.
func (p *painter) polygon(fill color.RGBA, points [][2]float64) {
	b := p.img.Bounds()
	r := vector.NewRasterizer(b.Dx(), b.Dy())
	for i, q := range points {
		x, y := float32(q[0]*p.scale), float32(q[1]*p.scale)
		if i == 0 {
			r.MoveTo(x, y)
		} else {
			r.LineTo(x, y)
		}
	}
	r.ClosePath()
	r.Draw(p.img, b, image.NewUniform(fill), image.Point{})
}

// disc fills a circle, as a polygon of so many corners that nobody sees them.
func (p *painter) disc(x, y, radius float64, fill color.RGBA) {
	const corners = 48
	points := make([][2]float64, corners)
	for i := range points {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		points[i] = [2]float64{x + radius*cos, y + radius*sin}
	}
	p.polygon(fill, points)
}

// text draws a line of text.
func (p *painter) text(t text) {
	f := face(t.size*p.scale, t.bold)
	defer f.Close()
	x := t.x * p.scale
	width := float64(font.MeasureString(f, t.s)) / 64
	switch t.anchor {
	case Middle:
		x -= width / 2
	case End:
		x -= width
	}
	d := font.Drawer{
		Dst: p.img, Src: image.NewUniform(t.fill), Face: f,
		Dot: fixed.Point26_6{X: fixed.Int26_6(x * 64), Y: fixed.Int26_6(t.y * p.scale * 64)},
	}
	d.DrawString(t.s)
}

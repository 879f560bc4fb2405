package chart

import (
	"image/color"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
)

// Anchor says which end of a text is at its position.
type Anchor int

// The anchors.
const (
	Start Anchor = iota
	Middle
	End
)

// Drawing is a list of shapes on a white ground, drawn in order. The zero value
// is empty and without size.
type Drawing struct {
	Width, Height float64
	shapes        []any // rect, circle or text
}

// rect is a filled rectangle.
type rect struct {
	x, y, w, h float64
	fill       color.RGBA
}

// circle is a filled circle with a white rim, so that it is seen on a line.
type circle struct {
	x, y, r float64
	fill    color.RGBA
}

// text is one line of text; y is its base line.
type text struct {
	x, y, size float64
	anchor     Anchor
	bold       bool
	fill       color.RGBA
	s          string
}

// Rect adds a filled rectangle.
func (d *Drawing) Rect(x, y, w, h float64, fill color.RGBA) {
	d.shapes = append(d.shapes, rect{x, y, w, h, fill})
}

// Circle adds a filled circle with a white rim.
func (d *Drawing) Circle(x, y, r float64, fill color.RGBA) {
	d.shapes = append(d.shapes, circle{x, y, r, fill})
}

// Text adds a line of text of that size; y is its base line.
func (d *Drawing) Text(x, y, size float64, anchor Anchor, bold bool, fill color.RGBA, s string) {
	d.shapes = append(d.shapes, text{x, y, size, anchor, bold, fill, s})
}

// fonts are the two weights, parsed once.
var fonts = sync.OnceValue(func() [2]*opentype.Font {
	var out [2]*opentype.Font
	for i, ttf := range [][]byte{goregular.TTF, gobold.TTF} {
		f, err := opentype.Parse(ttf)
		if err != nil {
			panic(err) // the fonts are part of the program
		}
		out[i] = f
	}
	return out
})

// face returns a font of that size in pixels.
func face(size float64, bold bool) font.Face {
	f := fonts()[0]
	if bold {
		f = fonts()[1]
	}
	out, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic(err) // only for options that are out of range
	}
	return out
}

// TextWidth returns how long a line of text is. In an SVG that a viewer shows in
// another font it is about so long.
func TextWidth(s string, size float64, bold bool) float64 {
	f := face(size, bold)
	defer f.Close()
	return float64(font.MeasureString(f, s)) / 64
}

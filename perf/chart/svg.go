package chart

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"strconv"
	"strings"
)

// WriteSVG writes the drawing as SVG.
func (d *Drawing) WriteSVG(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %[1]s %[2]s" font-family="Go, Helvetica, Arial, sans-serif">`+"\n",
		num(d.Width), num(d.Height))
	fmt.Fprintf(out, `<rect width="%s" height="%s" fill="#ffffff"/>`+"\n", num(d.Width), num(d.Height))
	for _, s := range d.shapes {
		switch s := s.(type) {
		case rect:
			fmt.Fprintf(out, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n",
				num(s.x), num(s.y), num(s.w), num(s.h), hex(s.fill))
		case circle:
			fmt.Fprintf(out, `<circle cx="%s" cy="%s" r="%s" fill="%s" stroke="#ffffff" stroke-width="%s"/>`+"\n",
				num(s.x), num(s.y), num(s.r+rim/2), hex(s.fill), num(rim))
		case text:
			weight := ""
			if s.bold {
				weight = ` font-weight="bold"`
			}
			fmt.Fprintf(out, `<text x="%s" y="%s" font-size="%s" text-anchor="%s"%s fill="%s">%s</text>`+"\n",
				num(s.x), num(s.y), num(s.size), [...]string{"start", "middle", "end"}[s.anchor], weight, hex(s.fill), escape(s.s))
		}
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

// num writes a length with at most two decimals.
func num(v float64) string {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// hex writes a colour as #rrggbb.
func hex(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// escape makes a string text of XML.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

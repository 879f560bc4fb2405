package flame

import (
	"bufio"
	_ "embed"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/sample"
)

// Sizes, pixels.
const (
	width   = 1200
	margin  = 12
	graph   = width - 2*margin
	row     = 19 // height of a function, with the line below it
	header  = 92 // title and legend
	footer  = 12
	charW   = 6.7  // of a letter of 11 px, a little more than it is
	thinned = 0.25 // functions narrower than this are not drawn
)

// palette is the colour of each family: hue, saturation and lightness. Hues are
// apart also for those who see red and green alike.
var palette = map[sample.Family][3]int{
	sample.Crypto:  {22, 82, 62},
	sample.Kernel:  {212, 40, 66},
	sample.Engine:  {158, 42, 55},
	sample.Runtime: {47, 80, 64},
	sample.Other:   {280, 22, 74},
}

// zoom is the script that a click runs.
//
//go:embed zoom.js
var zoom string

// Options are the words around a graph.
type Options struct {
	Title    string // what was profiled: "leaf1, direction A, cpu"
	Subtitle string // how: time, load; may be empty
}

// Write draws p. Functions too narrow to be seen are left out, and what they
// have is seen in the width of those below them. An empty profile gives a graph
// that says so. Errors are w's.
func Write(w io.Writer, p *profile.Profile, o Options) error {
	root := grow(p)
	d := &drawing{out: bufio.NewWriter(w), total: root.value, unit: sample.Unit(p)}
	least := int64(float64(root.value)*thinned/graph) + 1
	d.least = least
	d.rows = max(root.depth(least), 1)
	d.height = header + d.rows*row + footer
	d.begin(p, o)
	if root.value > 0 {
		d.node(root, margin, 0)
	} else {
		d.text(margin, float64(header+14), "empty", "There is no sample in this profile.")
	}
	fmt.Fprintf(d.out, "<script><![CDATA[\n%s]]></script>\n</svg>\n", zoom)
	return d.out.Flush()
}

// drawing is one graph being written. Errors of out are reported by its Flush.
type drawing struct {
	out    *bufio.Writer
	total  int64
	least  int64 // what is less is too narrow to draw
	unit   string
	rows   int
	height int
}

// begin writes all but the functions.
func (d *drawing) begin(p *profile.Profile, o Options) {
	fmt.Fprintf(d.out, `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">
<title>%s</title>
<style>
text { font-family: "DejaVu Sans Mono", "Menlo", "Consolas", monospace; font-size: 11px; fill: #1d2329; }
.title { font-family: "DejaVu Sans", "Helvetica", sans-serif; font-size: 17px; font-weight: bold; }
.note { font-family: "DejaVu Sans", "Helvetica", sans-serif; font-size: 12px; fill: #5b6670; }
.key { font-family: "DejaVu Sans", "Helvetica", sans-serif; font-size: 12px; }
.empty { font-family: "DejaVu Sans", "Helvetica", sans-serif; font-size: 13px; fill: #5b6670; }
.f { cursor: pointer; }
.f:hover rect { stroke: #1d2329; stroke-width: 1; }
.f text { pointer-events: none; }
</style>
<rect width="%d" height="%d" fill="#fcfcfa"/>
`, width, d.height, width, d.height, escape(o.Title), width, d.height)
	d.text(margin, 27, "title", o.Title)
	d.text(margin, 47, "note", o.Subtitle)
	d.legend(sample.Share(p))
}

// legend draws a key of each family with its share.
func (d *drawing) legend(s sample.Shares) {
	x := float64(margin)
	const y = 62
	for _, f := range sample.Families {
		label := fmt.Sprintf("%s %.1f %%", f, 100*s.Families[f.String()])
		if f == sample.Kernel {
			label = fmt.Sprintf("kernel, by system calls %.1f %%", 100*s.Families[f.String()])
		}
		fmt.Fprintf(d.out, `<rect x="%.1f" y="%d" width="13" height="13" rx="2" fill="%s"/>`+"\n", x, y, colour(f, 0))
		d.text(x+19, y+11, "key", label)
		x += 19 + float64(len(label))*6.6 + 22
	}
	if s.AEAD > 0 && d.unit == "nanoseconds" {
		label := fmt.Sprintf("AEAD without the kernel: %.1f %%", 100*s.AEADOwn)
		fmt.Fprintf(d.out, `<text x="%d" y="%d" class="key" text-anchor="end">%s</text>`+"\n", width-margin, y+11, escape(label))
	}
}

// text writes a line of text; nothing for none.
func (d *drawing) text(x, y float64, class, s string) {
	if s != "" {
		fmt.Fprintf(d.out, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, escape(s))
	}
}

// node draws n with its left end at x, level rows above the root, and what it
// calls above it.
func (d *drawing) node(n *node, x float64, level int) {
	w := float64(n.value) / float64(d.total) * graph
	y := d.height - footer - (level+1)*row
	name := n.name
	fill := "#d9dcdf"
	if level > 0 {
		fill = colour(sample.Of(name), shade(name))
	}
	fmt.Fprintf(d.out, `<g class="f" data-x="%.2f" data-w="%.2f" data-n="%s"><title>%s: %s, %s</title>`+
		`<rect x="%.2f" y="%d" width="%.2f" height="%d" rx="2" fill="%s"/>`,
		x, w, escape(short(name)), escape(name), sample.Format(n.value, d.unit), percent(n.value, d.total),
		x, y, max(w-0.6, 0.2), row-1, fill)
	label := short(name)
	if level == 0 {
		label = fmt.Sprintf("all: %s", sample.Format(n.value, d.unit))
	}
	if label = fit(label, w); label != "" {
		fmt.Fprintf(d.out, `<text x="%.2f" y="%d">%s</text>`, x+4, y+13, escape(label))
	}
	fmt.Fprint(d.out, "</g>\n")
	for _, c := range n.sorted() {
		if c.value >= d.least {
			d.node(c, x, level+1)
		}
		x += float64(c.value) / float64(d.total) * graph
	}
}

// short returns a function's name without the folders of its package.
func short(name string) string {
	head, args, generic := strings.Cut(name, "[")
	head = head[strings.LastIndexByte(head, '/')+1:]
	if generic {
		// Only the mark that there were type arguments.
		_, rest, _ := strings.Cut(args, "]")
		head += "[...]" + rest
	}
	return head
}

// fit returns as much of a label as has room in w pixels; nothing when that is
// not enough to be read.
func fit(label string, w float64) string {
	room := int((w - 8) / charW)
	if room < 4 {
		return ""
	}
	if utf8.RuneCountInString(label) > room {
		// The package and the type are seen in the colour and below.
		label = label[strings.LastIndexByte(label, '.')+1:]
	}
	if utf8.RuneCountInString(label) <= room {
		return label
	}
	return string([]rune(label)[:room-1]) + "…"
}

// colour returns a family's colour, up to 6 % lighter or darker by shade, -1 to
// 1, so that neighbours are told apart.
func colour(f sample.Family, shade float64) string {
	c := palette[f]
	return hex(float64(c[0]), float64(c[1])/100, (float64(c[2])+6*shade)/100)
}

// shade returns -1 to 1 by a name.
func shade(name string) float64 {
	h := fnv.New32a()
	io.WriteString(h, name) // a hash does not fail
	return float64(h.Sum32()%201)/100 - 1
}

// hex converts hue (degrees), saturation and lightness (0 to 1) to #rrggbb. SVG
// 1.1 viewers do not know hsl().
func hex(hue, sat, light float64) string {
	channel := func(n float64) int {
		k := n + hue/30
		for k >= 12 {
			k -= 12
		}
		a := sat * min(light, 1-light)
		return int(255*(light-a*max(-1, min(k-3, 9-k, 1))) + 0.5)
	}
	return fmt.Sprintf("#%02x%02x%02x", channel(0), channel(8), channel(4))
}

// escape returns s as XML text and as an attribute in double quotes.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(clean(s))
}

// clean replaces what XML cannot hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' || r == 0xfffe || r == 0xffff {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

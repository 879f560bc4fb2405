package flame_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/flame"
)

// stack is a sample: functions from the root up, and nanoseconds.
type stack struct {
	path  string // separated by blanks
	value int64
}

func build(stacks ...stack) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	for _, st := range stacks {
		s := &profile.Sample{Value: []int64{st.value}}
		for _, name := range strings.Fields(st.path) {
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
			l := &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			s.Location = append([]*profile.Location{l}, s.Location...) // the leaf first
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

// box is a function as drawn.
type box struct {
	Title string  `xml:"title"`
	X     float64 `xml:"data-x,attr"`
	W     float64 `xml:"data-w,attr"`
	Text  string  `xml:"text"`
	Rect  struct {
		Y float64 `xml:"y,attr"`
	} `xml:"rect"`
}

// draw returns the graph and the functions in it, and fails when it is not
// well-formed.
func draw(t *testing.T, p *profile.Profile, o flame.Options) (svg string, boxes []box) {
	t.Helper()
	var out bytes.Buffer
	if err := flame.Write(&out, p, o); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		XMLName xml.Name
		G       []box `xml:"g"`
	}
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimSpace(out.Bytes())))
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("something follows the document: %v", err)
	}
	if doc.XMLName.Local != "svg" {
		t.Errorf("the document is a %s", doc.XMLName.Local)
	}
	return out.String(), doc.G
}

func find(t *testing.T, boxes []box, name string) box {
	t.Helper()
	for _, b := range boxes {
		if strings.HasPrefix(b.Title, name+":") {
			return b
		}
	}
	t.Fatalf("%s is not drawn", name)
	return box{}
}

// TestTotals: widths are shares of the total, and a function is as wide as what
// it calls and its own part, inside its caller.
func TestTotals(t *testing.T) {
	_, boxes := draw(t, build(
		stack{"a b", 300}, stack{"a c", 200}, stack{"a", 100}, stack{"d c", 400}, stack{"a b", 0},
	), flame.Options{Title: "t"})
	all := find(t, boxes, "all")
	for name, share := range map[string]float64{"a": 0.6, "b": 0.3, "d": 0.4} {
		if b := find(t, boxes, name); math.Abs(b.W-share*all.W) > 0.02 {
			t.Errorf("%s is %v wide of %v, want %v of it", name, b.W, all.W, share)
		}
	}
	a, b, d := find(t, boxes, "a"), find(t, boxes, "b"), find(t, boxes, "d")
	if a.Rect.Y <= b.Rect.Y || all.Rect.Y <= a.Rect.Y || a.Rect.Y != d.Rect.Y {
		t.Errorf("not above its caller: all %v, a %v, b %v, d %v", all.Rect.Y, a.Rect.Y, b.Rect.Y, d.Rect.Y)
	}
	if b.X < a.X || b.X+b.W > a.X+a.W+0.02 {
		t.Errorf("b (%v, %v) is not inside a (%v, %v)", b.X, b.W, a.X, a.W)
	}
	if len(boxes) != 6 {
		t.Errorf("%d functions are drawn, want 6: c has two callers", len(boxes))
	}
	if !strings.Contains(all.Title, "1.00 us, 100.0 %") {
		t.Errorf("all: %q", all.Title)
	}
}

// TestManyNarrow: what is too narrow to be drawn is not lost in its caller.
func TestManyNarrow(t *testing.T) {
	var stacks []stack
	for i := range 20000 {
		stacks = append(stacks, stack{fmt.Sprintf("root f%d", i), 1})
	}
	stacks = append(stacks, stack{"root wide", 20000})
	svg, boxes := draw(t, build(stacks...), flame.Options{Title: "many"})
	if root, all := find(t, boxes, "root"), find(t, boxes, "all"); root.W != all.W {
		t.Errorf("root is %v wide, want %v", root.W, all.W)
	}
	if wide, all := find(t, boxes, "wide"), find(t, boxes, "all"); math.Abs(wide.W-all.W/2) > 0.02 {
		t.Errorf("wide is %v wide of %v", wide.W, all.W)
	}
	if len(svg) > 100_000 {
		t.Errorf("%d bytes for what cannot be seen", len(svg))
	}
}

// TestEscaping: names that are no XML come out as they were.
func TestEscaping(t *testing.T) {
	const name = `m.(*T[go.shape.<&>"']).f`
	svg, boxes := draw(t, build(stack{name, 5}, stack{"bad\x01\xff", 5}), flame.Options{Title: `<a> & "b"`, Subtitle: "]]> & <c>"})
	if b := find(t, boxes, name); !strings.Contains(b.Title, "50.0 %") {
		t.Errorf("title %q", b.Title)
	}
	if b := find(t, boxes, "bad\ufffd\ufffd"); b.W <= 0 {
		t.Errorf("got %+v", b)
	}
	if strings.Contains(svg, "<a>") || strings.Contains(svg, "<c>") {
		t.Error("a title was not escaped")
	}
}

func TestEmpty(t *testing.T) {
	for name, p := range map[string]*profile.Profile{"no sample": build(), "no type": {}, "zeros": build(stack{"a", 0})} {
		svg, boxes := draw(t, p, flame.Options{Title: name})
		if len(boxes) != 0 || !strings.Contains(svg, "no sample in this profile") {
			t.Errorf("%s: %d functions are drawn", name, len(boxes))
		}
	}
}

// TestLabels: a label stays inside its function, and loses its package before
// letters of its name.
func TestLabels(t *testing.T) {
	_, boxes := draw(t, build(
		stack{"example.org/deep/package.(*Receiver).Method", 80}, stack{"example.org/deep/package.(*Other).Name", 10},
		stack{"x.y", 909},
	), flame.Options{Title: "t"})
	if b := find(t, boxes, "example.org/deep/package.(*Receiver).Method"); b.Text != "Method" {
		t.Errorf("label %q of %v px", b.Text, b.W)
	}
	if b := find(t, boxes, "example.org/deep/package.(*Other).Name"); b.Text != "" {
		t.Errorf("label %q of %v px", b.Text, b.W)
	}
	for _, b := range boxes {
		if n := len([]rune(b.Text)); float64(n)*6 > b.W {
			t.Errorf("label %s of %d letters in %v px", strconv.Quote(b.Text), n, b.W)
		}
	}
}

// TestWriterFails: the error of the writer comes back.
func TestWriterFails(t *testing.T) {
	full := errors.New("full")
	if err := flame.Write(failing{full}, build(stack{"a", 1}), flame.Options{}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

// Write fails.
func (f failing) Write([]byte) (int, error) { return 0, f.err }

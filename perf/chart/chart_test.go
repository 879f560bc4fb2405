package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ztos/ztos/perf/chart"
)

func TestLinearTicks(t *testing.T) {
	for _, tt := range []struct {
		most float64
		want []float64
	}{
		{0, []float64{0, 1}},
		{3.2, []float64{0, 1, 2, 3, 4}},
		{1.74, []float64{0, 0.5, 1, 1.5, 2}},
		{10, []float64{0, 2, 4, 6, 8, 10}},
		{353, []float64{0, 100, 200, 300, 400}},
	} {
		if got := chart.LinearTicks(tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("most %v: %v, want %v", tt.most, got, tt.want)
		}
	}
	for most := 0.001; most < 1e7; most *= 1.37 {
		got := chart.LinearTicks(most)
		if last := got[len(got)-1]; last < most*(1-1e-9) || len(got) < 3 || len(got) > 7 {
			t.Errorf("most %v: %v", most, got)
		}
	}
}

func TestLogTicks(t *testing.T) {
	for _, tt := range []struct{ least, most, first, last float64 }{
		{12, 48_000, 10, 100_000},
		{10, 1000, 10, 1000},
		{5, 5, 1, 10},
	} {
		got := chart.LogTicks(tt.least, tt.most)
		if math.Abs(got[0]-tt.first) > 1e-9 || math.Abs(got[len(got)-1]-tt.last) > 1e-6 {
			t.Errorf("%v to %v: %v", tt.least, tt.most, got)
		}
	}
}

func TestPosition(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		log  bool
		want float64
	}{
		{500, false, 50}, {2000, false, 100}, {-1, false, 0},
		{31.6227766, true, 75}, {100, true, 100}, {0, true, 0},
	} {
		least, most := 0.0, 1000.0
		if tt.log {
			least, most = 0.1, 100
			if tt.v == 31.6227766 {
				tt.want = 100 * 2.5 / 3
			}
		}
		if got := chart.Position(tt.v, least, most, tt.log); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.8724: "0.872", 1.5: "1.5", 12.71: "12.7", 353.4: "353", 2593: "2590", 6030: "6030", 47428: "47.4k", 20000: "20k",
	} {
		if got := chart.Short(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// drawings are one chart of each kind; one value is missing.
func drawings() map[string]*chart.Drawing {
	bars := chart.Bars{
		Title: "One TCP stream", Note: "a < b & c", Unit: "Gbit/s", Series: []string{"host", "wire"}, Own: "ours", Peers: "others",
		Rows: []chart.BarRow{
			{Label: "ztos", Accent: true, Values: []chart.Value{{Median: 3.1, Min: 2.9, Max: 3.4, OK: true}, {Median: 1.2, Min: 1.2, Max: 1.2, OK: true}}},
			{Label: "peer", Values: []chart.Value{{Median: 1.7, Min: 1.5, Max: 1.8, OK: true}, {}}},
		},
	}
	spans := chart.Spans{
		Title: "Round trips", Unit: "us", Series: []string{"idle", "loaded"},
		Rows: []chart.SpanRow{{Label: "ztos", Accent: true, Spans: []chart.Span{{110, 300, 900}, {}}}},
	}
	return map[string]*chart.Drawing{"bars": bars.Drawing(), "spans": spans.Drawing(), "empty bars": (&chart.Bars{Series: []string{"a"}}).Drawing(), "empty spans": (&chart.Spans{}).Drawing()}
}

// TestSVG reads what is written: well formed, nothing outside the picture, and
// every value there.
func TestSVG(t *testing.T) {
	for name, d := range drawings() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := d.WriteSVG(&out); err != nil {
				t.Fatal(err)
			}
			var texts []string
			for dec := xml.NewDecoder(&out); ; {
				tok, err := dec.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if s, ok := tok.(xml.CharData); ok {
					texts = append(texts, string(s))
				}
			}
			all := strings.Join(texts, "|")
			want := map[string][]string{
				"bars":  {"One TCP stream", "a < b & c", "|3.1|", "|1.2|", "|1.7|", "host", "peer"},
				"spans": {"Round trips", "110 / 900", "|100|", "|1000|"},
			}[name]
			for _, w := range want {
				if !strings.Contains(strings.ReplaceAll(all, "\n", ""), w) {
					t.Errorf("no %q in %q", w, all)
				}
			}
		})
	}
}

// TestPNG looks at colours: a bar of ours is blue, and not all is white.
func TestPNG(t *testing.T) {
	for name, d := range drawings() {
		var out bytes.Buffer
		if err := d.WritePNG(&out, 2); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); float64(b.Dx()) < 2*d.Width || float64(b.Dy()) < 2*d.Height {
			t.Errorf("%s: %v for %v x %v", name, b, d.Width, d.Height)
		}
		blue := 0
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if r, g, b, _ := img.At(x, y).RGBA(); r>>8 == 0x1d && g>>8 == 0x4e && b>>8 == 0xd8 {
					blue++
				}
			}
		}
		if name == "bars" && blue < 1000 {
			t.Errorf("%s: %d pixels of our bar", name, blue)
		}
	}
}

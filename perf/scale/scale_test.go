package scale_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/perf/scale"
)

// factor is by how much a quantity of one entry or operation may grow while the
// load grows 16 times. What is linear per operation grows 16 times, and the
// processor's caches alone account for 3 to 5.
const factor = 8

// TestNoWorseThanLinear measures tables at two sizes of one run. What should not
// depend on the size, an entry's bytes, a lookup, a change, may grow by factor;
// what grows with the size may grow so much for each entry. A busy machine adds
// to a time and never takes away, so a quantity is good if it was so in one of
// five tries.
func TestNoWorseThanLinear(t *testing.T) {
	for _, tt := range []struct {
		name    string
		measure func([]int) scale.Series
		small   int
	}{
		{"FDB", scale.FDB, 4096},
		{"FIB", scale.FIB, 2048},
		{"VRF", func(n []int) scale.Series { return scale.VRFs(n, 256) }, 8},
		{"VNI", scale.VNI, 256},
		{"SA", scale.SA, 160},
		{"peer", scale.Peer, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var least []float64
			var s scale.Series
			for range 5 {
				s = tt.measure([]int{tt.small, 16 * tt.small})
				worse := false
				for i, m := range s.Metrics {
					a, b := s.Points[0].Values[i], s.Points[1].Values[i]
					if !m.Flat {
						b /= 16
					}
					if len(least) <= i {
						least = append(least, math.Inf(1))
					}
					// Less than 3 ns is the loop itself.
					least[i] = min(least[i], b/max(a, 3))
					worse = worse || least[i] > factor
				}
				if !worse {
					return
				}
			}
			for i, m := range s.Metrics {
				if least[i] > factor {
					t.Errorf("%s: at 16 times the size %.1f times as much, at most %d", m.Name, least[i], factor)
				}
			}
		})
	}
}

// TestParseNoWorseThanLinear: the cost of a bridge domain of a document does not
// grow with their number, nor with that of peers. Counted are allocations, which
// no other program adds to.
func TestParseNoWorseThanLinear(t *testing.T) {
	parse := func(l scale.Load) float64 {
		s, err := scale.NewSite(t.TempDir(), l)
		if err != nil {
			t.Fatal(err)
		}
		doc := s.Document(0)
		return testing.AllocsPerRun(1, func() {
			if _, err := config.Parse(doc, "test"); err != nil {
				t.Fatal(err)
			}
		}) / float64(l.VNIs+l.Peers)
	}
	small := parse(scale.Load{VNIs: 50, VTEPs: 3, Peers: 50})
	large := parse(scale.Load{VNIs: 800, VTEPs: 3, Peers: 800})
	if large > 1.5*small {
		t.Errorf("%.0f allocations for a line of a large document, %.0f of a small one", large, small)
	}
}

// TestDocuments: what the engine is measured with are configurations without a
// fault, and a change changes one bridge domain.
func TestDocuments(t *testing.T) {
	for _, l := range []scale.Load{{}, {VNIs: 5000, VTEPs: 2}, {VNIs: 3, VTEPs: 9, SAs: true}, {Peers: 300, Liveness: 1e9}} {
		s, err := scale.NewSite(t.TempDir(), l)
		if err != nil {
			t.Fatal(err)
		}
		a, err := config.Parse(s.Document(0), "a")
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		b, err := config.Parse(s.Document(1), "b")
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if len(a.BridgeDomains) != l.VNIs {
			t.Errorf("%+v: %d bridge domains", l, len(a.BridgeDomains))
		}
		for i := range a.BridgeDomains {
			if same := a.BridgeDomains[i].Equal(&b.BridgeDomains[i]); same != (i > 0) {
				t.Errorf("%+v: bridge domain %d is the same: %v", l, i, same)
			}
		}
	}
}

func report() *scale.Report {
	r := scale.NewReport()
	r.Series = []scale.Series{{
		Name: "x", Title: "Xs", Axis: "xs",
		Metrics: []scale.Metric{{Name: "flat", Title: "a", Unit: "ns", Flat: true}, {Name: "square", Title: "b", Unit: "s"}, {Name: "gone", Title: "c", Unit: "B"}},
		Points: []scale.Point{
			{Size: 10, Values: []float64{5, 0.001, math.NaN()}},
			{Size: 100, Values: []float64{5, 0.1, math.NaN()}},
			{Size: 16000, Values: []float64{5, 2560, 2048}},
		},
	}}
	return r
}

func TestGrowth(t *testing.T) {
	s := &report().Series[0]
	for m, want := range []float64{0, 2, math.NaN()} {
		got, ok := s.Growth(m, 0)
		if ok != !math.IsNaN(want) || ok && math.Abs(got-want) > 1e-9 {
			t.Errorf("%s grows as n^%v (%v), want n^%v", s.Metrics[m].Name, got, ok, want)
		}
	}
}

func TestReportRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	want := report()
	if err := want.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	got, err := scale.ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) || !reflect.DeepEqual(got.Series[0].Metrics, want.Series[0].Metrics) {
		t.Errorf("read %s\nwrote %s", b, a)
	}
	var table strings.Builder
	if err := got.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"16,000", "2 KiB", "n^2.00", "100 ms", "5 ns"} {
		if !strings.Contains(table.String(), s) {
			t.Errorf("the table has no %q:\n%s", s, &table)
		}
	}
}

// TestWriteDoc: what stands outside the marks stays, and writing twice is writing
// once.
func TestWriteDoc(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.md")
	if err := os.WriteFile(path, []byte("before\n"+scale.BeginMark+"\nold\n"+scale.EndMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var last []byte
	for range 2 {
		if err := report().WriteDoc(path, "scale"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && !bytes.Equal(last, text) {
			t.Errorf("second writing:\n%s", text)
		}
		last = text
	}
	if s := string(last); !strings.HasPrefix(s, "before\n") || !strings.HasSuffix(s, "\nafter\n") || strings.Contains(s, "old") || !strings.Contains(s, "| 16,000 |") {
		t.Errorf("the document is\n%s", s)
	}
	if err := os.WriteFile(path, []byte("no marks\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := report().WriteDoc(path, "scale"); err == nil {
		t.Error("wrote into a file without marks")
	}
}

func TestPlots(t *testing.T) {
	dir := t.TempDir()
	if err := report().WritePlots(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"scale-x.svg": "<svg", "scale-x.png": "\x89PNG"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Contains(text[:min(len(text), 300)], []byte(want)) {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
}

package scale

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Metric is one quantity of a Series.
type Metric struct {
	Name  string // column: short
	Title string // what it is, in a sentence
	Unit  string // ns, s, B, CPU
	// Flat says that the quantity is for one entry or one operation, and should
	// not depend on the size; else it may grow as the size does.
	Flat bool
}

// Point is a Series at one size.
type Point struct {
	Size   int
	Values []float64 // by Series.Metrics; NaN, in JSON null, where not measured
}

// Series is one dimension: the quantities as the load grows.
type Series struct {
	Name    string // fdb
	Title   string // what grows
	Axis    string // what Size counts
	Metrics []Metric
	Points  []Point
}

// Report is the outcome of a run.
type Report struct {
	Began  time.Time
	Go     string
	CPUs   int
	Series []Series
}

// NewReport returns a report without series.
func NewReport() *Report {
	return &Report{Began: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPUs: runtime.NumCPU()}
}

// MarshalJSON writes NaN as null, which encoding/json refuses to do itself.
func (p Point) MarshalJSON() ([]byte, error) {
	out := struct {
		Size   int
		Values []*float64
	}{Size: p.Size}
	for i := range p.Values {
		v := &p.Values[i]
		if math.IsNaN(*v) {
			v = nil
		}
		out.Values = append(out.Values, v)
	}
	return json.Marshal(out)
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (p *Point) UnmarshalJSON(b []byte) error {
	var in struct {
		Size   int
		Values []*float64
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*p = Point{Size: in.Size}
	for _, v := range in.Values {
		x := math.NaN()
		if v != nil {
			x = *v
		}
		p.Values = append(p.Values, x)
	}
	return nil
}

// WriteJSON writes r to path.
func (r *Report) WriteJSON(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// ReadReport reads what WriteJSON wrote.
func ReadReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("scale: %s: %w", path, err)
	}
	return r, nil
}

// Growth returns the exponent by which metric m grew between the two sizes that
// have it and lie farthest apart above from: 0 is constant, 1 linear, 2
// quadratic. ok is false with fewer than two.
func (s *Series) Growth(m, from int) (exponent float64, ok bool) {
	var a, b *Point
	for i := range s.Points {
		p := &s.Points[i]
		if p.Size < from || m >= len(p.Values) || math.IsNaN(p.Values[m]) || p.Values[m] <= 0 {
			continue
		}
		if a == nil {
			a = p
		}
		b = p
	}
	if a == nil || a.Size == b.Size {
		return 0, false
	}
	return math.Log(b.Values[m]/a.Values[m]) / math.Log(float64(b.Size)/float64(a.Size)), true
}

// Number formats v in unit for people.
func Number(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case unit == "CPU":
		return fmt.Sprintf("%.1f %%", 100*v)
	case unit == "B":
		return scaled(v, 1024, []string{"B", "KiB", "MiB", "GiB"})
	case unit == "s":
		return scaled(v*1e9, 1000, []string{"ns", "us", "ms", "s"})
	case unit == "ns":
		return scaled(v, 1000, []string{"ns", "us", "ms", "s"})
	}
	return scaled(v, 1000, []string{unit, "k " + unit, "M " + unit})
}

func scaled(v, by float64, units []string) string {
	i := 0
	for v >= by && i < len(units)-1 {
		v /= by
		i++
	}
	switch {
	case v >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f %s", v, units[i])
	case v >= 10:
		return fmt.Sprintf("%.1f %s", v, units[i])
	}
	return fmt.Sprintf("%.2f %s", v, units[i])
}

// thousands writes n as 16,000.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rows returns s as a table: the header, a row for each size, and the growth.
func (s *Series) rows() [][]string {
	head, grow := []string{s.Axis}, []string{"growth"}
	for i, m := range s.Metrics {
		head = append(head, m.Name)
		text := "-"
		if e, ok := s.Growth(i, 0); ok {
			text = fmt.Sprintf("n^%.2f", e)
		}
		grow = append(grow, text)
	}
	out := [][]string{head}
	for _, p := range s.Points {
		row := []string{thousands(p.Size)}
		for i, v := range p.Values {
			row = append(row, Number(v, s.Metrics[i].Unit))
		}
		out = append(out, row)
	}
	return append(out, grow)
}

// WriteTable writes r for a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	for i := range r.Series {
		s := &r.Series[i]
		fmt.Fprintf(w, "%s\n", s.Title)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, row := range s.rows() {
			fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
		}
		if err := t.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

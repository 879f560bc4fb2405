package full

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztos/ztos/perf/chart"
	"github.com/ztos/ztos/perf/mode"
)

// namedChart is a chart and the base name of its files.
type namedChart struct {
	name    string
	title   string
	drawing *chart.Drawing
}

// What the colours of the charts mean.
const ownName, peerName = "ZTOS", "others"

// charts draws what the report has figures for.
func (r *Report) charts() []namedChart {
	var out []namedChart
	bars := func(name, title, unit string, f Figure, cases ...Case) {
		b := chart.Bars{Title: title, Unit: unit, Own: ownName, Peers: peerName, Note: r.note(cases[0])}
		for _, k := range cases {
			b.Series = append(b.Series, string(k))
		}
		for _, m := range ModeNames() {
			row, any := chart.BarRow{Label: m, Accent: isOurs(m)}, false
			for _, k := range cases {
				var v chart.Value
				if s := r.Modes[m][k][f]; s != nil {
					v = chart.Value{Median: s.Median, Min: s.Min, Max: s.Max, OK: true}
					any = true
				}
				row.Values = append(row.Values, v)
			}
			// The bare path is no peer, and many times as fast: it would
			// press all else to the edge.
			if any && m != mode.BareName {
				b.Rows = append(b.Rows, row)
			}
		}
		if len(b.Rows) > 0 {
			out = append(out, namedChart{name, title, b.Drawing()})
		}
	}
	bars("tcp1", "One TCP stream", "Gbit/s of payload", TCP1, Host, Wire)
	bars("tcp1-jumbo", "One TCP stream, large tenant MTU", "Gbit/s of payload", TCP1, JumboHost, JumboWire)
	for _, size := range UDPSizes {
		bars(fmt.Sprintf("udp%d", size), fmt.Sprintf("UDP datagrams of %d bytes, less than 0.1 %% lost", size),
			"thousand datagrams a second", UDP(size), Host, Wire)
	}
	bars("cpu", "Processor time of all nodes for one frame of a TCP stream", "ns, less is better", CPU, Host, Wire)
	if c := r.roundTrips(Host); c != nil {
		out = append(out, namedChart{"rtt", c.Title, c.Drawing()})
	}
	return out
}

// roundTrips returns the chart of the round trips of a case, nil without any.
func (r *Report) roundTrips(k Case) *chart.Spans {
	s := &chart.Spans{
		Title: "Round trips: median, 99 % and 99.9 %", Note: r.note(k), Unit: "microseconds, less is better",
		Series: []string{"idle", "while one TCP stream runs"}, Own: ownName, Peers: peerName,
	}
	for _, m := range ModeNames() {
		row, any := chart.SpanRow{Label: m, Accent: isOurs(m)}, false
		for _, fs := range [][3]Figure{{IdleP50, IdleP99, IdleP999}, {LoadedP50, LoadedP99, LoadedP999}} {
			var span chart.Span
			for i, f := range fs {
				if v, ok := r.Modes[m][k].median(f); ok {
					span[i], any = v, true
				}
			}
			row.Spans = append(row.Spans, span)
		}
		if any {
			s.Rows = append(s.Rows, row)
		}
	}
	if len(s.Rows) == 0 {
		return nil
	}
	return s
}

// note is the second line of a chart's head.
func (r *Report) note(k Case) string {
	mtu := r.Settings.TenantMTU
	if k.jumbo() {
		mtu = r.Settings.JumboMTU
	}
	return fmt.Sprintf("red1 to red2 over leaf, spine, leaf; tenant MTU %d, underlay MTU %d; medians of rounds: %d; cores: %d",
		mtu, r.Settings.UnderlayMTU, r.Rounds, r.Machine.Cores)
}

// isOurs reports whether a mode is ZTOS.
func isOurs(name string) bool { return name == mode.ZTOS || strings.HasPrefix(name, mode.ZTOS+"-") }

// WriteCharts writes all charts into a folder, which it makes: NAME.svg, and
// NAME.png with png. It returns the names and titles in their order.
func (r *Report) WriteCharts(dir string, png bool) (names, titles []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("full: %w", err)
	}
	for _, c := range r.charts() {
		write := func(ext string, fn func(*os.File) error) error {
			f, err := os.Create(filepath.Join(dir, c.name+ext))
			if err != nil {
				return fmt.Errorf("full: %w", err)
			}
			if err := errors.Join(fn(f), f.Close()); err != nil {
				return fmt.Errorf("full: chart %s: %w", c.name, err)
			}
			return nil
		}
		if err := write(".svg", func(f *os.File) error { return c.drawing.WriteSVG(f) }); err != nil {
			return nil, nil, err
		}
		if png {
			// Two pixels for each: for screens of today.
			if err := write(".png", func(f *os.File) error { return c.drawing.WritePNG(f, 2) }); err != nil {
				return nil, nil, err
			}
		}
		names, titles = append(names, c.name), append(titles, c.title)
	}
	return names, titles, nil
}

package full

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ztos/ztos/perf/mode"
)

// column is one column of a table: a figure, or several with slashes between.
type column struct {
	title   string
	figures []Figure
}

// columns lists the columns of a case's table.
func columns() []column {
	out := []column{{"TCP 1, Gbit/s", []Figure{TCP1}}, {"TCP 4, Gbit/s", []Figure{TCP4}}}
	for _, size := range UDPSizes {
		out = append(out, column{fmt.Sprintf("UDP %d, kpps", size), []Figure{UDP(size)}})
	}
	return append(out,
		column{"RTT idle, us", []Figure{IdleP50, IdleP99, IdleP999}},
		column{"RTT loaded, us", []Figure{LoadedP50, LoadedP99, LoadedP999}},
		column{"CPU, ns/frame", []Figure{CPU}},
		column{"machine, ns/frame", []Figure{System}},
		column{"RSS, MiB", []Figure{RSS}})
}

// format writes a value with three digits that matter.
func format(v float64) string {
	if v == 0 {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	return strconv.FormatFloat(v, 'f', min(decimals, 4), 64)
}

// grid is a table of text, its first row the titles.
type grid [][]string

// grid returns the table of a case: a row for each mode that was measured, a
// column for each figure that any has. It is nil when none was.
func (r *Report) grid(k Case) grid {
	var names []string
	for _, name := range ModeNames() {
		if len(r.Modes[name][k]) > 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	out := grid{{"mode"}}
	for _, name := range names {
		out = append(out, []string{name})
	}
	for _, c := range columns() {
		any := false
		cells := make([]string, len(names))
		for i, name := range names {
			cells[i] = cell(r.Modes[name][k], c)
			any = any || cells[i] != "-"
		}
		if !any {
			continue
		}
		out[0] = append(out[0], c.title)
		for i := range names {
			out[i+1] = append(out[i+1], cells[i])
		}
	}
	return out
}

// cell returns the medians of a column's figures. A UDP rate that the generator
// limited has a plus.
func cell(res Result, c column) string {
	var parts []string
	for _, f := range c.figures {
		v, ok := res.median(f)
		if !ok {
			return "-"
		}
		parts = append(parts, format(v))
	}
	out := strings.Join(parts, " / ")
	for _, size := range UDPSizes {
		if c.figures[0] != UDP(size) {
			continue
		}
		if v, ok := res.median(UDPLimited(size)); ok && v > 0.5 {
			out += "+"
		}
	}
	return out
}

// about says of a case what its tenants are.
func (r *Report) about(k Case) string {
	mtu, off := r.Settings.TenantMTU, "on"
	if k.jumbo() {
		mtu = r.Settings.JumboMTU
	}
	if !k.offloads() {
		off = "off: every frame complete and at most MTU sized"
	}
	return fmt.Sprintf("tenant MTU %d, tenants' offloads %s", mtu, off)
}

// where says what the run was made on.
func (r *Report) where() string {
	m := r.Machine
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, ChaCha20-Poly1305 of 1500 B: %.0f ns", m.CPU, m.Cores, m.Kernel, m.Go, m.Calibration)
}

// ratioRows returns the ratios of ZTOS in all cases as a table.
func (r *Report) ratioRows() grid {
	out := grid{{"ZTOS over"}}
	var cases []Case
	for _, k := range Cases {
		if len(r.Ratios[k]) > 0 {
			cases = append(cases, k)
			for _, short := range []string{"TCP 1", "UDP 64"} {
				if !k.jumbo() || short == "TCP 1" {
					out[0] = append(out[0], short+", "+string(k))
				}
			}
		}
	}
	for _, p := range append([]string{best}, peers...) {
		row := []string{strings.ReplaceAll(p, "_", " ")}
		any := false
		for _, k := range cases {
			for _, short := range []string{"tcp1", "udp64"} {
				if k.jumbo() && short != "tcp1" {
					continue
				}
				text := "-"
				if v, ok := r.Ratios[k][short+"_vs_"+strings.ReplaceAll(p, "-", "_")]; ok {
					text, any = fmt.Sprintf("%.2f", v), true
				}
				row = append(row, text)
			}
		}
		if any {
			out = append(out, row)
		}
	}
	if len(out) == 1 {
		return nil
	}
	return out
}

// idleRows returns what nodes without traffic use, and what modes add to the
// round trip, as a table.
func (r *Report) idleRows() grid {
	out := grid{{"mode", "idle node, cores", "added to the idle round trip, us"}}
	for _, name := range ModeNames() {
		idle, hasIdle := r.Idle[name]
		added, hasAdded := r.AddedRTT[Host][name]
		if !hasIdle && !hasAdded {
			continue
		}
		row := []string{name, "-", "-"}
		if hasIdle {
			row[1] = fmt.Sprintf("%.3f", idle)
		}
		if hasAdded {
			row[2] = format(added)
		}
		out = append(out, row)
	}
	if len(out) == 1 {
		return nil
	}
	return out
}

// WriteTable writes the report for people at a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "Medians of %d interleaved rounds, %.0f s; underlay MTU %d\n%s\n",
		r.Rounds, r.Seconds, r.Settings.UnderlayMTU, r.where())
	for _, k := range Cases {
		if g := r.grid(k); g != nil {
			fmt.Fprintf(out, "\n%s: %s\n", k, r.about(k))
			g.text(out)
		}
	}
	for _, g := range []grid{r.ratioRows(), r.idleRows(), r.targetRows()} {
		if g != nil {
			fmt.Fprintln(out)
			g.text(out)
		}
	}
	if r.Modes[mode.ZTOS] != nil {
		fmt.Fprintf(out, "\nengines: authentication drops %d, replay drops %d\n", r.AuthDrops, r.ReplayDrops)
		if a := r.Allocs; a != nil {
			fmt.Fprintf(out, "workers: %d frames, %d mallocs, %d bytes\n", a.Frames, a.Mallocs, a.Bytes)
			for _, name := range slices.Sorted(maps.Keys(a.Where)) {
				fmt.Fprintf(out, "  %d in %s\n", a.Where[name], name)
			}
		}
	}
	for _, f := range r.Failures {
		fmt.Fprintln(out, "failed:", f)
	}
	return out.Flush()
}

// text writes a table with aligned columns.
func (g grid) text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range g {
		fmt.Fprintln(t, strings.Join(row, "\t")+"\t")
	}
	t.Flush() // errors come up in the caller's Flush
}

// markdown writes a table of Markdown.
func (g grid) markdown(w io.Writer) {
	for i, row := range g {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "| --- |%s\n", strings.Repeat(" ---: |", len(row)-1))
		}
	}
}

package full

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztos/ztos/perf/mode"
)

// The generated part of a document lies between these two lines.
const (
	docBegin = "<!-- begin of what `perf -doc` writes -->"
	docEnd   = "<!-- end of what `perf -doc` writes -->"
)

// WriteDoc writes the generated part of a Markdown document again, and the
// charts that it shows into the folder beside it that has the document's name
// without .md. All else of the document stays.
func (r *Report) WriteDoc(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("full: %w", err)
	}
	before, rest, ok := bytes.Cut(text, []byte(docBegin+"\n"))
	_, after, ok2 := bytes.Cut(rest, []byte(docEnd+"\n"))
	if !ok || !ok2 {
		return fmt.Errorf("full: %s has no lines %q and %q", path, docBegin, docEnd)
	}
	folder := strings.TrimSuffix(filepath.Base(path), ".md")
	names, titles, err := r.WriteCharts(filepath.Join(filepath.Dir(path), folder), false)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.Write(before)
	out.WriteString(docBegin + "\n\n")
	r.document(&out, folder, names, titles)
	out.WriteString("\n" + docEnd + "\n")
	out.Write(after)
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("full: %w", err)
	}
	return nil
}

// document writes the generated part.
func (r *Report) document(out *bytes.Buffer, folder string, names, titles []string) {
	m := r.Machine
	fmt.Fprintf(out, "Made on %s by\n\n```sh\n%s\n```\n\n", r.Date, strings.TrimSpace(r.Command))
	fmt.Fprintf(out, "in %.0f minutes: medians of %d interleaved rounds, underlay MTU %d. The machine: %s, %d cores, Linux %s, %s; one ChaCha20-Poly1305 seal of 1500 bytes took %.0f ns (median of all rounds).",
		r.Seconds/60, r.Rounds, r.Settings.UnderlayMTU, m.CPU, m.Cores, m.Kernel, m.Go, m.Calibration)
	if r.Settings.Nebula != "" {
		fmt.Fprintf(out, " nebula is version %s.", r.Settings.Nebula)
	}
	fmt.Fprint(out, "\n")
	if g := r.targetRows(); g != nil {
		fmt.Fprint(out, "\n### Targets\n\n")
		g.markdown(out)
	}
	for _, k := range Cases {
		if g := r.grid(k); g != nil {
			fmt.Fprintf(out, "\n### Case `%s`: %s\n\n", k, r.about(k))
			g.markdown(out)
		}
	}
	if g := r.ratioRows(); g != nil {
		fmt.Fprint(out, "\n### Ratios\n\n")
		g.markdown(out)
	}
	if g := r.idleRows(); g != nil {
		fmt.Fprint(out, "\n### Idle\n\n")
		g.markdown(out)
	}
	if r.Modes[mode.ZTOS] != nil {
		fmt.Fprintf(out, "\nOver the whole run the engines dropped %d frames whose authentication failed and %d as replayed.\n", r.AuthDrops, r.ReplayDrops)
		if a := r.Allocs; a != nil {
			fmt.Fprintf(out, "After the first round their workers took in %d frames and allocated %d times on the heap, %d bytes.\n", a.Frames, a.Mallocs, a.Bytes)
		}
	}
	if len(names) > 0 {
		fmt.Fprint(out, "\n### Charts\n")
	}
	for i, n := range names {
		fmt.Fprintf(out, "\n![%s](%s/%s.svg)\n", titles[i], folder, n)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(out, "\nFailed: %s\n", f)
	}
}

// WriteAll writes whatever has a name: the figures, the charts, the document.
func (r *Report) WriteAll(json, charts, doc string) error {
	var errs []error
	if json != "" {
		errs = append(errs, r.WriteJSON(json))
	}
	if charts != "" {
		_, _, err := r.WriteCharts(charts, true)
		errs = append(errs, err)
	}
	if doc != "" {
		errs = append(errs, r.WriteDoc(doc))
	}
	return errors.Join(errs...)
}

package scale

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Marks between which WriteDoc writes; each on a line of its own.
const (
	beginMark = "<!-- begin: written by perf/cmd/%s from its JSON -->"
	endMark   = "<!-- end -->"
)

// Markdown returns r as the generated part of a page of docs.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s with %s on %d CPUs.\n", r.Began.Format("2006-01-02"), r.Go, r.CPUs)
	for i := range r.Series {
		s := &r.Series[i]
		fmt.Fprintf(&b, "\n### %s\n\n", s.Title)
		for k, row := range s.rows() {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if k == 0 {
				b.WriteString("|" + strings.Repeat(" ---: |", len(row)) + "\n")
			}
		}
		b.WriteByte('\n')
		for _, m := range s.Metrics {
			fmt.Fprintf(&b, "- %s: %s\n", m.Name, m.Title)
		}
	}
	return b.String()
}

// WriteDoc replaces what stands between the marks of a program of perf/cmd in the
// file at path.
func (r *Report) WriteDoc(path, program string) error {
	begin := fmt.Sprintf(beginMark, program)
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("scale: %w", err)
	}
	before, rest, ok := bytes.Cut(text, []byte(begin+"\n"))
	_, after, ok2 := bytes.Cut(rest, []byte(endMark+"\n"))
	if !ok || !ok2 {
		return fmt.Errorf("scale: %s: %w", path, errors.New("the marks are not there"))
	}
	var b bytes.Buffer
	b.Write(before)
	fmt.Fprintf(&b, "%s\n\n%s\n%s\n", begin, r.Markdown(), endMark)
	b.Write(after)
	return os.WriteFile(path, b.Bytes(), 0o644)
}

package profile

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/ztos/ztos/perf/sample"
)

// allNodes stands for the sum of all in a Row.
const allNodes = "all"

// Report says where the engines' CPU time went.
type Report struct {
	Seconds float64 `json:"seconds"` // of each profile
	Rows    []Row   `json:"rows"`
}

// Row is one node, or all, under one load.
type Row struct {
	Node   string        `json:"node"`
	Load   string        `json:"load"`
	Shares sample.Shares `json:"cpu"` // Total is ns
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "load\tnode\tsamples\t")
	for _, f := range sample.Families {
		fmt.Fprintf(t, "%s\t", f)
	}
	fmt.Fprintf(t, "AEAD of all\twithout kernel\t\n")
	for _, row := range r.Rows {
		s := row.Shares
		fmt.Fprintf(t, "%s\t%s\t%d\t", row.Load, row.Node, s.Samples)
		for _, f := range sample.Families {
			fmt.Fprintf(t, "%.1f %%\t", 100*s.Families[f.String()])
		}
		fmt.Fprintf(t, "%.1f %%\t%.1f %%\t\n", 100*s.AEAD, 100*s.AEADOwn)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Join([]string{"",
		"samples: one for each 10 ms on a CPU, fewer on a crowded machine. kernel: time in system calls.",
		"AEAD: samples with a cipher's function on their stack, of all and of those that are not the kernel's.",
		""}, "\n"))
	return err
}

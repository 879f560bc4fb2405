package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/lab"
)

// report is what is printed and written. One goroutine at a time, but for note.
type report struct {
	Result   string    `json:"result"` // PASS or FAIL
	Failure  string    `json:"failure,omitempty"`
	Topology string    `json:"topology"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"`
	Steps    []outcome `json:"steps"`

	terminal bool   // lines may be written over
	line     string // of the step that runs
	first    error  // of the first step that failed
}

// outcome is what became of a step.
type outcome struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Pass    bool    `json:"pass"`
	Seconds float64 `json:"seconds"`
	Seen    string  `json:"seen"`
	Error   string  `json:"error,omitempty"`
	Result  any     `json:"result"`
}

func newReport(topology string) *report {
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	return &report{Topology: topology, Started: time.Now(), terminal: err == nil, Steps: []outcome{}}
}

// say prints a line for good.
func (r *report) say(format string, args ...any) {
	r.clear()
	fmt.Printf(format+"\n", args...)
}

// clear removes a line that was meant to be written over.
func (r *report) clear() {
	if r.terminal {
		fmt.Print("\r\x1b[K")
	}
}

// progress shows a step of the lab; without a terminal, every fifth.
func (r *report) progress(step, total int, what string) {
	switch {
	case r.terminal:
		r.clear()
		fmt.Printf("  lab %3d/%d  %s", step, total, what)
	case step == total || step%10 == 1:
		fmt.Printf("  lab %3d/%d  %s\n", step, total, what)
	}
}

// begin shows the step that starts.
func (r *report) begin(i, total int, s check.Step) {
	r.line = fmt.Sprintf("[%2d/%d] %s", i, total, s.Title)
	if r.terminal {
		fmt.Print(r.line)
	}
}

// note shows what a step is doing now.
func (r *report) note(what string) {
	if r.terminal {
		fmt.Printf("\r\x1b[K%s ... %s", r.line, what)
	}
}

// done shows how a step ended, and keeps it.
func (r *report) done(s check.Step, seen string, result any, err error, took time.Duration) {
	o := outcome{Name: s.Name, Title: s.Title, Pass: err == nil, Seconds: took.Seconds(), Seen: seen, Result: result}
	mark := "ok"
	if err != nil {
		mark, o.Error = "FAILED", err.Error()
		if r.first == nil {
			r.first = fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	r.Steps = append(r.Steps, o)
	r.say("%s: %s, %.1f s", r.line, mark, took.Seconds())
	if seen != "" && err == nil {
		fmt.Printf("        %s\n", seen)
	}
	if err != nil {
		fmt.Printf("        %s\n", strings.ReplaceAll(err.Error(), "\n", "\n        "))
	}
}

// failure returns the first failure.
func (r *report) failure() error { return r.first }

// end closes the account.
func (r *report) end(err error) {
	r.Seconds = time.Since(r.Started).Seconds()
	r.Result = "PASS"
	if err != nil {
		r.Result, r.Failure = "FAIL", err.Error()
	}
}

// table prints all steps as a table.
func (r *report) table() {
	const nameWidth, seenWidth = 12, 96
	rule := "+" + strings.Repeat("-", nameWidth+2) + "+" + strings.Repeat("-", 8) + "+" + strings.Repeat("-", seenWidth+2) + "+"
	fmt.Println("\n" + rule)
	fmt.Printf("| %-*s | %-6s | %-*s |\n%s\n", nameWidth, "step", "result", seenWidth, "seen", rule)
	for _, o := range r.Steps {
		result, text := "ok", o.Seen
		if !o.Pass {
			result, text = "FAIL", strings.SplitN(o.Error, "\n", 2)[0]
		}
		name := o.Name
		for _, line := range wrap(text, seenWidth) {
			fmt.Printf("| %-*s | %-6s | %-*s |\n", nameWidth, name, result, seenWidth, line)
			name, result = "", ""
		}
	}
	fmt.Println(rule + "\n")
}

// wrap cuts text into lines of at most width bytes, at blanks where it can; at
// least one line.
func wrap(text string, width int) []string {
	var out []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width], ' ')
		if at <= 0 {
			at = width
		}
		out = append(out, text[:at])
		text = strings.TrimPrefix(text[at:], " ")
	}
	return append(out, text)
}

// write writes the report as JSON.
func (r *report) write(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return err
	}
	fmt.Printf("results are in %s\n", file)
	return nil
}

// hints says what to try in a lab that stays up.
func (r *report) hints(l *lab.Lab, t *lab.Topology) {
	first := map[lab.Kind]string{}
	for _, n := range t.Nodes {
		if first[n.Kind] == "" {
			first[n.Kind] = n.Name
		}
	}
	attacked := first[lab.Leaf]
	for _, n := range t.Nodes {
		if n.Kind == lab.Leaf && n.Name != first[lab.Leaf] {
			attacked = n.Name // the attacks of the rogue spine went to the second leaf
			break
		}
	}
	ctl := filepath.Join(filepath.Dir(os.Args[0]), "ztosctl")
	leaf, spine := l.Socket(first[lab.Leaf]), l.Socket(first[lab.Spine])
	r.say("The lab stays up. Try:\n")
	for _, h := range [][2]string{
		{"a host", fmt.Sprintf("%s lab exec %s %s -- ping 10.1.0.2", ctl, t.Name, first[lab.Host])},
		{"its frames on their way, stage by stage", fmt.Sprintf("%s --socket %s trace --stage port-rx", ctl, leaf)},
		{"what the spine can see of them, if their flow takes this one", fmt.Sprintf("%s --socket %s capture --stage wireguard-open --count 5", ctl, spine)},
		{"who is where, and with whom", fmt.Sprintf("%s --socket %s show fdb", ctl, leaf)},
		{"", fmt.Sprintf("%s --socket %s show peers", ctl, leaf)},
		{"what EVPN has found", fmt.Sprintf("%s --socket %s show evpn", ctl, leaf)},
		{"keys and packet numbers", fmt.Sprintf("%s --socket %s show macsec", ctl, leaf)},
		{"what the attacks left in the counters", fmt.Sprintf("%s --socket %s show drops", ctl, l.Socket(attacked))},
		{"the end", fmt.Sprintf("%s lab down %s", ctl, t.Name)},
	} {
		if h[0] != "" {
			fmt.Printf("  # %s\n", h[0])
		}
		fmt.Println("  " + h[1])
	}
	fmt.Println()
}

// firstLine returns the first failure of an error in one line.
func firstLine(err error) string {
	var joined interface{ Unwrap() []error }
	for errors.As(err, &joined) && len(joined.Unwrap()) > 0 && strings.HasPrefix(err.Error(), joined.Unwrap()[0].Error()) {
		err = joined.Unwrap()[0]
	}
	return strings.SplitN(err.Error(), "\n", 2)[0]
}

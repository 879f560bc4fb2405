package config

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong with a document.
type Fault struct {
	File    string // the name given to Parse; may be empty
	Line    int    // line of the value or of what should hold it, from 1; 0 when unknown
	Path    string // bridge-domains[0].macsec.tx.an; empty for the whole document
	Problem string // what is wrong
	Fix     string // what to do; may be empty
}

// String returns "file:line: path: problem; fix" with the parts that are known.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
	}
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d:", f.Line)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	if f.Fix != "" {
		b.WriteString("; " + f.Fix)
	}
	return b.String()
}

// Faults is all that is wrong with a document, in the order of its sections. As
// an error it prints one fault a line. Empty means none; it is then not an error:
// use Err.
type Faults []Fault

// Error returns one line per fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns fs as an error, nil when there is no fault.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// add appends a fault.
func (fs *Faults) add(path, problem, fix string) {
	*fs = append(*fs, Fault{Path: path, Problem: problem, Fix: fix})
}

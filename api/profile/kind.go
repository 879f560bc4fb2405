package profile

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says what a profile measures. Its text is stable API.
type Kind uint8

// The kinds. All but Trace are profiles in pprof's format, gzipped.
const (
	CPU       Kind = iota + 1 // where time on a CPU is spent, user and system
	Heap                      // what was allocated by which stack since the start, and what of it lives
	Block                     // where goroutines waited: channels, select, locks, conditions
	Mutex                     // who held the locks that others waited for
	Goroutine                 // where every goroutine is, at one moment
	Trace                     // what every goroutine did when, for `go tool trace`
)

var kindNames = [...]string{CPU: "cpu", Heap: "heap", Block: "block", Mutex: "mutex", Goroutine: "goroutine", Trace: "trace"}

// Kinds returns the names of all kinds.
func Kinds() []string { return slices.Clone(kindNames[1:]) }

// String returns the name.
func (k Kind) String() string {
	if k < CPU || k > Trace {
		return fmt.Sprintf("kind-%d", uint8(k))
	}
	return kindNames[k]
}

// ParseKind is the reverse of String.
func ParseKind(s string) (Kind, error) {
	if i := slices.Index(kindNames[1:], s); i >= 0 {
		return Kind(i + 1), nil
	}
	return 0, fmt.Errorf("profile: kind %q: want one of %s", s, strings.Join(Kinds(), ", "))
}

// Timed reports whether a profile of the kind covers a span of time; others are
// of one moment.
func (k Kind) Timed() bool { return k != Heap && k != Goroutine }

// Stacks reports whether a profile of the kind is a set of stacks with values,
// in pprof's format.
func (k Kind) Stacks() bool { return k != Trace }

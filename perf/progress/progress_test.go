package progress_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ztos/ztos/perf/progress"
)

func TestBar(t *testing.T) {
	var b bytes.Buffer
	p := progress.New(&b, true, 2)
	p.Step("one")
	p.Step("two")
	p.End()
	out := b.String()
	for _, want := range []string{"[############............] 1/2", "[########################] 2/2", "0:00 left  two"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if strings.Count(out, "\n") != 1 {
		t.Errorf("more than one line: %q", out)
	}
	// A step that nobody announced must not break the bar.
	p.Step("three")
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	p := progress.New(&b, false, 12)
	p.Step("one")
	p.End()
	if got := b.String(); got != "[ 1/12   0 s] one\n" {
		t.Errorf("got %q", got)
	}
}

package pgo_test

import (
	"bytes"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/pgo"
)

// cpu returns a CPU profile of main calling work n times on its stack's samples,
// as the runtime of some machine would have it: with addresses from base on.
func cpu(base uint64, n int64) *profile.Profile {
	m := &profile.Mapping{ID: 1, Start: base, Limit: base + 1000, File: "/home/somebody/engine"}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
		TimeNanos: 12345, Mapping: []*profile.Mapping{m}, Comments: []string{"secret"},
	}
	s := &profile.Sample{Value: []int64{n, n * 1e7}, Label: map[string][]string{"node": {"leaf1"}}}
	for i, name := range []string{"x.work", "main.main"} {
		f := &profile.Function{ID: uint64(i + 1), Name: name, SystemName: name, Filename: "/home/somebody/x.go", StartLine: int64(10 * (i + 1))}
		l := &profile.Location{ID: uint64(i + 1), Mapping: m, Address: base + uint64(i), Line: []profile.Line{{Function: f, Line: int64(10*(i+1) + 2)}}}
		p.Function, p.Location, s.Location = append(p.Function, f), append(p.Location, l), append(s.Location, l)
	}
	p.Sample = []*profile.Sample{s}
	return p
}

// TestMerge: profiles of equal code become one with equal weights, and nothing of
// the machine is left.
func TestMerge(t *testing.T) {
	empty := cpu(0x1000, 0)
	empty.Sample = nil
	p, err := pgo.Merge([]*profile.Profile{cpu(0x1000, 10), empty, cpu(0x9000, 40)})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.WriteUncompressed(&b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"somebody", "secret", "leaf1"} {
		if bytes.Contains(b.Bytes(), []byte(bad)) {
			t.Errorf("%q is in the result", bad)
		}
	}
	p, err = profile.ParseData(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 1 || p.Sample[0].Value[0] != 80 || len(p.Location) != 2 || p.TimeNanos != 0 {
		t.Errorf("want one stack of 80 samples in two places, got:\n%v", p)
	}
	// What the compiler reads: who calls whom, at which line of the caller.
	for i, want := range []struct {
		name        string
		start, line int64
	}{{"x.work", 10, 12}, {"main.main", 20, 22}} {
		n := p.Sample[0].Location[i].Line[0]
		if n.Function.Name != want.name || n.Function.StartLine != want.start || n.Line != want.line {
			t.Errorf("frame %d: %+v of %+v", i, n, n.Function)
		}
	}
	if _, err := pgo.Merge([]*profile.Profile{empty}); err == nil {
		t.Error("nothing was merged without an error")
	}
}

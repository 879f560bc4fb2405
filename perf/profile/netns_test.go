//go:build netns

package profile_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	take "github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/pgo"
	"github.com/ztos/ztos/perf/profile"
	"github.com/ztos/ztos/perf/sample"
)

// engine builds the engine and returns its path.
func engine(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "ztos-engine")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/ztos-engine")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// TestRun profiles a lab's nodes under traffic in both directions: every file is
// there and is what its name says, and the CPU profiles have samples of the ciphers.
func TestRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("needs root: makes network namespaces")
	}
	dir := t.TempDir()
	o := profile.BedOptions{Topology: "../../lab/standard.yaml", Engine: engine(t), LogDir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	kinds := []take.Kind{take.CPU, take.Heap, take.Block, take.Mutex, take.Goroutine, take.Trace}
	r, err := profile.Run(ctx, &profile.Config{
		BedOptions: o, Out: dir, CPU: 3 * time.Second, Capture: kinds,
		Loads: []profile.Load{profile.A, profile.B}, Note: func(s string) { t.Log(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, load := range []string{"a", "b"} {
		for _, node := range profile.Nodes {
			for _, kind := range kinds {
				check(t, filepath.Join(dir, fmt.Sprintf("%s-%s-%s", node, load, kind)), kind)
			}
		}
	}
	if len(r.Rows) != 2*(len(profile.Nodes)+1) {
		t.Errorf("%d rows", len(r.Rows))
	}
	for _, row := range r.Rows {
		s := row.Shares
		if s.Samples == 0 || s.AEAD <= 0 || s.AEADOwn < s.AEAD || s.AEADOwn > 1 || s.Families["kernel"] <= 0 {
			t.Errorf("%s, %s: %+v", row.Node, row.Load, s)
		}
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), bed.Spine1) {
		t.Errorf("%v\n%s", err, table.String())
	}
	t.Log("\n" + table.String())
}

// check reads the files of one profile.
func check(t *testing.T, base string, kind take.Kind) {
	t.Helper()
	if kind == take.Trace {
		raw, err := os.ReadFile(base + ".out")
		if err != nil || !strings.HasPrefix(string(raw), "go 1.") {
			t.Errorf("%s.out: %.20q, %v", base, raw, err)
		}
		return
	}
	raw, err := os.ReadFile(base + ".pprof")
	if err != nil {
		t.Error(err)
		return
	}
	p, err := pprofile.ParseData(raw)
	if err != nil {
		t.Errorf("%s: %v", base, err)
		return
	}
	// An engine under steady load need not contend for a lock.
	if len(p.Sample) == 0 && kind != take.Mutex {
		t.Errorf("%s.pprof has no sample", base)
	}
	if kind == take.CPU && sample.Share(p).AEAD == 0 {
		t.Errorf("%s.pprof has no cipher", base)
	}
	f, err := os.Open(base + ".svg")
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s.svg: %v", base, err)
			return
		}
	}
}

// TestCollect takes what the compiler is given, of frames one by one as off a wire
// and of small datagrams.
func TestCollect(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("needs root: makes network namespaces")
	}
	o := profile.BedOptions{Topology: "../../lab/standard.yaml", Engine: engine(t), LogDir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ps, err := profile.Collect(ctx, o, []profile.Load{profile.Wire, profile.UDP}, 2*time.Second, func(s string) { t.Log(s) })
	if err != nil {
		t.Fatal(err)
	}
	if len(ps) != 2*len(profile.Nodes) {
		t.Fatalf("%d profiles", len(ps))
	}
	merged, err := pgo.Merge(ps)
	if err != nil {
		t.Fatal(err)
	}
	if s := sample.Share(merged); s.AEAD == 0 {
		t.Errorf("got %+v", s)
	}
}

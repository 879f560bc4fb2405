//go:build netns

package scale_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/scale"
)

// TestEngine takes the whole way once, with small loads: every quantity of a real
// engine is there and above 0 where it must be.
func TestEngine(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("needs root: makes network namespaces")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "ztos-engine")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/ztos-engine").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := &scale.Runner{Binary: binary, Dir: dir, Idle: 200 * time.Millisecond, Log: t.Logf}
	plan := scale.Plan{VNI: []int{2, 4}, SA: []int{10, 20}, Peer: []int{1, 3}}
	r, err := plan.Run(t.Context(), run, []string{"vni", "sa", "peer"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Series {
		if len(s.Points) != 2 {
			t.Errorf("%s: %d sizes", s.Name, len(s.Points))
		}
		for _, p := range s.Points {
			for i, m := range s.Metrics {
				if v := p.Values[i]; m.Unit != "CPU" && !(v > 0) {
					t.Errorf("%s at %d: %s is %v", s.Name, p.Size, m.Name, v)
				}
			}
		}
	}
}

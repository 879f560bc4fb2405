//go:build netns

package quick_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/quick"
)

// TestRun measures every mode for a second: that the bed and all modes work,
// and that a run is lossless. It looks at no speed.
func TestRun(t *testing.T) {
	bin := t.TempDir()
	for _, pkg := range []string{"cmd/ztos-engine", "perf/peers/wireguard-go"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, filepath.Base(pkg)), "./"+pkg)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := quick.Run(ctx, &quick.Config{
		Topology:    "../../lab/standard.yaml",
		Engine:      filepath.Join(bin, "ztos-engine"),
		WireGuardGo: filepath.Join(bin, "wireguard-go"),
		LogDir:      t.TempDir(),
		Rounds:      1,
		Duration:    time.Second,
		Progress:    os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Modes) != 5 {
		t.Errorf("%d modes were measured, want 5", len(r.Modes))
	}
	for name, s := range r.Modes {
		if s.Median <= 0 {
			t.Errorf("%s: %v Gbit/s", name, s.Median)
		}
	}
	// A path that the warm-up did not meet may cost a few.
	if *r.MallocsPerFrame > 1e-4 {
		t.Errorf("workers allocated: %+v", *r.Engines)
	}
	if *r.AuthDrops != 0 || *r.ReplayDrops != 0 {
		t.Errorf("%d authentication and %d replay drops in a lossless run", *r.AuthDrops, *r.ReplayDrops)
	}
}

//go:build netns

package routes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/routes"
)

// TestMeasure takes the whole way once with few routes: a real engine and FRR get
// all of them and lose all of them, and the engine loses no datagram. It looks at
// no speed.
func TestMeasure(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("needs root: makes network namespaces")
	}
	binary := filepath.Join(t.TempDir(), "ztos-engine")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/ztos-engine").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	const n = 2000
	r, err := routes.Measure(t.Context(), routes.Config{
		Engine: binary, Sizes: []int{n}, Rounds: 1, Limit: time.Minute, Progress: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Runs) != 2 || r.Runs[0].System != routes.ZTOS || r.Runs[1].System != routes.FRR {
		t.Fatalf("%+v", r.Runs)
	}
	for _, one := range r.Runs {
		for _, v := range []float64{one.MACs, one.Prefixes, one.WithdrawMACs, one.WithdrawPrefixes, float64(one.Before), float64(one.Loaded)} {
			if v <= 0 {
				t.Errorf("%+v", one)
			}
		}
	}
	if s := r.Runs[0].Stream; s == nil || s.Sent == 0 || s.Lost != 0 {
		t.Errorf("stream %+v, want nothing lost", s)
	}
}

// An engine that cannot be started is an error, and leaves nothing behind.
func TestNoEngine(t *testing.T) {
	_, err := routes.Measure(t.Context(), routes.Config{
		Engine: "/nonexistent", Sizes: []int{1}, Rounds: 1, Limit: time.Minute, Progress: os.Stderr,
	})
	if err == nil {
		t.Fatal("measured")
	}
	if left, _ := filepath.Glob("/run/netns/ztos-routes-" + strconv.Itoa(os.Getpid()) + "-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

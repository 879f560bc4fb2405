//go:build netns

package moves_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ztos/ztos/perf/moves"
)

// TestMeasure takes the whole way with a few hosts: real engines follow each of them.
// It looks at no speed.
func TestMeasure(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("needs root: makes network namespaces")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "ztos-engine")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/ztos-engine").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r, err := moves.Measure(t.Context(), moves.Config{
		Engine: binary, Topology: "../../lab/evpn.yaml", Rates: []int{500, 2000}, Moves: 3, Progress: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Points) != 2 {
		t.Fatalf("%+v", r.Points)
	}
	for _, p := range r.Points {
		if len(p.Moves) != 3 {
			t.Errorf("%d datagrams a second: %d moves", p.Rate, len(p.Moves))
		}
		for _, m := range p.Moves {
			if m.First <= 0 || m.Window < 0 || m.Sent == 0 || m.Astray >= m.Sent {
				t.Errorf("%d datagrams a second: %+v", p.Rate, m)
			}
		}
	}
	if err := r.WriteJSON(filepath.Join(dir, "moves.json")); err != nil {
		t.Error(err)
	}
}

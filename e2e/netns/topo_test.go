package netns_test

import (
	"path/filepath"
	"testing"

	"github.com/ztos/ztos/lab"
)

// TestTopologies: the topologies of the tests are right.
func TestTopologies(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no topologies: %v", err)
	}
	for _, f := range files {
		if _, err := lab.Load(f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

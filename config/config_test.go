package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// documents returns the valid example documents.
func documents(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no documents in testdata: %v", err)
	}
	return files
}

// TestGolden reads each document, compares it written with all its defaults to
// the golden file, and reads that back to the same tree.
func TestGolden(t *testing.T) {
	for _, file := range documents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			n, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			again, err := config.Parse(got, golden)
			if err != nil {
				t.Fatalf("what Marshal wrote is refused: %v", err)
			}
			if !reflect.DeepEqual(again, n) {
				t.Errorf("round trip: got %+v, want %+v", again, n)
			}
		})
	}
}

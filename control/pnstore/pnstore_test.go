package pnstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/control/pnstore"
)

func open(t *testing.T, dir string) *pnstore.Store {
	t.Helper()
	s, err := pnstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLimitSurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if got := s.Limit("a"); got != 1 {
		t.Fatalf("limit of an unknown digest = %d, want 1", got)
	}
	if err := s.Raise(map[string]uint64{"a": 100, "b": 7}); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if a, b := s.Limit("a"), s.Limit("b"); a != 100 || b != 7 {
		t.Fatalf("after reopen: a = %d, b = %d, want 100 and 7", a, b)
	}
}

func TestRaiseNeverLowers(t *testing.T) {
	s := open(t, t.TempDir())
	for _, l := range []uint64{50, 20} {
		if err := s.Raise(map[string]uint64{"a": l}); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Limit("a"); got != 50 {
		t.Fatalf("limit = %d after raising to 50 and then 20, want 50", got)
	}
}

// A grant that did not reach the disk must not be believed.
func TestRaiseFailsWhenDiskDoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Raise(map[string]uint64{"a": 9}); err == nil {
		t.Fatal("Raise succeeded without a folder to write to")
	}
	if got := s.Limit("a"); got != 1 {
		t.Fatalf("limit = %d after a failed raise, want 1", got)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	for _, content := range []string{"", "{", `{"version":2,"limits":{}}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "packet-numbers.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pnstore.Open(dir); err == nil || !strings.Contains(err.Error(), "packet-numbers.json") {
			t.Errorf("content %q: err = %v, want one that names the file", content, err)
		}
	}
}

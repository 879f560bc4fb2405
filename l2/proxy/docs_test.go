package proxy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformanceTable: the tests that docs/fabric-evpn.md names exist, and each row
// that says done names one.
func TestConformanceTable(t *testing.T) {
	have := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "../../fabric/proxied_test.go", "../../e2e/netns/suppress_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`).FindAllStringSubmatch(string(text), -1) {
				have[m[1]] = true
			}
		}
	}
	text, err := os.ReadFile("../../docs/fabric-evpn.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[1], "RFC 9161") {
			continue
		}
		rows++
		tests := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[4], -1)
		for _, m := range tests {
			if !have[m[1]] {
				t.Errorf("%s names %s, which does not exist", strings.TrimSpace(cells[1]), m[1])
			}
		}
		if strings.HasPrefix(strings.TrimSpace(cells[3]), "done") && len(tests) == 0 {
			t.Errorf("%s is done and names no test", strings.TrimSpace(cells[1]))
		}
	}
	if rows != 7 {
		t.Errorf("%d rows, want 7", rows)
	}
}

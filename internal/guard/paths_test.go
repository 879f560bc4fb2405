package guard_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocPaths: folders and files that the docs name exist, and so do the
// targets of their links.
func TestDocPaths(t *testing.T) {
	tops := map[string]bool{}
	for _, f := range files(t) {
		if first, _, deeper := strings.Cut(f.path, "/"); deeper {
			tops[first] = true
		}
	}
	quoted := regexp.MustCompile("`([a-z0-9][A-Za-z0-9_./-]*)`")
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	exists := func(p string) bool {
		_, err := os.Stat(filepath.Join(top(t), p))
		return err == nil
	}
	for _, f := range files(t) {
		if !strings.HasSuffix(f.path, ".md") {
			continue
		}
		for i, line := range strings.Split(string(f.text), "\n") {
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				first, _, deeper := strings.Cut(m[1], "/")
				if deeper && tops[first] && !exists(m[1]) {
					t.Errorf("%s:%d names %s, which is not there", f.path, i+1, m[1])
				}
			}
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if p := path.Join(path.Dir(f.path), m[1]); !exists(p) {
					t.Errorf("%s:%d links to %s, which is not there", f.path, i+1, p)
				}
			}
		}
	}
}

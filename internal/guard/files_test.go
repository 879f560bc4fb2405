package guard_test

import (
	"bytes"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxLines is where a Go file is split, whatever the reason.
const maxLines = 800

func TestFileLength(t *testing.T) {
	for _, f := range goFiles(t) {
		if n := bytes.Count(f.text, []byte("\n")); n > maxLines {
			t.Errorf("%s: %d lines, at most %d: split it by noun", f.path, n, maxLines)
		}
	}
}

func TestGofmt(t *testing.T) {
	for _, f := range goFiles(t) {
		out, err := format.Source(f.text)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
		} else if !bytes.Equal(out, f.text) {
			t.Errorf("%s is not gofmt'ed", f.path)
		}
	}
}

// TestNoBinaries: what is built is built from source. Pictures of docs/ and a
// profile that the compiler reads are the exceptions.
func TestNoBinaries(t *testing.T) {
	for _, f := range files(t) {
		ext := path.Ext(f.path)
		if ext == ".png" && strings.HasPrefix(f.path, "docs/") || ext == ".pgo" {
			continue
		}
		if bytes.IndexByte(f.text, 0) >= 0 {
			t.Errorf("%s: a binary file", f.path)
		}
		if len(f.text) > 1<<20 {
			t.Errorf("%s: %d bytes, more than 1 MiB", f.path, len(f.text))
		}
	}
}

// TestNoMachinePaths: nothing names the machine that it was written on.
func TestNoMachinePaths(t *testing.T) {
	// Folders that every Linux machine has say nothing.
	common := []string{"/", "/tmp", "/var/tmp", "/home", "/usr/src", "/opt", "/srv", "/mnt", "/media", "/build"}
	root := top(t)
	candidates := []string{root, filepath.Dir(root)}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, home)
	}
	for _, dir := range candidates {
		if slices.Contains(common, dir) {
			continue
		}
		for _, f := range files(t) {
			if i := bytes.Index(f.text, []byte(dir+"/")); i >= 0 {
				t.Errorf("%s:%d names the folder %s of this machine", f.path, 1+bytes.Count(f.text[:i], []byte("\n")), dir)
			}
		}
	}
}

// TestText wants files that end in one newline and lines without blanks at
// their end.
func TestText(t *testing.T) {
	for _, f := range files(t) {
		switch path.Ext(f.path) {
		case ".go", ".md", ".yaml", ".yml", ".sh", ".proto":
		default:
			continue
		}
		if strings.Contains(f.path, "testdata/") || f.generated() {
			continue
		}
		if !bytes.HasSuffix(f.text, []byte("\n")) || bytes.HasSuffix(f.text, []byte("\n\n")) {
			t.Errorf("%s does not end in one newline", f.path)
		}
		for i, line := range bytes.Split(f.text, []byte("\n")) {
			if bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")) {
				t.Errorf("%s:%d ends in a blank", f.path, i+1)
			}
		}
	}
}

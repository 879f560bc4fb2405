package guard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// modulePath is the module that the guard watches.
const modulePath = "github.com/ztos/ztos"

// top returns the repository's root.
func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// listed is what the guard reads of `go list -json`.
type listed struct {
	ImportPath  string
	Name        string
	Dir         string
	GoFiles     []string
	Imports     []string
	TestGoFiles []string
}

// rel returns the package's path inside the module, "" for the root.
func (p listed) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, modulePath), "/")
}

var listOnce = sync.OnceValues(func() ([]listed, error) {
	// With the tags of the privileged tests, so that helpers that only they
	// build are seen too.
	cmd := exec.Command("go", "list", "-e", "-tags", "netns,interop", "-json=ImportPath,Name,Dir,GoFiles,Imports,TestGoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

// packages lists the module's packages.
func packages(t *testing.T) []listed {
	t.Helper()
	all, err := listOnce()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages: the discovery is broken", len(all))
	}
	return all
}

// file is one file that git would commit.
type file struct {
	path string // from the root, slashes
	text []byte
}

// generated reports whether a tool wrote the file.
func (f file) generated() bool {
	head, _, _ := bytes.Cut(f.text, []byte("\npackage "))
	return bytes.Contains(head, []byte("// Code generated ")) && bytes.Contains(head, []byte("DO NOT EDIT."))
}

var filesOnce = sync.OnceValues(func() ([]file, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var all []file
	for _, path := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", path))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err != nil {
			return nil, err
		}
		all = append(all, file{path, text})
	}
	return all, nil
})

// files returns every file of the repository.
func files(t *testing.T) []file {
	t.Helper()
	all, err := filesOnce()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return all
}

// goFiles returns every Go file that no tool wrote.
func goFiles(t *testing.T) []file {
	t.Helper()
	var out []file
	for _, f := range files(t) {
		if strings.HasSuffix(f.path, ".go") && !f.generated() {
			out = append(out, f)
		}
	}
	return out
}

// parsed is a Go file with its syntax tree.
type parsed struct {
	file
	fset *token.FileSet
	tree *ast.File
}

// at returns "path:line" of a position.
func (p parsed) at(pos token.Pos) string { return p.fset.Position(pos).String() }

// test reports whether the file is only built for tests.
func (p parsed) test() bool { return strings.HasSuffix(p.path, "_test.go") }

var parseOnce = sync.OnceValues(func() (map[string]parsed, error) {
	all, err := filesOnce()
	if err != nil {
		return nil, err
	}
	trees := map[string]parsed{}
	fset := token.NewFileSet()
	for _, f := range all {
		if !strings.HasSuffix(f.path, ".go") {
			continue
		}
		tree, err := parser.ParseFile(fset, f.path, f.text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		trees[f.path] = parsed{f, fset, tree}
	}
	return trees, nil
})

// trees returns the syntax trees of the Go files that no tool wrote.
func trees(t *testing.T) []parsed {
	t.Helper()
	all, err := parseOnce()
	if err != nil {
		t.Fatal(err)
	}
	var out []parsed
	for _, f := range goFiles(t) {
		out = append(out, all[f.path])
	}
	return out
}

package guard_test

import (
	"go/ast"
	"path"
	"slices"
	"testing"
)

// watched are functions and variables that the forwarding layers do not use: what
// reads a clock or waits for one, what prints, what ends the process.
var watched = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"fmt":  {"Print", "Println", "Printf"},
	"os":   {"Stdout", "Stderr", "Exit"},
}

// exceptions are the places of layers 0 to 2 that do what the layers may not,
// each for a reason.
var exceptions = []struct{ folder, what, why string }{
	{"engine/worker", "go", "it is the package that starts the threads"},
	{"engine/worker", "time.Sleep", "a worker whose device is down waits before it asks again"},
	{"engine/port/fdio", "time.Now", "a worker that has nothing to do wants to know how long a yield took"},
	{"engine/port/fdio", "time.Since", "the same"},
	{"engine/port/mem", "time.NewTimer", "stands for the kernel's receive time-out"},
	{"engine/underlay/mem", "time.NewTimer", "stands for the kernel's receive time-out"},
}

// excepted reports whether exceptions allow what in the folder of a file.
func excepted(file, what string) bool {
	for _, e := range exceptions {
		if path.Dir(file) == e.folder && e.what == what {
			return true
		}
	}
	return false
}

// TestForwardingCode reads the code of layers 0 to 2, test files aside: the time
// is passed in, threads belong to the layers above, and nobody prints.
func TestForwardingCode(t *testing.T) {
	checked := 0
	for _, f := range trees(t) {
		n, _, ok := layer(path.Dir(f.path))
		if f.test() || !ok || n > featureLayer || helper(path.Dir(f.path)) {
			continue
		}
		checked++
		ast.Inspect(f.tree, func(node ast.Node) bool {
			what := ""
			switch node := node.(type) {
			case *ast.GoStmt:
				what = "go"
			case *ast.SelectorExpr:
				pkg, ok := node.X.(*ast.Ident)
				if !ok || pkg.Obj != nil { // Obj: a local name, not a package
					return true
				}
				if slices.Contains(watched[pkg.Name], node.Sel.Name) {
					what = pkg.Name + "." + node.Sel.Name
				}
			}
			if what != "" && !excepted(f.path, what) {
				t.Errorf("%s: %s in layer %d", f.at(node.Pos()), what, n)
			}
			return true
		})
	}
	if checked == 0 {
		t.Error("no file of layers 0 to 2 was found")
	}
}

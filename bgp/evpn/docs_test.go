package evpn_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestConformanceTable: the tests that docs/evpn.md names exist, each row that
// says done names one, and no test of a section is left out.
func TestConformanceTable(t *testing.T) {
	have := map[string]string{} // name: its comment
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				have[fn.Name.Name] = fn.Doc.Text()
			}
		}
	}
	text, err := os.ReadFile("../../docs/evpn.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "## Conformance")
	if !ok {
		t.Fatal("docs/evpn.md has no conformance table")
	}
	named := map[string]bool{}
	rows := 0
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[1], "RFC ") && !strings.Contains(cells[1], "others") {
			continue
		}
		rows++
		tests := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[4], -1)
		for _, m := range tests {
			named[m[1]] = true
			if _, ok := have[m[1]]; !ok {
				t.Errorf("%s names %s, which does not exist", strings.TrimSpace(cells[1]), m[1])
			}
		}
		if strings.HasPrefix(strings.TrimSpace(cells[3]), "done") && len(tests) == 0 {
			t.Errorf("%s is done and names no test", strings.TrimSpace(cells[1]))
		}
	}
	if rows < 40 {
		t.Errorf("%d rows", rows)
	}
	for name, doc := range have {
		if strings.Contains(doc, "RFC ") && !named[name] {
			t.Errorf("%s is of a section and docs/evpn.md does not name it", name)
		}
	}
}

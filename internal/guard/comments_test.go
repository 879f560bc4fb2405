package guard_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestPackageComments wants one package comment in every package, that starts as
// godoc expects.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{} // folder: files that have one
	names := map[string]string{}
	for _, f := range trees(t) {
		dir := path.Dir(f.path)
		if f.test() || strings.Contains(f.path, "testdata/") {
			continue
		}
		names[dir] = f.tree.Name.Name
		if f.tree.Doc == nil {
			continue
		}
		text := f.tree.Doc.Text()
		want := "Package " + f.tree.Name.Name + " "
		if f.tree.Name.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(text, want) {
			t.Errorf("%s: the package comment does not start with %q", f.path, want)
		}
		comments[dir] = append(comments[dir], f.path)
	}
	for dir, name := range names {
		switch n := len(comments[dir]); {
		case n == 0:
			t.Errorf("%s: package %s has no package comment", dir, name)
		case n > 1:
			t.Errorf("%s: package comments in %q, want one file", dir, comments[dir])
		}
	}
}

// TestExportedComments wants a doc comment on every exported name, and on
// functions and types one that starts with the name.
func TestExportedComments(t *testing.T) {
	for _, f := range trees(t) {
		if f.test() || f.tree.Name.Name == "main" || strings.Contains(f.path, "testdata/") {
			continue
		}
		for i, decl := range f.tree.Decls {
			if i > 0 && enumeration(f.tree.Decls[i-1], decl) {
				continue
			}
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && exportedReceiver(decl) {
					checkDoc(t, f, decl.Name, decl.Doc)
				}
			case *ast.GenDecl:
				checkGenDecl(t, f, decl)
			}
		}
	}
}

// enumeration reports whether decl is the group of constants of the type that is
// declared, with a comment, right above it. There a name may speak for itself.
func enumeration(above, decl ast.Decl) bool {
	typ, ok := above.(*ast.GenDecl)
	if !ok || typ.Tok != token.TYPE || len(typ.Specs) != 1 || typ.Doc == nil {
		return false
	}
	group, ok := decl.(*ast.GenDecl)
	if !ok || group.Tok != token.CONST || len(group.Specs) == 0 {
		return false
	}
	of, ok := group.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident)
	return ok && of.Name == typ.Specs[0].(*ast.TypeSpec).Name.Name
}

// exportedReceiver reports whether a function can be seen from outside: it is
// no method, or one of an exported type.
func exportedReceiver(decl *ast.FuncDecl) bool {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return true
	}
	typ := decl.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// checkGenDecl looks at types, constants and variables. In a group the group's
// comment, or one behind the name, is enough.
func checkGenDecl(t *testing.T, f parsed, decl *ast.GenDecl) {
	t.Helper()
	group := decl.Lparen.IsValid()
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if !spec.Name.IsExported() {
				continue
			}
			doc := spec.Doc
			if doc == nil && !group {
				doc = decl.Doc
			}
			if group && doc == nil && (decl.Doc != nil || spec.Comment != nil) {
				continue
			}
			checkDoc(t, f, spec.Name, doc)
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				if name.IsExported() && decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
					t.Errorf("%s: exported %s %s has no comment", f.at(name.Pos()), kind(decl.Tok), name.Name)
				}
			}
		}
	}
}

// kind names a declaration for messages.
func kind(tok token.Token) string {
	if tok == token.CONST {
		return "constant"
	}
	return "variable"
}

// checkDoc wants a comment that starts with the name, an article before it
// allowed.
func checkDoc(t *testing.T, f parsed, name *ast.Ident, doc *ast.CommentGroup) {
	t.Helper()
	if doc == nil {
		t.Errorf("%s: exported %s has no comment", f.at(name.Pos()), name.Name)
		return
	}
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	if !strings.HasPrefix(text, name.Name) && !strings.HasPrefix(text, "Deprecated:") {
		t.Errorf("%s: the comment of %s does not start with its name", f.at(name.Pos()), name.Name)
	}
}

// TestTODO wants every open end to name an issue.
func TestTODO(t *testing.T) {
	open := regexp.MustCompile(`\b(TODO|FIXME|XXX)\b(\(#\d+\))?`)
	for _, f := range trees(t) {
		if strings.HasPrefix(f.path, "internal/guard/") {
			continue
		}
		for _, group := range f.tree.Comments {
			for _, c := range group.List {
				for _, m := range open.FindAllStringSubmatch(c.Text, -1) {
					if m[2] == "" {
						t.Errorf("%s: %s without an issue: write TODO(#n)", f.at(c.Pos()), m[1])
					}
				}
			}
		}
	}
}

// TestSkips: a skipped test looks like a passed one. The only reason to skip is
// that the one who runs the test is not root, which CI always is.
func TestSkips(t *testing.T) {
	for _, f := range trees(t) {
		if strings.HasPrefix(f.path, "internal/guard/") {
			continue
		}
		ast.Inspect(f.tree, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Skip" && sel.Sel.Name != "Skipf" && sel.Sel.Name != "SkipNow" {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "t" && x.Name != "b" && x.Name != "f" && x.Name != "tb" {
				return true
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && strings.Contains(lit.Value, "root") {
					return true
				}
			}
			t.Errorf("%s: a test may only be skipped for want of root, and says so", f.at(call.Pos()))
			return true
		})
	}
}

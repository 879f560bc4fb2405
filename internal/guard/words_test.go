package guard_test

import (
	"regexp"
	"strings"
	"testing"
)

// doc returns the text of a file under docs/.
func doc(t *testing.T, name string) string {
	t.Helper()
	for _, f := range files(t) {
		if f.path == "docs/"+name {
			return string(f.text)
		}
	}
	t.Fatalf("there is no docs/%s", name)
	return ""
}

var citation = regexp.MustCompile(`\bRFC[ -]?(\d{3,5})\b|\b(802\.[13][A-Za-z]*)\b`)

// cited returns the standard that a match names, as docs/standards.md has it.
func cited(m []string) string {
	if m[1] != "" {
		return "RFC " + m[1]
	}
	return m[2]
}

// TestCitations wants a row in docs/standards.md for every standard that code or
// docs name, and every row to be named somewhere in the code.
func TestCitations(t *testing.T) {
	rows := map[string]bool{}
	for line := range strings.SplitSeq(doc(t, "standards.md"), "\n") {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| ") {
			for _, m := range citation.FindAllStringSubmatch(first, -1) {
				rows[cited(m)] = true
			}
		}
	}
	if len(rows) == 0 {
		t.Fatal("docs/standards.md has no row")
	}
	used := map[string]bool{}
	for _, f := range files(t) {
		isGo := strings.HasSuffix(f.path, ".go")
		if !isGo && !strings.HasSuffix(f.path, ".md") {
			continue
		}
		if f.generated() || f.path == "docs/standards.md" || strings.HasPrefix(f.path, "internal/guard/") {
			continue
		}
		for i, line := range strings.Split(string(f.text), "\n") {
			for _, m := range citation.FindAllStringSubmatch(line, -1) {
				if !rows[cited(m)] {
					t.Errorf("%s:%d cites %s, which docs/standards.md does not have", f.path, i+1, cited(m))
				}
				if isGo {
					used[cited(m)] = true
				}
			}
		}
	}
	for row := range rows {
		if !used[row] {
			t.Errorf("docs/standards.md has %s, which no code cites", row)
		}
	}
}

// TestWords: the table "Words that are not used" of docs/glossary.md has a word
// in each row's first column; neither code nor docs use it.
func TestWords(t *testing.T) {
	_, table, ok := strings.Cut(doc(t, "glossary.md"), "## Words that are not used")
	if !ok {
		t.Fatal("docs/glossary.md has no table of words that are not used")
	}
	var words []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		words = append(words, regexp.QuoteMeta(m[1]))
	}
	if len(words) == 0 {
		t.Fatal("the table of words that are not used is empty")
	}
	bad := regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
	for _, f := range files(t) {
		if !strings.HasSuffix(f.path, ".go") && !strings.HasSuffix(f.path, ".md") && !strings.HasSuffix(f.path, ".yaml") {
			continue
		}
		if f.generated() || f.path == "docs/glossary.md" {
			continue
		}
		for i, line := range strings.Split(string(f.text), "\n") {
			if m := bad.FindString(line); m != "" {
				t.Errorf("%s:%d says %q; docs/glossary.md has the word for it", f.path, i+1, m)
			}
		}
	}
}

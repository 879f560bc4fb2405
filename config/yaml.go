package config

import (
	"bytes"

	"github.com/goccy/go-yaml/ast"
)

// text returns the words of a scalar node as the document has them, so that an
// SCI of digits only is not taken for a number.
func text(n ast.Node) (string, bool) {
	switch t := n.(type) {
	case *ast.StringNode:
		return t.Value, true
	case *ast.LiteralNode:
		return t.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kind names what a node is, for people.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "`key: value` lines"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode, nil:
		return "nothing"
	case *ast.MergeKeyNode, *ast.AliasNode, *ast.AnchorNode, *ast.TagNode, *ast.MappingKeyNode:
		return "an anchor, alias, tag or merge key"
	}
	return "a single value"
}

// lineOf returns the line where n begins, 0 when unknown.
func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if n == nil {
		return 0
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// tooDeep reports whether data could nest deeper than maxDepth: by brackets, or
// by indentation (each level costs a column, or a "- " or "? " on one line). It
// counts brackets in strings too, which no sensible document has many of.
func tooDeep(data []byte) bool {
	flow := 0
	for line := range bytes.Lines(data) {
		indent := 0
		lead := true
		for i, c := range line {
			switch c {
			case '[', '{':
				flow++
			case ']', '}':
				flow = max(0, flow-1)
			}
			if lead && (c == '-' || c == '?') && i+1 < len(line) && line[i+1] == ' ' {
				indent++
			} else if c != ' ' {
				lead = false
			}
			if flow > maxDepth || indent > maxDepth {
				return true
			}
		}
	}
	return false
}

// closest returns the name at an edit distance of at most 2 from key, or "".
func closest(key string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if d := distance(key, n); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	if len(a) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}

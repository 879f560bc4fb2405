package flame

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/sample"
)

// node is a function at one place of the tree of calls.
type node struct {
	name  string
	value int64 // of all samples through here; its own part and that of its calls
	calls map[string]*node
}

// call returns the node of a function that n calls, made if needed.
func (n *node) call(name string) *node {
	c := n.calls[name]
	if c == nil {
		c = &node{name: name}
		if n.calls == nil {
			n.calls = map[string]*node{}
		}
		n.calls[name] = c
	}
	return c
}

// sorted returns the calls by name: like stands beside like, and two graphs of
// one program look alike.
func (n *node) sorted() []*node {
	out := make([]*node, 0, len(n.calls))
	for _, c := range n.calls {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *node) int { return cmp.Compare(a.name, b.name) })
	return out
}

// depth returns how many functions stand above each other at most, n included,
// of those that are at least least.
func (n *node) depth(least int64) int {
	if n.value < least {
		return 0
	}
	deepest := 0
	for _, c := range n.calls {
		deepest = max(deepest, c.depth(least))
	}
	return deepest + 1
}

// grow returns the tree of calls of a profile. A sample that is not more than
// zero has no width and is left out; none is negative in a profile of the
// runtime.
func grow(p *profile.Profile) *node {
	root := &node{name: "all"}
	for _, s := range p.Sample {
		v := sample.Value(s)
		if v <= 0 {
			continue
		}
		root.value += v
		at := root
		for _, name := range slices.Backward(sample.Stack(s)) {
			at = at.call(name)
			at.value += v
		}
	}
	return root
}

// percent returns a share of the total for people.
func percent(v, total int64) string {
	if total == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(v)/float64(total))
}

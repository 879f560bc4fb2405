package guard_test

import (
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
)

// block is a fenced block of a Markdown file.
type block struct {
	path string
	line int    // of the opening fence
	info string // what follows the fence: "sh test", "yaml config"
	text string
}

// blocks returns the fenced blocks of the docs whose info string is info.
func blocks(t *testing.T, info string) []block {
	t.Helper()
	var out []block
	for _, f := range files(t) {
		if !strings.HasSuffix(f.path, ".md") {
			continue
		}
		var open *block
		for i, line := range strings.Split(string(f.text), "\n") {
			switch {
			case open == nil && strings.HasPrefix(line, "```"):
				open = &block{path: f.path, line: i + 1, info: strings.TrimPrefix(line, "```")}
			case open != nil && line == "```":
				if open.info == info {
					out = append(out, *open)
				}
				open = nil
			case open != nil:
				open.text += line + "\n"
			}
		}
		if open != nil {
			t.Errorf("%s:%d: the block does not end", open.path, open.line)
		}
	}
	return out
}

// TestDocConfigs: blocks marked "yaml config" are node configurations without a
// fault.
func TestDocConfigs(t *testing.T) {
	all := blocks(t, "yaml config")
	if len(all) == 0 {
		t.Error("no block is marked as a configuration")
	}
	for _, b := range all {
		if _, err := config.Parse([]byte(b.text), b.path); err != nil {
			t.Errorf("%s:%d: %v", b.path, b.line, err)
		}
	}
}

//go:build netns

package guard_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDocCommands runs the blocks marked "sh test", those of one file as one
// script, in order, from the repository's root, with the programs of cmd/ built
// from this tree. What the docs tell a reader to type works.
func TestDocCommands(t *testing.T) {
	all := blocks(t, "sh test")
	if len(all) == 0 {
		t.Fatal("no block is marked to be run")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/...")
	build.Dir = top(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	scripts := map[string]string{}
	for _, b := range all {
		scripts[b.path] += b.text
	}
	for path, script := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			env := append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			run := func(ctx context.Context, text string) ([]byte, error) {
				cmd := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", text)
				cmd.Dir, cmd.Env, cmd.WaitDelay = top(t), env, 5*time.Second
				return cmd.CombinedOutput()
			}
			out, err := run(ctx, script)
			if err == nil {
				return
			}
			t.Errorf("%v\n%s", err, out)
			// Take down what the script has put up.
			for line := range strings.SplitSeq(script, "\n") {
				if strings.Contains(line, " lab down ") {
					if out, err := run(context.Background(), line); err != nil {
						t.Errorf("%s: %v\n%s", line, err, out)
					}
				}
			}
		})
	}
}

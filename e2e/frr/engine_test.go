//go:build netns

package frr_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/engine/port/nstest"
)

// engineDir is where engineBinary has put the program; empty before.
var engineDir string

// engineBinary builds the ztos-engine program, once for all tests.
var engineBinary = sync.OnceValues(func() (path string, err error) {
	if engineDir, err = os.MkdirTemp("", "ztos-frr-"); err != nil {
		return "", err
	}
	path = filepath.Join(engineDir, "ztos-engine")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/ztos-engine")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if engineDir != "" {
		os.RemoveAll(engineDir)
	}
	os.Exit(code)
}

// newEngine runs an engine in a namespace until the test ends. DIR in its document
// is a folder of its own.
func newEngine(t *testing.T, ns *nstest.NS, doc string) *client.Client {
	t.Helper()
	c, _ := newEngineOf(t, ns, doc)
	return c
}

// newEngineOf is newEngine, and returns the document that the engine has.
func newEngineOf(t *testing.T, ns *nstest.NS, doc string) (*client.Client, string) {
	t.Helper()
	binary, err := engineBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ztos-frr-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "engine.yaml")
	doc = strings.ReplaceAll(doc, "DIR", dir)
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "run", "--config", path)
	cmd.Stdout, cmd.Stderr = log, log
	ns.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it was told to end
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("log of the engine:\n%s", text[max(0, len(text)-4000):])
		}
	})
	c, err := client.Dial(filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	wait(t, "the engine answers", func() bool {
		_, err := c.Version(context.Background())
		return err == nil
	})
	return c, doc
}

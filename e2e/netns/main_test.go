//go:build netns

package netns_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/lab"
)

// engine and ctl are the programs ztos-engine and ztosctl, built once for all
// tests.
var engine, ctl string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ztos-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	engine, ctl = filepath.Join(dir, "ztos-engine"), filepath.Join(dir, "ztosctl")
	args, cgo := []string{"build", "-o", dir + "/"}, "CGO_ENABLED=0"
	if raceEnabled { // engines under the race detector too, which needs cgo
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "./cmd/ztos-engine", "./cmd/ztosctl")...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// up brings the lab of a topology up under a name of its own, so that it does
// not meet one that a person has up, and takes it down when the test ends.
func up(t *testing.T, file, name string) *check.Bench {
	t.Helper()
	nstest.NeedRoot(t)
	topo, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	topo.Name = name
	// A short path: a unix socket's has at most 107 bytes.
	dir, err := os.MkdirTemp("", "ztos-lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := lab.New(topo, lab.Options{RunDir: dir, EngineBinary: engine})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	b := check.New(l, topo)
	t.Cleanup(func() {
		logs(t, l, b.Topo)
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Logf("lab %s is up after %v", name, time.Since(start).Round(time.Millisecond))
	b.Note = func(s string) { t.Log(s) }
	b.Ctl = ctl
	t.Cleanup(b.Close)
	return b
}

// logs prints the end of the engines' logs when the test has failed, and fails it
// when an engine reports a data race, a panic or a contained bug.
func logs(t *testing.T, l *lab.Lab, topo *lab.Topology) {
	for _, n := range topo.Nodes {
		if !n.Kind.Engine() {
			continue
		}
		data, err := os.ReadFile(l.LogPath(n.Name, lab.EngineProcess))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine 1 ["} {
			if i := bytes.Index(data, []byte(bad)); i >= 0 {
				t.Errorf("log of %s:\n%s", n.Name, data[max(0, i-200):min(len(data), i+6000)])
				break
			}
		}
		if t.Failed() {
			t.Logf("end of the log of %s:\n%s", n.Name, data[max(0, len(data)-2000):])
			sessions(t, l.Socket(n.Name), n.Name)
		}
	}
}

// sessions prints the BGP sessions of an engine, if it has any and still runs.
func sessions(t *testing.T, socket, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, ctl, "--socket", socket, "show", "bgp").CombinedOutput(); err == nil {
		t.Logf("BGP of %s:\n%s", name, out)
	}
}

// step is one check as a subtest: its result is logged, its error fails it.
func step[T any](t *testing.T, name string, fn func(context.Context) (T, error)) (result T) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		start := time.Now()
		var err error
		result, err = fn(ctx)
		text, jerr := json.Marshal(result)
		if jerr != nil {
			t.Error(jerr)
		}
		t.Logf("%v: %s", time.Since(start).Round(time.Millisecond), text)
		if err != nil {
			t.Error(err)
		}
	})
	return result
}

// reach is the check that every test begins with: without it the others say
// nothing.
func reach(t *testing.T, b *check.Bench) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.AwaitReach(ctx, 15*time.Second); err != nil {
		t.Fatal(err)
	}
	m, err := b.Matrix(ctx, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("reach: %+v", m)
}

// tcp runs one TCP stream between the first two hosts of a tenant.
func tcp(b *check.Bench, tenant string, secs int) func(context.Context) (check.TCP, error) {
	h := b.Topo.Hosts(tenant)
	return func(ctx context.Context) (check.TCP, error) { return b.TCP(ctx, h[0].Name, h[1].Name, secs) }
}

// integrity compares what arrives with what was sent, 4 MiB by TCP each way.
func integrity(b *check.Bench) func(context.Context) (check.Integrity, error) {
	return func(ctx context.Context) (check.Integrity, error) { return b.Integrity(ctx, 4<<20) }
}

//go:build netns

package lab_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/lab/netplumb"
)

// TestCancel: a context that ends in the middle of Up ends Up, and the half
// that was made is gone.
func TestCancel(t *testing.T) {
	topo, err := lab.Parse([]byte(tiny("lc")), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := lab.New(topo, options(t.TempDir(), func(step, total int, what string) {
		if strings.HasPrefix(what, "start engine in leaf2") {
			cancel()
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Up(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Up: %v", err)
	}
	wantNothing(t, l)
}

// TestCrash kills an Up before each of its steps, and takes the remains away
// in turn by Down and by the next Up.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "topo.yaml")
	if err := os.WriteFile(file, []byte(tiny("lk")), 0o600); err != nil {
		t.Fatal(err)
	}
	topo, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	l, err := lab.New(topo, options(filepath.Join(dir, "run"), func(_, n int, what string) {
		if strings.HasPrefix(what, "start") {
			total = n
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
		wantNothing(t, l)
	})
	if err := l.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := l.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= total; step++ {
		out, err := exec.Command(self, "crash", file, filepath.Dir(l.Dir()), strconv.Itoa(step)).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", step, err, out)
		}
		if s, err := l.Status(); err != nil || s.Phase != lab.PhaseCreating {
			t.Fatalf("step %d: status %+v, %v", step, s, err)
		}
		if step%2 == 0 {
			if err := l.Up(context.Background()); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
		if err := l.Down(context.Background()); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		wantNothing(t, l)
	}
	if total < 10 {
		t.Errorf("%d steps", total)
	}
}

// TestForeign: Down ends a process of the lab whose number never reached the
// state file, and leaves one alone that has the number of a dead one; Up leaves
// a namespace alone that somebody else made.
func TestForeign(t *testing.T) {
	l := newLab(t, tiny("lo"))
	ctx := context.Background()
	if err := netplumb.Create(l.Namespace("h2")); err != nil {
		t.Fatal(err)
	}
	err := l.Up(ctx)
	if err == nil || !strings.Contains(err.Error(), "not this lab's") {
		t.Errorf("Up over a foreign namespace: %v", err)
	}
	if !netplumb.Exists(l.Namespace("h2")) {
		t.Error("the foreign namespace is gone")
	}
	if err := netplumb.Delete(l.Namespace("h2")); err != nil {
		t.Fatal(err)
	}

	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	err = lab.EditProcesses(l, func(r *lab.Record) {
		switch r.Name {
		case lab.EngineProcess:
			r.PID, r.Start = 0, 0
		default:
			r.PID = other.Process.Pid
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Down(ctx); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, l)
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the foreign process: %v", err)
	}
}

// TestBusy: two commands do not work on one lab at once.
func TestBusy(t *testing.T) {
	topo, err := lab.Parse([]byte(routed), "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	second, err := lab.New(topo, options(dir, nil))
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	l, err := lab.New(topo, options(dir, func(step, _ int, _ string) {
		if step == 2 && !asked {
			asked = true
			for _, f := range []func(context.Context) error{second.Up, second.Down} {
				if err := f(context.Background()); !errors.Is(err, lab.ErrBusy) {
					t.Errorf("meanwhile: %v", err)
				}
			}
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wantNothing(t, l) })
	if err := l.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := second.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
}

//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab/netplumb"
)

// engineBinary is the ztos-engine program, built once for all tests.
var engineBinary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "interop: needs root: it makes network namespaces")
		return 1
	}
	if err := sweep(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "ztos-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	engineBinary = filepath.Join(dir, "ztos-engine")
	cmd := exec.Command("go", "build", "-o", engineBinary, "./cmd/ztos-engine")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build ztos-engine: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// ownRE matches the names of this package's namespaces, with the number of the
// process that made them.
var ownRE = regexp.MustCompile(`^iop(\d+)-`)

// sweep removes what test programs left that were killed: their namespaces, and
// the processes in these.
func sweep() error {
	names, err := netplumb.Names()
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		m := ownRE.FindStringSubmatch(n)
		if m == nil {
			continue
		}
		maker, err := strconv.Atoi(m[1])
		if err != nil || unix.Kill(maker, 0) != unix.ESRCH {
			continue
		}
		errs = append(errs, remove(n))
	}
	return errors.Join(errs...)
}

// remove ends what still runs in a namespace of this package, as servers in the
// background, and removes it.
func remove(name string) error {
	pids, err := netplumb.Processes(name)
	errs := []error{err}
	for _, p := range pids {
		if p == os.Getpid() {
			continue // its first thread has been there, for netplumb.Do
		}
		if err := unix.Kill(p, unix.SIGKILL); err != nil && err != unix.ESRCH {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, netplumb.Delete(name))...)
}

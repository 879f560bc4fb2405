package netplumb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Start starts cmd inside the namespace name, with /sys remounted so that
// /sys/class/net shows the namespace's devices, as `ip netns exec` does.
// The files and sockets of the machine are shared. The caller waits for cmd.
//
// cmd.SysProcAttr.Pdeathsig must not be set: the signal would follow the
// thread that Start ends, not the process.
func Start(name string, cmd *exec.Cmd) error {
	if cmd.SysProcAttr != nil && cmd.SysProcAttr.Pdeathsig != 0 {
		return errors.New("netplumb: Pdeathsig cannot be used with Start")
	}
	return Do(name, func() error {
		if err := privateSys(name); err != nil {
			return fmt.Errorf("netplumb: enter %s: %w", name, err)
		}
		return cmd.Start()
	})
}

// Run is Start and Wait.
func Run(name string, cmd *exec.Cmd) error {
	if err := Start(name, cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// Output runs argv in the namespace and returns its standard output and error
// together. A failure's error carries the end of that output.
func Output(name string, argv ...string) ([]byte, error) {
	if len(argv) == 0 {
		return nil, errors.New("netplumb: no command")
	}
	var out limited
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := Run(name, cmd); err != nil {
		return out.b, fmt.Errorf("netplumb: %s: %q: %w: %s", name, argv, err, tail(out.b, 400))
	}
	return out.b, nil
}

// limited keeps the first MiB written to it and drops the rest.
type limited struct{ b []byte }

// Write implements io.Writer and never fails.
func (l *limited) Write(p []byte) (int, error) {
	if room := 1<<20 - len(l.b); room > 0 {
		l.b = append(l.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// tail returns the last n bytes of b.
func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// privateSys gives the calling thread its own mount namespace with a /sys that
// belongs to its network namespace. The thread must be thrown away afterwards.
func privateSys(name string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	// Slave: later mounts of the machine arrive here, none of ours goes back.
	if err := unix.Mount("", "/", "none", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	if err := unix.Unmount("/sys", unix.MNT_DETACH); err != nil && err != unix.EINVAL {
		return os.NewSyscallError("umount", err)
	}
	if err := unix.Mount(name, "/sys", "sysfs", 0, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return nil
}

// Processes returns the ids of the processes whose network namespace is name.
// It is a snapshot: processes come and go while it is taken.
func Processes(name string) ([]int, error) {
	var want unix.Stat_t
	if err := unix.Stat(Path(name), &want); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("netplumb: %s: %w", name, ErrNotFound)
		}
		return nil, fmt.Errorf("netplumb: %s: %w", name, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("netplumb: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

package netplumb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is where namespaces are bind mounted by name, as iproute2 expects.
const Dir = "/run/netns"

// MaxName is the longest namespace name Create accepts, in bytes. iproute2
// allows 255; short names keep `ip netns` output readable.
const MaxName = 64

// ErrExists is wrapped by Create when the name is taken.
var ErrExists = errors.New("namespace exists")

// ErrNotFound is wrapped when a namespace of that name does not exist.
var ErrNotFound = errors.New("no such namespace")

// Path returns the file that stands for the namespace name.
func Path(name string) string { return filepath.Join(Dir, name) }

// checkName refuses names that would leave Dir or confuse iproute2.
func checkName(name string) error {
	if name == "" || len(name) > MaxName || name[0] == '.' || name[0] == '-' || strings.ContainsAny(name, "/\x00 \n") {
		return fmt.Errorf("netplumb: namespace name %q: need 1 to %d bytes, no slash, blank, leading dot or dash", name, MaxName)
	}
	return nil
}

// Create makes a network namespace, names it and brings its loopback up.
//
// DAD is off and IPv6 is on in it, for the interfaces to come too, and router
// advertisements are ignored: an address is usable at once and nothing
// configures itself. Errors: ErrExists; otherwise nothing is left behind.
func Create(name string) (err error) {
	if err := checkName(name); err != nil {
		return err
	}
	if err := prepareDir(); err != nil {
		return fmt.Errorf("netplumb: prepare %s: %w", Dir, err)
	}
	path := Path(name)
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("netplumb: %s: %w", name, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("netplumb: %w", err)
	}
	f.Close()
	err = onThrowawayThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		self := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(self, path, "none", unix.MS_BIND, ""); err != nil {
			return os.NewSyscallError("mount", err)
		}
		return prepareNamespace()
	})
	if err != nil {
		return errors.Join(fmt.Errorf("netplumb: create %s: %w", name, err), Delete(name))
	}
	return nil
}

// prepareDir makes Dir a shared mount, as iproute2 does, so that a namespace
// deleted in one mount namespace goes away in all of them.
func prepareDir() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if err == nil {
		return nil
	}
	if err != unix.EINVAL { // EINVAL: not a mount point yet
		return os.NewSyscallError("mount", err)
	}
	if err := unix.Mount(Dir, Dir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	return os.NewSyscallError("mount", unix.Mount("", Dir, "none", unix.MS_SHARED|unix.MS_REC, ""))
}

// prepareNamespace sets the defaults of the calling thread's namespace.
func prepareNamespace() error {
	for _, s := range [][2]string{
		{"net.ipv6.conf.all.disable_ipv6", "0"},
		{"net.ipv6.conf.default.disable_ipv6", "0"},
		{"net.ipv6.conf.all.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_dad", "0"},
		{"net.ipv6.conf.default.dad_transmits", "0"},
		{"net.ipv6.conf.all.accept_ra", "0"},
		{"net.ipv6.conf.default.accept_ra", "0"},
		{"net.ipv6.conf.default.autoconf", "0"},
	} {
		if err := writeSysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	return loopbackUp()
}

// Delete removes the namespace's name. The kernel destroys the namespace with
// its devices when the last process in it is gone too. Deleting a name that is
// absent is no error.
func Delete(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	path := Path(name)
	// EINVAL: a file without a mount, left by a crash between the two steps
	// of Create; EBUSY cannot happen with a lazy unmount.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("netplumb: delete %s: %w", name, os.NewSyscallError("umount", err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("netplumb: delete %s: %w", name, err)
	}
	return nil
}

// Exists reports whether a namespace (or the remains of one) has that name.
func Exists(name string) bool {
	_, err := os.Lstat(Path(name))
	return err == nil
}

// Names returns the names of all namespaces of this machine, sorted.
func Names() ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("netplumb: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// openFile opens the namespace file for setns and netlink; the caller closes it.
func openFile(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	f, err := os.Open(Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("netplumb: %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("netplumb: %w", err)
	}
	return f, nil
}

// Do runs fn with the calling goroutine replaced by one that is locked to a
// thread inside the namespace, and returns its error. Sockets that fn opens
// stay in the namespace for good; goroutines that fn starts do not run in it.
func Do(name string, fn func() error) error {
	f, err := openFile(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return onThrowawayThread(func() error {
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netplumb: enter %s: %w", name, os.NewSyscallError("setns", err))
		}
		return fn()
	})
}

// onThrowawayThread runs fn on a thread that ends with it: the goroutine exits
// while locked, so the runtime never reuses a thread whose namespaces changed.
func onThrowawayThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

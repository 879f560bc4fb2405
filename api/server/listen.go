package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrInUse: another program answers on the socket.
var ErrInUse = errors.New("another program answers on this socket")

// umaskMu serialises changes of the process's umask among our own.
var umaskMu sync.Mutex

// listen makes a unix socket of mode 0600 at path. A socket that is there and
// answers is ErrInUse; one that nobody answers is removed, as are none of other
// kinds of file.
func listen(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode must hold from the first moment: chmod after bind would leave a
	// gap. umask belongs to the whole process; files that others make in these
	// microseconds get fewer rights, never more.
	umaskMu.Lock()
	defer umaskMu.Unlock()
	old := syscall.Umask(0o177)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // Close looks first whose it is
	return l, nil
}

// removeStale removes the socket at path if nobody answers on it.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	// Only a refusal proves that nobody listens; a full backlog (EAGAIN) or
	// missing rights do not.
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is there and its owner can't be asked: %w", path, err)
	}
	return os.Remove(path)
}

// sameFile reports whether the file at path is still st.
func sameFile(path string, st os.FileInfo) bool {
	now, err := os.Lstat(path)
	return err == nil && os.SameFile(st, now)
}

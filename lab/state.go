package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrBusy is wrapped when another up, down, start or stop of the lab runs.
var ErrBusy = errors.New("another command works on this lab")

// ErrNotUp is wrapped when an operation needs a lab that is up.
var ErrNotUp = errors.New("lab is not up")

// stateVersion is that of the state file's format.
const stateVersion = 1

// Phase is how far a lab is.
type Phase string

// The phases of a lab.
const (
	PhaseAbsent    Phase = "absent"    // nothing is there
	PhaseCreating  Phase = "creating"  // Up is at work, or was killed
	PhaseUp        Phase = "up"        // complete
	PhaseExtending Phase = "extending" // Extend is at work, or was killed
	PhaseRemoving  Phase = "removing"  // Down is at work, or was killed
)

// state is the state file. What it lists may exist; what it does not list was
// not made by the lab. It is written before each resource is made.
type state struct {
	Version    int            `json:"version"`
	Lab        string         `json:"lab"`
	Topology   string         `json:"topology,omitempty"`   // file, for people
	Extensions []string       `json:"extensions,omitempty"` // files, for people, in order
	Phase      Phase          `json:"phase"`
	Boot       string         `json:"boot"`  // kernel boot id: process numbers are its
	Token      string         `json:"token"` // in the environment of every process of the lab
	Namespaces []nodeState    `json:"namespaces"`
	Processes  []processState `json:"processes"`
}

// nodeState is a node's namespace.
type nodeState struct {
	Node      string `json:"node"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
}

// processState is a process. PID is 0 from the moment before the start until
// just after it, and after a stop.
type processState struct {
	Node    string   `json:"node"`
	Name    string   `json:"name"`
	Command []string `json:"command"`
	PID     int      `json:"pid"`
	Start   uint64   `json:"start"` // clock ticks since boot
	Stopped bool     `json:"stopped,omitempty"`
}

// process returns the record of a process, nil when there is none.
func (s *state) process(node, name string) *processState {
	for i := range s.Processes {
		if p := &s.Processes[i]; p.Node == node && p.Name == name {
			return p
		}
	}
	return nil
}

// namespace returns the namespace of a node, empty when there is none.
func (s *state) namespace(node string) string {
	for _, n := range s.Namespaces {
		if n.Node == node {
			return n.Namespace
		}
	}
	return ""
}

// statePath is the state file of the run directory dir.
func statePath(dir string) string { return filepath.Join(dir, "state.json") }

// readState reads the state file. Without one it returns nil and no error.
func readState(dir string) (*state, error) {
	b, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("lab: %s: %w", statePath(dir), err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("lab: %s: version %d, want %d", statePath(dir), s.Version, stateVersion)
	}
	return s, nil
}

// write replaces the state file, whole or not at all.
func (s *state) write(dir string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return replaceFile(statePath(dir), append(b, '\n'))
}

// replaceFile writes a file of mode 0600, whole or not at all.
func replaceFile(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// bootID returns the id of this boot of the kernel.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// lock is an exclusive lock on a run directory. The kernel drops it when the
// process dies.
type lock struct{ f *os.File }

// lockDir locks dir, making it (mode 0700) when create is set. Without create
// and without dir it returns nil and no error. Error: ErrBusy.
func lockDir(dir string, create bool) (*lock, error) {
	for {
		if create {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return nil, fmt.Errorf("lab: %w", err)
			}
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if create {
				continue // removed in between
			}
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
			if err == unix.EWOULDBLOCK {
				return nil, fmt.Errorf("lab: %s: %w", dir, ErrBusy)
			}
			return nil, fmt.Errorf("lab: lock %s: %w", dir, err)
		}
		// The directory may have been removed, and made anew, before the lock.
		have, err1 := f.Stat()
		now, err2 := os.Stat(dir)
		if err1 == nil && err2 == nil && os.SameFile(have, now) {
			if err := private(dir, now); err != nil {
				f.Close()
				return nil, err
			}
			return &lock{f}, nil
		}
		f.Close()
	}
}

// private refuses a directory that others may enter or own: it holds keys.
func private(dir string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("lab: %s: want a directory of mode 0700 that belongs to uid %d", dir, os.Geteuid())
	}
	return nil
}

// unlock drops the lock.
func (l *lock) unlock() { l.f.Close() }

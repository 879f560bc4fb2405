package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab/netplumb"
)

// Options says how to run a lab. The zero value is usual.
type Options struct {
	// Folder of run directories; the lab's is RunDir/NAME. Default /run/ztos-lab
	// for root, else $XDG_RUNTIME_DIR/ztos-lab.
	RunDir string
	// The ztos-engine program. Default: beside this program, then in $PATH.
	EngineBinary string
	// Arguments of the engine, given its configuration file. Default: run
	// --config FILE.
	EngineArgs func(configFile string) []string
	// Added to the environment of the engines, NAME=VALUE.
	EngineEnv []string
	// Leaves out the engines; all else is made, configurations too.
	NoEngines bool
	// How long an engine may take until its API answers. Default 20 s.
	ReadyTimeout time.Duration
	// Told of each step: step from 1 to total, and what is being done. May be
	// nil. Called on the goroutine of Up, Extend or Down.
	Progress func(step, total int, what string)
}

// Lab is one lab on this machine, up or not. Any goroutine.
type Lab struct {
	topo *Topology // nil when attached by name
	name string
	dir  string
	opts Options

	mu sync.Mutex // one of Up, Extend, Down, StartProcess, StopProcess at a time
}

// New returns the lab of a topology. It touches nothing yet.
func New(t *Topology, o Options) (*Lab, error) {
	l, err := Attach(t.Name, o)
	if err != nil {
		return nil, err
	}
	l.topo = t
	return l, nil
}

// Attach returns the lab of that name, to look at it, to run commands in it and
// to take it down, without its topology: Up refuses.
func Attach(name string, o Options) (*Lab, error) {
	if !nameRE.MatchString(name) {
		return nil, fmt.Errorf("lab: %q is not a lab's name", name)
	}
	if o.RunDir == "" {
		o.RunDir = "/run/ztos-lab"
		if x := os.Getenv("XDG_RUNTIME_DIR"); x != "" && os.Geteuid() != 0 {
			o.RunDir = filepath.Join(x, "ztos-lab")
		}
	}
	abs, err := filepath.Abs(o.RunDir)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if o.EngineArgs == nil {
		o.EngineArgs = func(file string) []string { return []string{"run", "--config", file} }
	}
	if o.ReadyTimeout == 0 {
		o.ReadyTimeout = 20 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	return &Lab{name: name, dir: filepath.Join(abs, name), opts: o}, nil
}

// Name returns the lab's name.
func (l *Lab) Name() string { return l.name }

// Dir returns the run directory. It exists while the lab does.
func (l *Lab) Dir() string { return l.dir }

// Namespace returns the name of a node's network namespace.
func (l *Lab) Namespace(node string) string { return l.name + "-" + node }

// ConfigPath returns the file with a node's engine configuration.
func (l *Lab) ConfigPath(node string) string { return l.file(node, "engine.yaml") }

// Socket returns the unix socket of a node's engine API.
func (l *Lab) Socket(node string) string { return l.file(node, "engine.sock") }

// LogPath returns the log file of a node's process.
func (l *Lab) LogPath(node, process string) string { return l.file(node, process+".log") }

// KeyPath returns the folder with the lab's key files.
func (l *Lab) KeyPath() string { return filepath.Join(l.dir, "keys") }

// file implements places.
func (l *Lab) file(node, what string) string { return filepath.Join(l.dir, node, what) }

// key implements places.
func (l *Lab) key(name string) string { return filepath.Join(l.KeyPath(), name) }

// engineBinary finds the engine program.
func (l *Lab) engineBinary() (string, error) {
	if p := l.opts.EngineBinary; p != "" {
		return exec.LookPath(p)
	}
	const name = "ztos-engine"
	if self, err := os.Executable(); err == nil {
		if p, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
			return p, nil
		}
	}
	return exec.LookPath(name)
}

// locked runs fn with the lab locked, against this and other programs. Without
// create and without a run directory it does nothing.
func (l *Lab) locked(create bool, fn func() error) error {
	if os.Geteuid() != 0 {
		return errors.New("lab: needs root: it makes network namespaces")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k, err := lockDir(l.dir, create)
	if err != nil || k == nil {
		return err
	}
	defer k.unlock()
	return fn()
}

// Down takes the lab away: its processes, namespaces and files. It works from
// the state file alone, also when Up was killed half way, and does nothing when
// there is no lab. When something cannot be removed, the state file stays and a
// later Down tries again. Error: ErrBusy.
func (l *Lab) Down(ctx context.Context) error {
	return l.locked(false, func() error { return l.remove() })
}

// remove is Down, locked. It is not interruptible: it is short, and half of it
// helps nobody.
func (l *Lab) remove() error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if s == nil { // died before the first write: only an empty directory
		return l.removeDir()
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	s.Phase = PhaseRemoving
	if err := s.write(l.dir); err != nil {
		return err
	}
	total := len(s.Namespaces) + 2
	l.opts.Progress(1, total, "end processes")
	if s.Boot == boot { // otherwise the processes died with the machine
		if err := end(s.Processes, s.Token, unix.SIGTERM); err != nil {
			return err
		}
	}
	var errs []error
	for i, n := range s.Namespaces {
		l.opts.Progress(2+i, total, "remove "+n.Namespace)
		errs = append(errs, removeNamespace(n.Namespace))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	l.opts.Progress(total, total, "remove "+l.dir)
	return l.removeDir()
}

// removeNamespace removes a namespace with its devices at once: the kernel
// would do the same a little later, or never while a process holds it.
func removeNamespace(name string) error {
	ns, err := netplumb.Open(name)
	if err == nil {
		defer ns.Close()
		devs, err := ns.Devices()
		if err != nil {
			return err
		}
		for _, d := range devs {
			if d == "lo" {
				continue
			}
			if err := ns.DeleteLink(d); err != nil {
				return err
			}
		}
	}
	// Not openable: absent, or only the name of it was made.
	return netplumb.Delete(name)
}

// removeDir removes the run directory, the state file last, so that a removal
// that was cut short is taken up again.
func (l *Lab) removeDir() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, e := range entries {
		if p := filepath.Join(l.dir, e.Name()); p != statePath(l.dir) {
			if err := os.RemoveAll(p); err != nil {
				return fmt.Errorf("lab: %w", err)
			}
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

// StopProcess ends a process of a node (EngineProcess is the engine) with
// signal, SIGKILL at last, and waits for its end. A process that is not running
// is no error. Errors: ErrNotUp, ErrBusy.
func (l *Lab) StopProcess(ctx context.Context, node, name string, signal syscall.Signal) error {
	return l.change(func(s *state) error {
		p := s.process(node, name)
		if p == nil {
			return fmt.Errorf("lab: %s: no process %q", node, name)
		}
		if err := end([]processState{*p}, s.Token+":"+node+"/"+name, signal); err != nil {
			return err
		}
		p.PID, p.Start, p.Stopped = 0, 0, true
		return s.write(l.dir)
	})
}

// StartProcess starts a process of a node again that has stopped or died, and
// waits for an engine's API. One that runs is left alone. Errors: ErrNotUp,
// ErrBusy.
func (l *Lab) StartProcess(ctx context.Context, node, name string) error {
	return l.change(func(s *state) error {
		p := s.process(node, name)
		if p == nil {
			return fmt.Errorf("lab: %s: no process %q", node, name)
		}
		if p.alive() {
			return nil
		}
		return l.start(ctx, s, *p)
	})
}

// change runs fn on the state of a lab that is up, locked.
func (l *Lab) change(fn func(s *state) error) error {
	done := false
	err := l.locked(false, func() error {
		s, err := readState(l.dir)
		if err != nil {
			return err
		}
		if s == nil || s.Phase != PhaseUp {
			return nil
		}
		done = true
		return fn(s)
	})
	if err == nil && !done {
		err = fmt.Errorf("lab: %s: %w", l.name, ErrNotUp)
	}
	return err
}

// start starts a process and, for an engine, waits until its API answers.
func (l *Lab) start(ctx context.Context, s *state, p processState) error {
	log := l.LogPath(p.Node, p.Name)
	if p.Name == EngineProcess { // left by one that was killed: it would look ready
		if err := os.Remove(l.Socket(p.Node)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("lab: %w", err)
		}
	}
	exited, err := l.spawn(s, p, log)
	if err != nil {
		return err
	}
	if p.Name != EngineProcess {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.opts.ReadyTimeout, fmt.Errorf("not after %v", l.opts.ReadyTimeout))
	defer cancel()
	if err := awaitSocket(ctx, l.Socket(p.Node), exited); err != nil {
		return fmt.Errorf("lab: %s: engine: %w; %s", p.Node, err, logTail(log))
	}
	return nil
}

// withKeys is the places of a lab that is being made.
type withKeys struct {
	*Lab
	public map[string]config.PublicKey
}

// publicKey implements places.
func (w withKeys) publicKey(node string) (config.PublicKey, error) {
	k, ok := w.public[node]
	if !ok {
		return k, fmt.Errorf("no WireGuard key for %s", node)
	}
	return k, nil
}

// Status is what is there of a lab.
type Status struct {
	Name     string `json:"name"`
	Phase    Phase  `json:"phase"`
	Topology string `json:"topology,omitempty"` // the file, as it was given to Up
	// The files that were given to Extend, in order.
	Extensions []string     `json:"extensions,omitempty"`
	Dir        string       `json:"dir"`
	Nodes      []NodeStatus `json:"nodes"`
}

// NodeStatus is what is there of a node.
type NodeStatus struct {
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	Namespace string          `json:"namespace"`
	Exists    bool            `json:"exists"`           // the namespace is there
	Socket    string          `json:"socket,omitempty"` // of the engine API; leaf and spine
	Config    string          `json:"config,omitempty"` // engine configuration; leaf and spine
	Processes []ProcessStatus `json:"processes"`
}

// ProcessStatus is what is there of a process.
type ProcessStatus struct {
	Name    string   `json:"name"`
	State   string   `json:"state"` // running, stopped (by StopProcess) or dead
	PID     int      `json:"pid"`   // 0 unless running
	Command []string `json:"command"`
	Log     string   `json:"log"`
}

// Status says what is there, from the state file and the kernel, without
// waiting for an Up or Down that is at work.
func (l *Lab) Status() (Status, error) {
	out := Status{Name: l.name, Phase: PhaseAbsent, Dir: l.dir}
	s, err := readState(l.dir)
	if err != nil || s == nil {
		return out, err
	}
	boot, err := bootID()
	if err != nil {
		return out, err
	}
	out.Phase, out.Topology, out.Extensions = s.Phase, s.Topology, s.Extensions
	for _, n := range s.Namespaces {
		ns := NodeStatus{Name: n.Node, Kind: n.Kind, Namespace: n.Namespace, Exists: netplumb.Exists(n.Namespace)}
		if n.Kind == Leaf.String() || n.Kind == Spine.String() {
			ns.Socket, ns.Config = l.Socket(n.Node), l.ConfigPath(n.Node)
		}
		for i := range s.Processes {
			p := &s.Processes[i]
			if p.Node != n.Node {
				continue
			}
			ps := ProcessStatus{Name: p.Name, State: "dead", Command: slices.Clone(p.Command), Log: l.LogPath(p.Node, p.Name)}
			switch {
			case p.Stopped:
				ps.State = "stopped"
			case s.Boot == boot && p.alive():
				ps.State, ps.PID = "running", p.PID
			}
			ns.Processes = append(ns.Processes, ps)
		}
		out.Nodes = append(out.Nodes, ns)
	}
	return out, nil
}

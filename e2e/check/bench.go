package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/lab/netplumb"
)

// Bench is a lab that is up, with what checks need to know of it. One check at
// a time.
type Bench struct {
	Lab  *lab.Lab
	Topo *lab.Topology
	// Told what a check is doing now; may be nil. Called from any goroutine.
	Note func(string)
	// Ctl is the ztosctl program; empty where no check runs it.
	Ctl string

	mu    sync.Mutex
	nodes map[string]*node // API connections, by node
}

// New returns the bench of a lab. Close it.
func New(l *lab.Lab, t *lab.Topology) *Bench {
	return &Bench{Lab: l, Topo: t, nodes: map[string]*node{}}
}

// Close closes the connections to the engines.
func (b *Bench) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, n := range b.nodes {
		n.close()
		delete(b.nodes, name)
	}
}

func (b *Bench) note(format string, args ...any) {
	if b.Note != nil {
		b.Note(fmt.Sprintf(format, args...))
	}
}

// in runs fn on a thread inside the node's namespace. Sockets that it opens stay
// there; goroutines that it starts do not run there.
func (b *Bench) in(node string, fn func() error) error {
	return netplumb.Do(b.Lab.Namespace(node), fn)
}

// run runs a command in a node and returns what it printed on either stream.
func (b *Bench) run(ctx context.Context, node string, argv ...string) (string, error) {
	cmd, err := b.Lab.Command(ctx, node, argv...)
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w: %s", node, strings.Join(argv, " "), err, tail(string(out), 300))
	}
	return string(out), err
}

// tail returns the last n bytes of s on one line.
func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	return strings.Join(strings.Fields(s[max(0, len(s)-n):]), " ")
}

// Engines returns the names of the nodes that run an engine.
func (b *Bench) Engines() []string {
	var out []string
	for i := range b.Topo.Nodes {
		if n := &b.Topo.Nodes[i]; n.Kind.Engine() {
			out = append(out, n.Name)
		}
	}
	return out
}

// kind returns the names of the nodes of a kind.
func (b *Bench) kind(k lab.Kind) []string {
	var out []string
	for i := range b.Topo.Nodes {
		if n := &b.Topo.Nodes[i]; n.Kind == k {
			out = append(out, n.Name)
		}
	}
	return out
}

// hostNode returns a host's node, or an error that names it.
func (b *Bench) hostNode(name string) (*lab.Node, error) {
	n, ok := b.Topo.Node(name)
	if !ok || n.Host == nil {
		return nil, fmt.Errorf("check: no host %q in topology %s", name, b.Topo.Name)
	}
	return n, nil
}

// addr returns a host's address of a family, invalid when it has none.
func addr(n *lab.Node, v6 bool) netip.Addr {
	for _, p := range n.Host.Addresses {
		if p.Addr().Is6() == v6 {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// pairs calls fn for each ordered pair of hosts of one tenant.
func (b *Bench) pairs(fn func(tenant string, from, to *lab.Node)) {
	for _, t := range b.Topo.Tenants {
		hosts := b.Topo.Hosts(t.Name)
		for _, from := range hosts {
			for _, to := range hosts {
				if from != to {
					fn(t.Name, from, to)
				}
			}
		}
	}
}

// bounded runs the jobs, at most n at a time, and returns all of their errors.
func bounded(n int, jobs []func() error) error {
	errs := make([]error, len(jobs))
	slots := make(chan struct{}, n)
	var wg sync.WaitGroup
	for i, job := range jobs {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = job()
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// eventually calls try until it returns nil or the time is over, and returns its
// last error. The first call is at once.
func eventually(ctx context.Context, most time.Duration, try func() error) error {
	deadline := time.Now().Add(most)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := try()
		if err == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// pause waits; it ends early with ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// enginePID returns the process id of a node's engine, 0 when it does not run.
func (b *Bench) enginePID(node string) (int, error) {
	st, err := b.Lab.Status()
	if err != nil {
		return 0, err
	}
	for _, n := range st.Nodes {
		if n.Name != node {
			continue
		}
		i := slices.IndexFunc(n.Processes, func(p lab.ProcessStatus) bool { return p.Name == lab.EngineProcess })
		if i >= 0 {
			return n.Processes[i].PID, nil
		}
	}
	return 0, fmt.Errorf("check: no engine on %s", node)
}

// Signals that checks end processes with.
const (
	sigterm = syscall.SIGTERM
	sigkill = syscall.SIGKILL
)

// startEngine starts a node's engine again. One that was killed a moment ago may
// still hold its sockets, while its threads end: then it tries again.
func (b *Bench) startEngine(ctx context.Context, name string) error {
	var err error
	for range 20 {
		err = b.Lab.StartProcess(ctx, name, lab.EngineProcess)
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
	return err
}

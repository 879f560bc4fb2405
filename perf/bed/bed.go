package bed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/lab/netplumb"
)

// The nodes of the row, as the standard lab calls them.
const (
	H1     = "red1"
	Leaf1  = "leaf1"
	Spine1 = "spine1"
	Leaf2  = "leaf2"
	H2     = "red2"
)

// DefaultName is the lab's name unless Options say another, so that it does not
// meet a lab of another purpose.
const DefaultName = "perf"

// Options say how to make a bed.
type Options struct {
	Name     string // of the lab; DefaultName when empty. One bed of a name at a time
	Topology string // file of the lab: the standard one, or one with the same row
	Engine   string // path of ztos-engine; empty: no engines
	// EngineEnv is added to the environment of the engines, NAME=VALUE.
	EngineEnv []string
	LogDir    string // folder for the output of processes; made, its *.log files removed
	// Edit may change the topology before it is built; nil for nothing.
	Edit func(*lab.Topology)
}

// Bed is a test bed that stands. Any goroutine.
type Bed struct {
	Topology *lab.Topology

	lab  *lab.Lab
	logs string
	// ctx ends with Close and ends the processes that were started.
	ctx    context.Context
	cancel context.CancelFunc
	// running counts processes: their devices are gone when it is zero.
	running sync.WaitGroup
}

// Open brings the lab up. Close the bed whatever happens after.
func Open(ctx context.Context, o Options) (*Bed, error) {
	topo, err := lab.Load(o.Topology)
	if err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	topo.Name = cmp.Or(o.Name, DefaultName)
	if o.Edit != nil {
		o.Edit(topo)
	}
	if err := os.MkdirAll(o.LogDir, 0o755); err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(o.LogDir, "*.log"))
	if err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return nil, fmt.Errorf("bed: %w", err)
		}
	}
	l, err := lab.New(topo, lab.Options{EngineBinary: o.Engine, EngineEnv: o.EngineEnv, NoEngines: o.Engine == ""})
	if err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	// Of a run that was killed; nothing otherwise.
	if err := l.Down(ctx); err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	if err := l.Up(ctx); err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	b := &Bed{Topology: topo, lab: l, logs: o.LogDir}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if err := b.route(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// route lets the kernels of the row forward, for those who use them, and the
// leaves reach each other's underlay address through spine1.
func (b *Bed) route(ctx context.Context) error {
	for _, node := range []string{Leaf1, Spine1, Leaf2} {
		err := b.inside(node, func(ns *netplumb.Namespace) error {
			return ns.SetSysctl("net.ipv4.ip_forward", "1")
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(
		b.Run(ctx, Leaf1, "ip route add %s via %s", b.Underlay(Leaf2, Spine1), b.Underlay(Spine1, Leaf1)),
		b.Run(ctx, Leaf2, "ip route add %s via %s", b.Underlay(Leaf1, Spine1), b.Underlay(Spine1, Leaf2)))
}

// Dir returns the lab's run directory: a short path, where modes may keep keys
// and sockets in folders of their own. Close removes it.
func (b *Bed) Dir() string { return b.lab.Dir() }

// Underlay returns the IPv4 address that node has on its link to peer; the zero
// Addr when there is none.
func (b *Bed) Underlay(node, peer string) netip.Addr {
	for _, l := range b.Topology.Links {
		for i, e := range l.Ends {
			if e.At.Node != node || l.Ends[1-i].At.Node != peer {
				continue
			}
			for _, p := range e.Addresses {
				if p.Addr().Is4() {
					return p.Addr()
				}
			}
		}
	}
	return netip.Addr{}
}

// Tenant returns the first IPv4 address that a host has as a tenant.
func (b *Bed) Tenant(host string) netip.Addr {
	n, ok := b.Topology.Node(host)
	if !ok || n.Host == nil {
		return netip.Addr{}
	}
	for _, p := range n.Host.Addresses {
		if p.Addr().Is4() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// UnderlayMTU returns the MTU of the link between leaf1 and spine1, bytes.
func (b *Bed) UnderlayMTU() int {
	for _, l := range b.Topology.Links {
		if l.Ends[0].At.Node == Spine1 && l.Ends[1].At.Node == Leaf1 ||
			l.Ends[0].At.Node == Leaf1 && l.Ends[1].At.Node == Spine1 {
			return l.MTU
		}
	}
	return 0
}

// AddHostLink makes a veth pair between a host and a leaf, called dev at both
// ends, of that MTU, up, with the offloads that a veth device has by default.
func (b *Bed) AddHostLink(host, leaf, dev string, mtu int) error {
	return b.inside(host, func(h *netplumb.Namespace) error {
		return b.inside(leaf, func(l *netplumb.Namespace) error {
			end := netplumb.End{Dev: dev}
			if err := h.AddVeth(end, l, end, mtu); err != nil {
				return err
			}
			return errors.Join(h.SetUp(dev, true), l.SetUp(dev, true))
		})
	})
}

// SetOffloads switches what a host's device does for its sender: checksums,
// scatter-gather, TSO and GSO. Off, every frame that the host sends is complete
// and at most MTU sized. Its receive side and the far end of its cable keep what
// they have by default.
func (b *Bed) SetOffloads(host, dev string, on bool) error {
	return b.inside(host, func(ns *netplumb.Namespace) error { return ns.SetTXOffloads(dev, on) })
}

// inside opens a node's namespace for the time of fn.
func (b *Bed) inside(node string, fn func(*netplumb.Namespace) error) error {
	ns, err := netplumb.Open(b.lab.Namespace(node))
	if err != nil {
		return fmt.Errorf("bed: %w", err)
	}
	defer ns.Close()
	if err := fn(ns); err != nil {
		return fmt.Errorf("bed: %w", err)
	}
	return nil
}

// Run formats a command of words, runs it in node and waits for it. Its output
// is in the error if it fails.
func (b *Bed) Run(ctx context.Context, node, format string, args ...any) error {
	argv := strings.Fields(fmt.Sprintf(format, args...))
	cmd, err := b.lab.Command(ctx, node, argv...)
	if err != nil {
		return fmt.Errorf("bed: %w", err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bed: %s: %s: %w: %s", node, strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Output runs a command in node and returns what it printed on its standard
// output, also when it fails. The end of its standard error is in the error.
func (b *Bed) Output(ctx context.Context, node string, argv ...string) ([]byte, error) {
	cmd, err := b.lab.Command(ctx, node, argv...)
	if err != nil {
		return nil, fmt.Errorf("bed: %w", err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		text := strings.TrimSpace(said.String())
		return out, fmt.Errorf("bed: %s: %s: %w: %s", node, strings.Join(argv, " "), err, text[max(0, len(text)-300):])
	}
	return out, nil
}

// Dial connects to a literal address as seen from node. The connection is
// usable from anywhere.
func (b *Bed) Dial(ctx context.Context, node, network, address string) (conn net.Conn, err error) {
	err = netplumb.Do(b.lab.Namespace(node), func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// EngineLog returns the path of the log of a node's engine. It is gone after
// Close.
func (b *Bed) EngineLog(node string) string { return b.lab.LogPath(node, lab.EngineProcess) }

// Socket returns the path of the API socket of a node's engine.
func (b *Bed) Socket(node string) string { return b.lab.Socket(node) }

// Close ends everything that was started and takes the lab down. Engine logs
// are kept in the log folder.
func (b *Bed) Close() error {
	b.cancel()
	b.running.Wait()
	var errs []error
	for _, node := range []string{Leaf1, Spine1, Leaf2} {
		text, err := os.ReadFile(b.EngineLog(node))
		if errors.Is(err, os.ErrNotExist) {
			continue // no engines
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(b.logs, node+".log"), text, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, b.lab.Down(context.Background()))...)
}

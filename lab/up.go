package lab

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab/netplumb"
)

// Up makes the lab. Remains of an Up or Down that was cut short are removed
// first; a lab that is up is an error. When Up fails or ctx ends, everything it
// made is removed again. Errors: ErrBusy, the cause of ctx.
func (l *Lab) Up(ctx context.Context) error {
	if l.topo == nil {
		return fmt.Errorf("lab: %s: up needs the topology", l.name)
	}
	engine := ""
	if !l.opts.NoEngines {
		for i := range l.topo.Nodes {
			if l.topo.Nodes[i].Kind.Engine() && engine == "" {
				var err error
				if engine, err = l.engineBinary(); err != nil {
					return fmt.Errorf("lab: ztos-engine: %w", err)
				}
			}
		}
	}
	return l.locked(true, func() error {
		if err := l.clean(); err != nil {
			return err
		}
		b := builder{Lab: l, topo: l.topo, engine: engine, open: map[string]*netplumb.Namespace{}}
		err := b.up(ctx)
		b.close()
		if err != nil {
			return errors.Join(err, l.remove())
		}
		return nil
	})
}

// clean removes what an Up or Down left that did not end, and refuses a lab
// that is up or namespaces that belong to somebody else.
func (l *Lab) clean() error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if s != nil {
		boot, err := bootID()
		if err != nil {
			return err
		}
		if s.Phase == PhaseUp && s.Boot == boot {
			return fmt.Errorf("lab: %s is up already", l.name)
		}
		if err := l.remove(); err != nil {
			return err
		}
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	for i := range l.topo.Nodes {
		if ns := l.Namespace(l.topo.Nodes[i].Name); netplumb.Exists(ns) {
			return errors.Join(fmt.Errorf("lab: namespace %s exists and is not this lab's", ns), l.removeDir())
		}
	}
	return nil
}

// builder is the work of one Up or Extend.
type builder struct {
	*Lab
	topo   *Topology // what is to be there at the end
	have   Topology  // of it, what is there already; an Extend's
	engine string    // program; empty for none
	state  *state
	open   map[string]*netplumb.Namespace // by node
	told   []string                       // engines that were there and may have read what is new
	steps  []step
}

// step is one piece of work and what people are told of it.
type step struct {
	what string
	do   func(ctx context.Context) error
}

// add appends a step.
func (b *builder) add(do func(ctx context.Context) error, format string, args ...any) {
	b.steps = append(b.steps, step{fmt.Sprintf(format, args...), do})
}

// up makes the whole lab.
func (b *builder) up(ctx context.Context) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	b.state = &state{
		Version: stateVersion, Lab: b.name, Topology: b.topo.file, Phase: PhaseCreating,
		Boot: boot, Token: hex.EncodeToString(random(16)),
	}
	if err := b.state.write(b.dir); err != nil {
		return err
	}
	b.plan()
	if err := b.run(ctx); err != nil {
		return err
	}
	b.state.Phase = PhaseUp
	return b.state.write(b.dir)
}

// run does all steps in order.
func (b *builder) run(ctx context.Context) error {
	for i, s := range b.steps {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("lab: %s: %w", s.what, err)
		}
		b.opts.Progress(i+1, len(b.steps), s.what)
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fresh returns the nodes that are not there yet.
func (b *builder) fresh() []Node { return b.topo.Nodes[len(b.have.Nodes):] }

// plan lists the steps: files, namespaces, links, hosts, commands, processes. It
// leaves out what is there, but for engines whose configuration may change.
func (b *builder) plan() {
	nodes, links := b.fresh(), b.topo.Links[len(b.have.Links):]
	b.add(b.files, "write keys and configurations")
	for i := range nodes {
		n := &nodes[i]
		b.add(func(context.Context) error { return b.node(n) }, "make %s %s", n.Kind, n.Name)
	}
	for i := range links {
		k := &links[i]
		b.add(func(context.Context) error { return b.link(k) }, "link %s and %s", k.Ends[0].At, k.Ends[1].At)
	}
	for i := range nodes {
		if n := &nodes[i]; n.Host != nil {
			b.add(func(context.Context) error { return b.host(n) }, "attach %s to %s", n.Name, n.Host.Port)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if n.Forward || len(n.Routes) > 0 || len(n.Setup) > 0 {
			b.add(func(ctx context.Context) error { return b.setup(ctx, n) }, "set up %s", n.Name)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if b.engine != "" && n.Kind.Engine() {
			argv := append([]string{b.engine}, b.opts.EngineArgs(b.ConfigPath(n.Name))...)
			b.process(n.Name, EngineProcess, argv)
		}
	}
	// Last, so that new engines that do not start leave these alone.
	for i := range b.have.Nodes {
		if n := &b.have.Nodes[i]; b.engine != "" && n.Kind.Engine() {
			b.add(func(ctx context.Context) error { return b.reload(ctx, n.Name) }, "tell %s", n.Name)
		}
	}
	for i := range nodes {
		n := &nodes[i]
		for _, p := range n.Processes {
			b.process(n.Name, p.Name, p.Command)
		}
	}
}

// process plans the start of a process.
func (b *builder) process(node, name string, argv []string) {
	b.add(func(ctx context.Context) error {
		return b.start(ctx, b.state, processState{Node: node, Name: name, Command: argv})
	}, "start %s in %s", name, node)
}

// files makes the folders, the keys and the engine configurations. Those that are
// there already are replaced, whole or not at all.
func (b *builder) files(context.Context) error {
	if err := os.Mkdir(b.KeyPath(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("lab: %w", err)
	}
	if b.have.Nodes == nil {
		if err := b.topo.keep(b.dir); err != nil {
			return err
		}
	}
	public, err := b.topo.makeKeys(b.KeyPath())
	if err != nil {
		return err
	}
	for _, n := range b.fresh() {
		if err := os.Mkdir(filepath.Join(b.dir, n.Name), 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
		if !n.Kind.Engine() {
			continue
		}
		if err := os.Mkdir(b.file(n.Name, "state"), 0o700); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	for i := range b.topo.Nodes {
		n := &b.topo.Nodes[i]
		if !n.Kind.Engine() {
			continue
		}
		doc, err := b.topo.nodeConfig(n, withKeys{b.Lab, public})
		if err != nil {
			return fmt.Errorf("lab: engine configuration of %s: %w", n.Name, err)
		}
		if err := replaceFile(b.ConfigPath(n.Name), doc); err != nil {
			return err
		}
	}
	return nil
}

// node makes a node's namespace.
func (b *builder) node(n *Node) error {
	name := b.Namespace(n.Name)
	b.state.Namespaces = append(b.state.Namespaces, nodeState{n.Name, n.Kind.String(), name})
	if err := b.state.write(b.dir); err != nil {
		return err
	}
	if err := netplumb.Create(name); err != nil {
		if errors.Is(err, netplumb.ErrExists) { // somebody else's, made just now
			b.state.Namespaces = b.state.Namespaces[:len(b.state.Namespaces)-1]
			return errors.Join(err, b.state.write(b.dir))
		}
		return err
	}
	ns, err := netplumb.Open(name)
	if err != nil {
		return err
	}
	b.open[n.Name] = ns
	return nil
}

// close closes the open namespaces.
func (b *builder) close() {
	for _, ns := range b.open {
		ns.Close()
	}
}

// link makes a link of the underlay.
func (b *builder) link(k *Link) error {
	x, y := &k.Ends[0], &k.Ends[1]
	if err := b.open[x.At.Node].AddVeth(netplumb.End{Dev: x.At.Dev}, b.open[y.At.Node], netplumb.End{Dev: y.At.Dev}, k.MTU); err != nil {
		return err
	}
	for _, e := range []*End{x, y} {
		ns := b.open[e.At.Node]
		if err := b.bring(ns, e.At.Dev, k.Offloads, e.Addresses); err != nil {
			return err
		}
	}
	return nil
}

// bring sets a device's offloads, brings it up and gives it addresses.
func (b *builder) bring(ns *netplumb.Namespace, dev string, offloads config.Switch, addrs []netip.Prefix) error {
	if !offloads.On() {
		if err := ns.SetOffloads(dev, false); err != nil {
			return err
		}
	}
	if err := ns.SetUp(dev, true); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := ns.AddAddr(dev, a); err != nil {
			return err
		}
	}
	return nil
}

// hostDev is the interface of a host that has its addresses.
const hostDev = "eth0"

// host makes a host's cable, its interface and its default routes.
func (b *builder) host(n *Node) error {
	h := n.Host
	ns, far := b.open[n.Name], b.open[h.Port.Node]
	cable := hostDev
	if h.VLAN != 0 {
		cable = "trunk0"
	}
	if err := ns.AddVeth(netplumb.End{Dev: cable, MAC: hardwareAddr(h.MAC)}, far, netplumb.End{Dev: h.Port.Dev}, h.MTU); err != nil {
		return err
	}
	if h.VLAN != 0 {
		if !h.Offloads.On() { // of the wire, before a VLAN device copies them
			if err := ns.SetOffloads(cable, false); err != nil {
				return err
			}
		}
		if err := ns.AddTagged(hostDev, cable, int(h.VLAN), h.MTU); err != nil {
			return err
		}
	}
	if err := b.bring(ns, hostDev, h.Offloads, h.Addresses); err != nil {
		return err
	}
	for _, g := range h.Gateways {
		zero := netip.IPv4Unspecified()
		if g.Is6() {
			zero = netip.IPv6Unspecified()
		}
		if err := ns.AddRoute(netip.PrefixFrom(zero, 0), g); err != nil {
			return err
		}
	}
	// On a leaf, only the engine speaks on a tenant port.
	if leaf, ok := b.topo.Node(h.Port.Node); ok && leaf.Kind == Leaf {
		if err := far.SetSilent(h.Port.Dev); err != nil {
			return err
		}
	}
	return b.bring(far, h.Port.Dev, h.Offloads, nil)
}

// hardwareAddr returns m for the kernel, nil for none.
func hardwareAddr(m table.MAC) net.HardwareAddr {
	if m == 0 {
		return nil
	}
	a := make(net.HardwareAddr, 6)
	m.Put(a)
	return a
}

// setupTimeout is how long one setup command may take.
const setupTimeout = 30 * time.Second

// setup turns forwarding on, adds routes and runs the setup commands.
func (b *builder) setup(ctx context.Context, n *Node) error {
	ns := b.open[n.Name]
	if n.Forward {
		for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
			if err := ns.SetSysctl(key, "1"); err != nil {
				return err
			}
		}
	}
	for _, r := range n.Routes {
		if err := ns.AddRoute(r.To, r.Via); err != nil {
			return err
		}
	}
	for _, argv := range n.Setup {
		ctx, cancel := context.WithTimeout(ctx, setupTimeout)
		cmd, err := b.Command(ctx, n.Name, argv...)
		var out []byte
		if err == nil {
			out, err = cmd.CombinedOutput()
		}
		cancel()
		if err != nil {
			return fmt.Errorf("lab: %s: %q: %w: %s", n.Name, argv, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

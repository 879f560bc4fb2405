package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/lab/netplumb"
)

// reloadTimeout is how long an engine may take to apply its new configuration.
const reloadTimeout = 20 * time.Second

// Extend adds what an extension document has (see Topology.Extended) to a lab that
// is up, and returns the topology that it has then. Engines that are there are
// told, by their API, to read their new configurations; they go on forwarding.
// file is what faults call the document. After an error the lab is as it was; after
// a crash it is to be taken down. Errors: config.Faults, ErrNotUp, ErrBusy, the
// cause of ctx.
func (l *Lab) Extend(ctx context.Context, data []byte, file string) (next *Topology, err error) {
	err = l.change(func(s *state) error {
		have, err := l.current(s)
		if err != nil {
			return err
		}
		if next, err = have.Extended(data, file); err != nil {
			return err
		}
		u, err := l.undo(s)
		if err != nil {
			return err
		}
		b := builder{Lab: l, topo: next, have: *have, engine: s.engine(), state: s, open: map[string]*netplumb.Namespace{}}
		defer b.close()
		if err := b.extend(ctx, data, file); err != nil {
			return errors.Join(err, u.do(context.WithoutCancel(ctx), &b))
		}
		if l.topo != nil {
			l.topo = next
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return next, nil
}

// engine returns the engines' program, empty when there are none.
func (s *state) engine() string {
	i := slices.IndexFunc(s.Processes, func(p processState) bool { return p.Name == EngineProcess })
	if i < 0 {
		return ""
	}
	return s.Processes[i].Command[0]
}

// extend makes what is new.
func (b *builder) extend(ctx context.Context, data []byte, file string) error {
	b.state.Phase = PhaseExtending
	if err := b.state.write(b.dir); err != nil {
		return err
	}
	for _, n := range b.state.Namespaces {
		ns, err := netplumb.Open(n.Namespace)
		if err != nil {
			return err
		}
		b.open[n.Node] = ns
	}
	b.plan()
	if err := b.run(ctx); err != nil {
		return err
	}
	if err := replaceFile(b.file("", extensionFile(len(b.state.Extensions))), data); err != nil {
		return err
	}
	b.state.Extensions = append(b.state.Extensions, file)
	b.state.Phase = PhaseUp
	return b.state.write(b.dir)
}

// reload has an engine read its configuration. One that does not run will when it
// starts.
func (b *builder) reload(ctx context.Context, node string) error {
	if p := b.state.process(node, EngineProcess); p == nil || !p.alive() {
		return nil
	}
	c, err := client.Dial(b.Socket(node))
	if err != nil {
		return fmt.Errorf("lab: %s: %w", node, err)
	}
	defer c.Close()
	b.told = append(b.told, node)
	ctx, cancel := context.WithTimeoutCause(ctx, reloadTimeout, fmt.Errorf("not after %v", reloadTimeout))
	defer cancel()
	if _, err := c.Reload(ctx); err != nil {
		return fmt.Errorf("lab: %s: reload: %w", node, err)
	}
	return nil
}

// undo is what a lab was before an Extend.
type undo struct {
	namespaces, processes int // of the state, how many
	keys                  map[string]bool
	configs               map[string][]byte // of engines, by node
}

// undo notes what is there.
func (l *Lab) undo(s *state) (u undo, err error) {
	u = undo{len(s.Namespaces), len(s.Processes), map[string]bool{}, map[string][]byte{}}
	entries, err := os.ReadDir(l.KeyPath())
	if err != nil {
		return u, fmt.Errorf("lab: %w", err)
	}
	for _, e := range entries {
		u.keys[e.Name()] = true
	}
	for _, n := range s.Namespaces {
		if n.Kind != Leaf.String() && n.Kind != Spine.String() {
			continue
		}
		if u.configs[n.Node], err = os.ReadFile(l.ConfigPath(n.Node)); err != nil {
			return u, fmt.Errorf("lab: %w", err)
		}
	}
	return u, nil
}

// do takes away what b has made. It goes on after errors and returns all; then the
// lab is left for Down.
func (u undo) do(ctx context.Context, b *builder) error {
	s := b.state
	var errs []error
	for _, p := range s.Processes[u.processes:] {
		errs = append(errs, end([]processState{p}, s.Token+":"+p.Node+"/"+p.Name, unix.SIGTERM))
	}
	for _, n := range s.Namespaces[u.namespaces:] {
		if ns := b.open[n.Node]; ns != nil {
			ns.Close() // which would keep the namespace
			delete(b.open, n.Node)
		}
		errs = append(errs, removeNamespace(n.Namespace))
	}
	for _, n := range b.fresh() {
		errs = append(errs, os.RemoveAll(b.file(n.Name, "")))
	}
	errs = append(errs, u.unlink(b))
	for _, node := range slices.Sorted(maps.Keys(u.configs)) {
		errs = append(errs, replaceFile(b.ConfigPath(node), u.configs[node]))
		if slices.Contains(b.told, node) {
			errs = append(errs, b.reload(ctx, node))
		}
	}
	entries, err := os.ReadDir(b.KeyPath())
	errs = append(errs, err)
	for _, e := range entries {
		if !u.keys[e.Name()] {
			errs = append(errs, os.Remove(b.key(e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lab: undo: %w", err)
	}
	s.Namespaces, s.Processes = s.Namespaces[:u.namespaces], s.Processes[:u.processes]
	s.Phase = PhaseUp
	return s.write(b.dir)
}

// unlink removes new links between nodes that stay; the others have gone with the
// node at one of their ends.
func (u undo) unlink(b *builder) error {
	for _, k := range b.topo.Links[len(b.have.Links):] {
		for _, e := range k.Ends {
			if ns := b.open[e.At.Node]; ns != nil {
				if err := ns.DeleteLink(e.At.Dev); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

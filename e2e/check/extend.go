package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

// Extend is the result of Bench.Extend.
type Extend struct {
	Nodes   int `json:"nodes"`   // added
	Tenants int `json:"tenants"` // added
	// From the first step until every host reaches its tenant's others, the new
	// ones among them, milliseconds.
	Took    float64  `json:"took_ms"`
	Streams []Stream `json:"streams"` // that ran meanwhile
}

// extendRate is of each stream, datagrams a second.
const extendRate = 1000

// Extend adds what the extension file has to the lab while every tenant's hosts
// send numbered datagrams: none may be lost. Before that, a document that does not
// fit must be refused, and an extension that ends half way must be taken back. The
// bench knows the extended lab afterwards.
func (b *Bench) Extend(ctx context.Context, file string) (r Extend, err error) {
	data, err := lab.ReadFile(file)
	if err != nil {
		return r, err
	}
	// What was done to the lab before must be over.
	if err := b.AwaitReach(ctx, evpnMost); err != nil {
		return r, err
	}
	if _, err := b.Found(ctx); err != nil {
		return r, err
	}
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	var streams []*numbered
	for _, t := range b.Topo.Tenants {
		h := b.Topo.Hosts(t.Name)
		for i := range h {
			s, err := b.stream(h[i].Name, h[(i+1)%len(h)].Name, extendRate, 300, 0)
			if err != nil {
				return r, errors.Join(err, stopStreams(streams, &r))
			}
			streams = append(streams, s)
		}
	}
	for _, s := range streams {
		err = errors.Join(err, s.flowing(ctx, 200, 5*time.Second))
	}
	if err == nil {
		err = errors.Join(b.extensionRefused(ctx), b.extensionUndone(ctx, data))
	}
	if err == nil {
		err = b.extension(ctx, data, file, &r)
	}
	if err := errors.Join(err, stopStreams(streams, &r)); err != nil {
		return r, errors.Join(err, b.whatWasLost(ctx, before))
	}
	return r, nil
}

// stopStreams ends streams and wants no loss.
func stopStreams(streams []*numbered, r *Extend) (err error) {
	for _, s := range streams {
		account, serr := s.stop()
		err = errors.Join(err, serr, account.lossless())
		r.Streams = append(r.Streams, account)
	}
	return err
}

// extension is the one that is good.
func (b *Bench) extension(ctx context.Context, data []byte, file string, r *Extend) error {
	b.note("extend the lab by %s", file)
	start := time.Now()
	next, err := b.Lab.Extend(ctx, data, file)
	if err != nil {
		return err
	}
	r.Nodes, r.Tenants = len(next.Nodes)-len(b.Topo.Nodes), len(next.Tenants)-len(b.Topo.Tenants)
	b.Topo = next
	if err := b.AwaitReach(ctx, evpnMost); err != nil {
		return err
	}
	r.Took = float64(time.Since(start).Microseconds()) / 1e3
	return nil
}

// extensionRefused wants a VNI that is taken to be refused, with path and line.
func (b *Bench) extensionRefused(ctx context.Context) error {
	doc := fmt.Sprintf("tenants: [{name: other, vni: %d}]\n", b.Topo.Tenants[0].VNI)
	_, err := b.Lab.Extend(ctx, []byte(doc), "taken.yaml")
	var faults config.Faults
	if !errors.As(err, &faults) || !strings.HasPrefix(err.Error(), "taken.yaml:1: tenants[0].vni: ") {
		return fmt.Errorf("an extension with a VNI that is taken: got %w, want a fault at tenants[0].vni", err)
	}
	return nil
}

// extensionUndone stops an extension when one engine has taken its new
// configuration and the second is about to: nothing of it may be left.
func (b *Bench) extensionUndone(ctx context.Context, data []byte) error {
	first := b.Engines()[0]
	was, err := b.generation(ctx, first)
	if err != nil {
		return err
	}
	stop := errors.New("stopped half way")
	half, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	told := 0
	l, err := lab.Attach(b.Lab.Name(), lab.Options{RunDir: filepath.Dir(b.Lab.Dir()), Progress: func(_, _ int, what string) {
		if !strings.HasPrefix(what, "tell ") {
			return
		}
		if told++; told == 1 {
			return
		}
		cancel(stop)
	}})
	if err != nil {
		return err
	}
	if _, err := l.Extend(half, data, "half.yaml"); !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("an extension that ends half way: got %w, want %q", err, stop)
	}
	is, err := b.generation(ctx, first)
	if err != nil {
		return err
	}
	s, err := b.Lab.Status()
	if err != nil {
		return err
	}
	if s.Phase != lab.PhaseUp || len(s.Nodes) != len(b.Topo.Nodes) || len(s.Extensions) != 0 || is < was+2 {
		return fmt.Errorf("after an extension that ended half way the lab is %s, has %d nodes of %d, and %s went from generation %d to %d, want there and back",
			s.Phase, len(s.Nodes), len(b.Topo.Nodes), first, was, is)
	}
	return nil
}

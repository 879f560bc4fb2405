package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/ztos/ztos/api/ztosv1"
)

// callTimeout bounds one call of an engine's API.
const callTimeout = 5 * time.Second

// node is the connection to one engine's API.
type node struct {
	ztosv1.NodeClient
	evpn ztosv1.EVPNClient
	bfd  ztosv1.BFDClient
	conn *grpc.ClientConn
}

func (n *node) close() { n.conn.Close() }

// api returns the API of an engine. The connection is made when it is used, and
// again when the engine was restarted.
func (b *Bench) api(name string) (*node, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.nodes[name]; n != nil {
		return n, nil
	}
	// The socket's mode is the protection: 0600.
	conn, err := grpc.NewClient("unix://"+b.Lab.Socket(name), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("check: API of %s: %w", name, err)
	}
	n := &node{ztosv1.NewNodeClient(conn), ztosv1.NewEVPNClient(conn), ztosv1.NewBFDClient(conn), conn}
	b.nodes[name] = n
	return n, nil
}

// dropNode forgets the connection to an engine that is being stopped.
func (b *Bench) dropNode(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.nodes[name]; n != nil {
		n.close()
		delete(b.nodes, name)
	}
}

// call runs fn with the API of an engine, bounded in time.
func (b *Bench) call(ctx context.Context, name string, fn func(context.Context, *node) error) error {
	n, err := b.api(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := fn(ctx, n); err != nil {
		return fmt.Errorf("API of %s: %w", name, err)
	}
	return nil
}

// Drops returns what an engine has dropped since it started, by reason; reasons
// that did not occur are left out.
func (b *Bench) Drops(ctx context.Context, name string) (Drops, error) {
	out := Drops{}
	err := b.call(ctx, name, func(ctx context.Context, n *node) error {
		r, err := n.GetDrops(ctx, &ztosv1.GetDropsRequest{})
		for _, d := range r.GetDrops() {
			if d.Count > 0 {
				out[d.Reason] = d.Count
			}
		}
		return err
	})
	return out, err
}

// allDrops returns the drops of all engines that run, by node.
func (b *Bench) allDrops(ctx context.Context) (map[string]Drops, error) {
	out := map[string]Drops{}
	for _, name := range b.Engines() {
		d, err := b.Drops(ctx, name)
		if err != nil {
			return nil, err
		}
		out[name] = d
	}
	return out, nil
}

// Drops counts dropped frames by reason.
type Drops map[string]uint64

// since returns what d has more than before, without zeros.
func (d Drops) since(before Drops) Drops {
	out := Drops{}
	for r, n := range d {
		if n > before[r] {
			out[r] = n - before[r]
		}
	}
	return out
}

// String lists reasons and counts in the order of names; "none" without any.
func (d Drops) String() string {
	if len(d) == 0 {
		return "none"
	}
	var s []string
	for _, r := range slices.Sorted(maps.Keys(d)) {
		s = append(s, fmt.Sprintf("%s %d", r, d[r]))
	}
	return strings.Join(s, ", ")
}

// without returns d without the given reasons.
func (d Drops) without(reasons ...string) Drops {
	out := maps.Clone(d)
	for _, r := range reasons {
		delete(out, r)
	}
	return out
}

// capture collects packets of a stage of an engine while fn runs.
func (b *Bench) capture(ctx context.Context, name string, req *ztosv1.CaptureRequest, fn func() error) ([]*ztosv1.CapturePacket, error) {
	n, err := b.api(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := n.Capture(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("API of %s: capture: %w", name, err)
	}
	return collect(cancel, fn, s.Recv)
}

// trace collects trace records of an engine while fn runs.
func (b *Bench) trace(ctx context.Context, name string, req *ztosv1.TraceRequest, fn func() error) ([]*ztosv1.TraceRecord, error) {
	n, err := b.api(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := n.Trace(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("API of %s: trace: %w", name, err)
	}
	return collect(cancel, fn, s.Recv)
}

// Times around a watched action: until the engine watches, and until what it
// saw has come.
const (
	watchLead = 300 * time.Millisecond
	watchTail = 300 * time.Millisecond
)

// collect receives until fn has ended and a little longer.
func collect[T any](cancel func(), fn func() error, recv func() (T, error)) ([]T, error) {
	type result struct {
		got []T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		for {
			v, err := recv()
			if err != nil {
				r.err = err
				done <- r
				return
			}
			r.got = append(r.got, v)
		}
	}()
	time.Sleep(watchLead)
	err := fn()
	time.Sleep(watchTail)
	select {
	case r := <-done: // the server ended it: a limit, or a fault
		if !errors.Is(r.err, io.EOF) {
			err = errors.Join(err, r.err)
		}
		return r.got, err
	default:
	}
	cancel()
	r := <-done
	return r.got, err
}

// ignoreEOF returns nil for the end of a stream.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

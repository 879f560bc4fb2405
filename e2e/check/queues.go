package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
)

// Queues is the result of Bench.Queues: several flows at once through engines of
// several queues.
type Queues struct {
	UDP       []Stream   `json:"udp"`
	TCP       []Segments `json:"tcp"`
	Sent      int        `json:"udp_sent"`
	Reordered int        `json:"udp_reordered"`
	Mbps      float64    `json:"tcp_mbps"`
	// Frames that each worker took meanwhile, by node and worker.
	Workers map[string]map[string]uint64 `json:"workers"`
	Drops   Drops                        `json:"drops"`
}

// queueRate is datagrams per second of each UDP flow.
const queueRate = 200

// Queues runs udp flows of numbered datagrams and tcp streams side by side
// between the first two hosts of the first tenant, for secs seconds. No datagram
// may be lost or come twice, no TCP segment may be lost, no engine may drop
// anything or take anything for a replay. And no worker may have been left out:
// every queue of the sending leaf's port, and of the underlay of the spine and of
// the receiving leaf, must have had frames. Take some dozen flows, or chance
// leaves one out.
//
// The flows go one way. Their order is compared only while TCP is quiet (tcp 0):
// a veth reorders when the sending thread changes its CPU, as it does under load.
func (b *Bench) Queues(ctx context.Context, udp, tcp, secs int) (r Queues, err error) {
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	from, to := h[0], h[1]
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	was, err := b.workerFrames(ctx)
	if err != nil {
		return r, err
	}
	var streams []*numbered
	for range udp {
		s, err := b.stream(from.Name, to.Name, queueRate, 200, 0)
		if err != nil {
			return r, err
		}
		streams = append(streams, s)
	}
	r.TCP = make([]Segments, tcp)
	var jobs []func() error
	for i := range tcp {
		jobs = append(jobs, func() (err error) {
			r.TCP[i], err = b.segments(ctx, from.Name, to.Name, secs)
			return err
		})
	}
	if tcp == 0 {
		err = streams[0].flowing(ctx, secs*queueRate, time.Duration(2*secs+5)*time.Second)
	} else {
		err = bounded(tcp, jobs)
	}
	var stopErr error
	r.UDP, stopErr = stopFlows(streams)
	if err = errors.Join(err, stopErr); err != nil {
		return r, err
	}
	after, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	now, err := b.workerFrames(ctx)
	if err != nil {
		return r, err
	}
	return r, errors.Join(r.lost(before, after, tcp == 0), r.spread(was, now, from.Host.Port.Node, from.Host.Port.Dev, to.Host.Port.Node))
}

// lost judges the flows.
func (r *Queues) lost(before, after losses, ordered bool) error {
	var errs []error
	for _, s := range r.UDP {
		r.Sent += s.Sent
		r.Reordered += s.Reordered
		errs = append(errs, s.lossless())
	}
	for _, s := range r.TCP {
		r.Mbps += s.Mbps
		if s.Lost() != 0 || s.Sent == 0 {
			errs = append(errs, fmt.Errorf("TCP: %d of %d segments lost", s.Lost(), s.Sent))
		}
	}
	r.Drops = Drops{}
	for node, d := range after.drops {
		for reason, n := range d.since(before.drops[node]).without(benignDrops...) {
			r.Drops[reason] += n
		}
	}
	if p, u := sum(after.ports, before.ports), sum(after.underlay, before.underlay); len(r.Drops) > 0 || p > 0 || u > 0 {
		errs = append(errs, fmt.Errorf("drops %v, %d frames lost at ports, %d datagrams at underlay sockets; want none", r.Drops, p, u))
	}
	if ordered && r.Reordered > 0 {
		errs = append(errs, fmt.Errorf("%d of %d datagrams came behind a later one of their flow", r.Reordered, r.Sent))
	}
	return errors.Join(errs...)
}

// spread judges how the flows were shared out among workers.
func (r *Queues) spread(was, now map[string]map[string]uint64, leafIn, port, leafOut string) error {
	r.Workers = map[string]map[string]uint64{}
	var errs []error
	for node, workers := range now {
		r.Workers[node] = map[string]uint64{}
		for w, n := range workers {
			r.Workers[node][w] = n - was[node][w]
		}
	}
	for node, workers := range r.Workers {
		kind := "underlay-in."
		switch node {
		case leafIn:
			kind = "leaf-in " + port + "."
		case leafOut:
		default:
			if !strings.HasPrefix(node, "spine") {
				continue
			}
		}
		total, n := uint64(0), 0
		for w, frames := range workers {
			if strings.HasPrefix(w, kind) {
				total += frames
				n++
			}
		}
		if n < 2 {
			errs = append(errs, fmt.Errorf("%s has %d workers %s, want several", node, n, kind))
		}
		for _, w := range slices.Sorted(maps.Keys(workers)) {
			if strings.HasPrefix(w, kind) && workers[w] == 0 {
				errs = append(errs, fmt.Errorf("%s: %s took none of %d frames", node, w, total))
			}
		}
	}
	return errors.Join(errs...)
}

// workerFrames returns what each worker of each engine has taken, by node and
// worker.
func (b *Bench) workerFrames(ctx context.Context) (map[string]map[string]uint64, error) {
	out := map[string]map[string]uint64{}
	for _, name := range b.Engines() {
		out[name] = map[string]uint64{}
		err := b.call(ctx, name, func(ctx context.Context, n *node) error {
			r, err := n.GetCounters(ctx, &ztosv1.GetCountersRequest{})
			for _, g := range r.GetGroups() {
				for _, c := range g.Counts {
					if g.Kind == "worker" && c.Name == "frames" {
						out[name][g.Name] = c.Value
					}
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ztos/ztos/lab"
)

// Restart is the result of Bench.RestartLeaf.
type Restart struct {
	Leaf string `json:"leaf"`
	// From the start of the new engine until a ping was answered, milliseconds.
	Answered float64 `json:"answered_after_ms"`
	// What the other engines dropped meanwhile: no replay, because the new
	// engine sends packet numbers that the old one cannot have used.
	Drops Drops `json:"drops"`
}

// RestartLeaf kills the first leaf's engine (SIGKILL) under traffic and starts it
// again. Its hosts must be reached again soon, and no other leaf may take one of
// its frames for a replay.
func (b *Bench) RestartLeaf(ctx context.Context) (Restart, error) {
	leaf := b.kind(lab.Leaf)[0]
	r := Restart{Leaf: leaf, Drops: Drops{}}
	var near, far *lab.Node
	for _, h := range b.Topo.Hosts(b.Topo.Tenants[0].Name) {
		if h.Host.Port.Node == leaf {
			near = h
		} else if far == nil {
			far = h
		}
	}
	if near == nil || far == nil {
		return r, fmt.Errorf("check: tenant %s has no hosts on %s and elsewhere", b.Topo.Tenants[0].Name, leaf)
	}
	before := map[string]Drops{}
	for _, e := range b.Engines() {
		d, err := b.Drops(ctx, e)
		if err != nil {
			return r, err
		}
		before[e] = d
	}
	s, err := b.stream(near.Name, far.Name, 500, 200, 0)
	if err != nil {
		return r, err
	}
	killErr := s.flowing(ctx, 100, 5*time.Second)
	b.dropNode(leaf)
	killErr = errors.Join(killErr, b.Lab.StopProcess(ctx, leaf, lab.EngineProcess, sigkill),
		b.startEngine(ctx, leaf))
	start := time.Now()
	if killErr == nil {
		killErr = s.flowing(ctx, 100, 15*time.Second)
	}
	r.Answered = time.Since(start).Seconds() * 1e3
	_, err = s.stop()
	if err := errors.Join(killErr, err); err != nil {
		return r, err
	}
	for _, e := range b.Engines() {
		if e == leaf { // counts from 0 again
			before[e] = nil
		}
		d, err := b.Drops(ctx, e)
		if err != nil {
			return r, err
		}
		for reason, n := range d.since(before[e]) {
			r.Drops[reason] += n
		}
	}
	for _, reason := range []string{"macsec-replayed", "macsec-late", "macsec-not-valid", "wg-auth-failed"} {
		if r.Drops[reason] > 0 {
			return r, fmt.Errorf("after %s was killed and started again: %v; want no %s", leaf, r.Drops, reason)
		}
	}
	return r, nil
}

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/control/overlay"
)

// How long the speaker may take for what control asks of it.
const (
	bgpApplyTime  = 10 * time.Second
	bgpStatusTime = 2 * time.Second
)

// bgpService is the BGP speaker inside the node: what it hears goes to the loop,
// in order, and what the loop decides goes to it, in order. Neither waits for the
// other: a full table in one direction does not stop the other.
type bgpService struct {
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	config  bgp.Config   // as applied last
	speaker *bgp.Speaker // nil before start
	out     []overlay.Outcome
	ready   chan struct{} // has one element while there is something in out
}

// newBGP returns a service that keeps what it is told until start.
func newBGP(log *slog.Logger) *bgpService {
	ctx, cancel := context.WithCancel(context.Background())
	return &bgpService{log: log, ctx: ctx, cancel: cancel, ready: make(chan struct{}, 1)}
}

// start starts the speaker. in takes what it hears; it is not closed.
func (b *bgpService) start(c bgp.Config, t relay.Transport, in chan<- bgpMessage) error {
	ctx, stop := context.WithTimeout(b.ctx, bgpApplyTime)
	defer stop()
	s, err := bgp.New(ctx, c, t, b.log)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.config = c
	b.speaker = s
	b.mu.Unlock()
	b.done.Go(func() { b.listen(s, in) })
	b.done.Go(func() { b.tell(s) })
	return nil
}

// apply makes the sessions those of c.
func (b *bgpService) apply(c bgp.Config) error {
	s := b.running()
	if s == nil {
		return errors.New("the speaker does not run yet")
	}
	ctx, cancel := context.WithTimeout(b.ctx, bgpApplyTime)
	defer cancel()
	if err := s.Apply(ctx, c); err != nil {
		return err
	}
	b.mu.Lock()
	b.config = c
	b.mu.Unlock()
	return nil
}

// applied returns what was applied last.
func (b *bgpService) applied() bgp.Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.config
}

// running returns the speaker, nil before start.
func (b *bgpService) running() *bgp.Speaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.speaker
}

// close ends the sessions and the service's goroutines.
func (b *bgpService) close() {
	b.cancel()
	if s := b.running(); s != nil {
		s.Close()
	}
	b.done.Wait()
}

// listen hands on what the speaker hears until it is closed.
func (b *bgpService) listen(s *bgp.Speaker, in chan<- bgpMessage) {
	for {
		events, err := s.Next(b.ctx)
		if err != nil {
			return // closed
		}
		for i := range events {
			for _, m := range messages(&events[i]) {
				select {
				case in <- m:
				case <-b.ctx.Done():
					return
				}
			}
		}
	}
}

// messages turns an event into what the loop takes: routes in pieces, so that it
// sees to its timers between them.
func messages(e *bgp.Event) (out []bgpMessage) {
	peer := evpn.Peer{ID: e.Peer}
	switch {
	case e.Up != nil:
		return []bgpMessage{{kind: bgpUp, peer: e.Up.Peer}}
	case e.Down != nil:
		return []bgpMessage{{kind: bgpDown, peer: peer, keep: e.Down.Graceful && !e.Down.Removed}}
	case e.LongLived:
		return []bgpMessage{{kind: bgpLongLived, peer: peer}}
	case e.EndOfRIB == bgp.EVPN:
		return []bgpMessage{{kind: bgpEndOfRIB, peer: peer}}
	}
	for us := e.Routes; len(us) > 0; {
		n := min(len(us), hearMost)
		out = append(out, bgpMessage{kind: bgpUpdates, peer: peer, updates: us[:n]})
		us = us[n:]
	}
	return out
}

// announce takes what a batch led to; it does not wait.
func (b *bgpService) announce(o overlay.Outcome) {
	b.mu.Lock()
	b.out = append(b.out, o)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// tell gives the speaker what announce took.
func (b *bgpService) tell(s *bgp.Speaker) {
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-b.ready:
		}
		b.mu.Lock()
		out := b.out
		b.out = nil
		b.mu.Unlock()
		for i := range out {
			if err := outcome(s, &out[i]); err != nil && !errors.Is(err, bgp.ErrClosed) {
				b.log.Error("bgp: not announced", "err", err)
			}
		}
	}
}

// outcome announces and withdraws in the order of o.
func outcome(s *bgp.Speaker, o *overlay.Outcome) error {
	var errs []error
	if o.Interest != nil {
		errs = append(errs, s.SetInterest(*o.Interest))
	}
	for rs := o.Routes; len(rs) > 0; {
		n := 1
		for n < len(rs) && rs[n].Withdraw == rs[0].Withdraw {
			n++
		}
		errs = append(errs, run(s, rs[:n]))
		rs = rs[n:]
	}
	return errors.Join(errs...)
}

// run announces routes, or withdraws them; all are of one kind.
func run(s *bgp.Speaker, rs []evpn.RouteChange) error {
	if rs[0].Withdraw {
		keys := make([]evpn.Key, len(rs))
		for i := range rs {
			keys[i] = rs[i].Route.Key
		}
		return s.Withdraw(keys)
	}
	routes := make([]evpn.Route, len(rs))
	for i := range rs {
		routes[i] = rs[i].Route
	}
	return s.Announce(routes)
}

// lost says that a peer is dead, so that its routes go at once; with grace, that its
// session has failed, and graceful restart may keep them. It does not wait.
func (b *bgpService) lost(name string, grace bool) {
	s := b.running()
	if s == nil {
		return
	}
	b.done.Go(func() {
		end := s.Lost
		if grace {
			end = s.Expire
		}
		if err := end(name); err != nil {
			b.log.Debug("bgp: peer not cut", "peer", name, "err", err)
		}
	})
}

// status returns the sessions.
func (b *bgpService) status() ([]bgp.Status, error) {
	s := b.running()
	if s == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(b.ctx, bgpStatusTime)
	defer cancel()
	st, err := s.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("control: BGP status: %w", err)
	}
	return st, nil
}

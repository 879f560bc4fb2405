package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/lab"
)

// SpineKill is the result of Bench.KillSpine.
type SpineKill struct {
	Spine string `json:"spine"`
	Flows int    `json:"flows"`
	// The worst flow's longest run of lost datagrams, as time.
	Window float64 `json:"loss_window_ms"`
	// Flows that lost anything: those that the spine carried.
	Hit  int `json:"flows_hit"`
	Sent int `json:"sent"`
	Lost int `json:"lost"`
	// Packets that the spine carried before it was killed, and after it was
	// started again.
	Before uint64 `json:"carried_before"`
	After  uint64 `json:"carried_after"`
}

// How the kill is made: flows are many enough that each spine carries some.
const (
	killFlows = 8
	killRate  = 200                     // datagrams a second of each flow
	killMost  = 3 * time.Second         // loss window that is still accepted
	killRest  = 2500 * time.Millisecond // of traffic after the kill
	killBack  = 20 * time.Second        // until a spine that is back carries again
	killMore  = 3 * time.Second         // until more flows are tried, when it carries none
)

// KillSpine kills the first spine's engine (SIGKILL) while flows run between two
// leaves, and starts it again. Traffic must go on by the other spine after a
// short loss, and come back to the first when it is up again, without loss.
func (b *Bench) KillSpine(ctx context.Context) (SpineKill, error) {
	spines := b.kind(lab.Spine)
	if len(spines) < 2 {
		return SpineKill{}, errors.New("check: killing a spine needs two")
	}
	r := SpineKill{Spine: spines[0], Flows: killFlows}
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	start, err := b.transit(ctx, r.Spine)
	if err != nil {
		return r, err
	}
	flows, err := b.flows(h[0].Name, h[1].Name, killFlows)
	if err != nil {
		return r, err
	}
	stopAll := func() error {
		accounts, err := stopFlows(flows)
		for _, st := range accounts {
			r.Sent += st.Sent
			r.Lost += st.Lost
			r.Window = max(r.Window, st.Window)
			if st.Lost > 0 {
				r.Hit++
			}
		}
		return err
	}
	// Flows are spread by chance: take more when the spine gets none.
	for err == nil && r.Before == 0 {
		pause(ctx, time.Second)
		var carried uint64
		carried, err = b.transit(ctx, r.Spine)
		r.Before = carried - start
		switch {
		case err != nil || r.Before > 0:
		case len(flows) < 4*killFlows:
			var more []*numbered
			more, err = b.flows(h[0].Name, h[1].Name, killFlows)
			flows = append(flows, more...)
		default:
			err = fmt.Errorf("%s carried none of %d flows before it was killed: killing it shows nothing", r.Spine, len(flows))
		}
	}
	r.Flows = len(flows)
	if err != nil {
		return r, errors.Join(err, stopAll())
	}
	b.note("kill the engine of %s", r.Spine)
	b.dropNode(r.Spine)
	if err := b.Lab.StopProcess(ctx, r.Spine, lab.EngineProcess, sigkill); err != nil {
		return r, errors.Join(err, stopAll())
	}
	pause(ctx, killRest)
	if err := stopAll(); err != nil {
		return r, err
	}
	window := float64(killMost.Milliseconds())
	if r.Window > window {
		return r, errors.Join(fmt.Errorf("loss window %.0f ms after %s was killed, want at most %.0f", r.Window, r.Spine, window),
			b.startEngine(context.WithoutCancel(ctx), r.Spine))
	}
	b.note("start %s again", r.Spine)
	if err := b.startEngine(ctx, r.Spine); err != nil {
		return r, err
	}
	return r, b.carriesAgain(ctx, h[0].Name, h[1].Name, &r)
}

// carriesAgain runs flows until the restarted spine carries some of them. None
// may be lost on the way back.
func (b *Bench) carriesAgain(ctx context.Context, from, to string, r *SpineKill) error {
	flows, err := b.flows(from, to, killFlows)
	if err != nil {
		return err
	}
	// The start's own packets, as handshakes, are no transit.
	more := time.Now().Add(killMore)
	backErr := eventually(ctx, killBack, func() error {
		n, err := b.transit(ctx, r.Spine)
		// Flows are spread by chance, as before the kill.
		if err == nil && n < 100 && time.Now().After(more) && len(flows) < 4*killFlows {
			var add []*numbered
			add, err = b.flows(from, to, killFlows)
			flows = append(flows, add...)
			more = time.Now().Add(killMore)
		}
		if r.After = n; err == nil && n < 100 {
			err = fmt.Errorf("%s was started again and carried %d packets within %v, want its share", r.Spine, n, killBack)
		}
		return err
	})
	accounts, err := stopFlows(flows)
	errs := []error{backErr, err}
	for _, st := range accounts {
		errs = append(errs, st.lossless())
	}
	return errors.Join(errs...)
}

// flows starts n flows between two hosts.
func (b *Bench) flows(from, to string, n int) ([]*numbered, error) {
	var out []*numbered
	for range n {
		s, err := b.stream(from, to, killRate, 200, 0)
		if err != nil {
			for _, s := range out {
				s.stop() //nolint:errcheck // given up
			}
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// stopFlows stops all flows at once and returns their accounts.
func stopFlows(flows []*numbered) ([]Stream, error) {
	out := make([]Stream, len(flows))
	var jobs []func() error
	for i, s := range flows {
		jobs = append(jobs, func() (err error) {
			out[i], err = s.stop()
			return err
		})
	}
	err := bounded(len(flows), jobs)
	return out, err
}

// transit returns how many packets a spine has passed on to its peers.
func (b *Bench) transit(ctx context.Context, spine string) (n uint64, err error) {
	err = b.call(ctx, spine, func(ctx context.Context, c *node) error {
		r, err := c.ListPeers(ctx, &ztosv1.ListPeersRequest{})
		for _, p := range r.GetPeers() {
			n += p.Transit
		}
		return err
	})
	return n, err
}

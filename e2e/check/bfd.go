package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/lab"
)

// BFDUp is the result of Bench.BFDUp.
type BFDUp struct {
	Sessions int `json:"sessions"`
	// Detection times, the same at all, ms.
	Detection float64 `json:"detection_ms"`
}

const bfdMost = 30 * time.Second // until sessions are up on a loaded machine

// bfdSessions returns the BFD sessions of an engine by neighbour, and how many
// packets belonged to none, by what was wrong.
func (b *Bench) bfdSessions(ctx context.Context, engine string) (sessions map[string]*ztosv1.BFDSession, strangers map[string]uint64, err error) {
	sessions = map[string]*ztosv1.BFDSession{}
	err = b.call(ctx, engine, func(ctx context.Context, c *node) error {
		g, err := c.bfd.GetBFD(ctx, &ztosv1.GetBFDRequest{})
		for _, s := range g.GetSessions() {
			sessions[s.Name] = s
		}
		strangers = countsOf(g.GetStrangers())
		return err
	})
	return sessions, strangers, err
}

func countsOf(cs []*ztosv1.Count) map[string]uint64 {
	out := map[string]uint64{}
	for _, c := range cs {
		out[c.Name] = c.Value
	}
	return out
}

// bfdUp wants the sessions of an engine to be up, at both ends, with flows taking
// their paths.
func (b *Bench) bfdUp(ctx context.Context, engine string) (detection time.Duration, n int, err error) {
	err = eventually(ctx, bfdMost, func() error {
		ss, _, err := b.bfdSessions(ctx, engine)
		if err != nil {
			return err
		}
		if n = len(ss); n == 0 {
			return fmt.Errorf("%s has no BFD session", engine)
		}
		for name, s := range ss {
			if s.State != "up" || s.TheirState != "up" || s.PathWithheld || s.DetectionNs > int64(time.Second) {
				return fmt.Errorf("%s: session with %s is %s, theirs %s, path withheld: %v, detection %v", engine, name, s.State, s.TheirState, s.PathWithheld, time.Duration(s.DetectionNs))
			}
			detection = time.Duration(s.DetectionNs)
		}
		return nil
	})
	return detection, n, err
}

// BFDUp wants all sessions of all engines to be up, and the same of BGP.
func (b *Bench) BFDUp(ctx context.Context) (r BFDUp, err error) {
	for _, e := range b.Engines() {
		d, n, err := b.bfdUp(ctx, e)
		if err != nil {
			return r, err
		}
		r.Sessions += n
		r.Detection = d.Seconds() * 1e3
		if _, err := b.established(ctx, e, evpnMost); err != nil {
			return r, err
		}
	}
	return r, nil
}

// BFDKill is the result of Bench.BFDKill: loss windows, ms.
type BFDKill struct {
	Flows   int       `json:"flows"`
	Rate    int       `json:"rate_hz"`
	Windows []float64 `json:"loss_windows_ms"`
	P50     float64   `json:"p50_ms"`
	P99     float64   `json:"p99_ms"`
}

// How spines are killed with BFD. The bound is far above what is measured, about
// 150 ms, for machines that have no processor when it matters.
const (
	bfdFlows = 8
	bfdRate  = 2000 / bfdFlows
	bfdRest  = 600 * time.Millisecond
	bfdBound = time.Second
)

// BFDKill kills the first spine (SIGKILL) while 2000 datagrams a second flow between
// two leaves, and starts it again, some times. Each time flows must go on by the
// other spine. It is always the same one: BGP takes longer to come back than the
// next kill waits, and what the other spine reflects must be there.
func (b *Bench) BFDKill(ctx context.Context, times int) (r BFDKill, err error) {
	spine := b.kind(lab.Spine)[0]
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	r.Flows, r.Rate = bfdFlows, bfdRate*bfdFlows
	for range times {
		var window float64
		for try := 0; window == 0 && try < 4; try++ { // flows are spread by chance: it may carry none
			if window, err = b.bfdKill(ctx, spine, h[0].Name, h[1].Name); err != nil {
				return r, err
			}
			for _, e := range b.Engines() {
				if _, _, err := b.bfdUp(ctx, e); err != nil {
					return r, err
				}
			}
		}
		if window == 0 {
			return r, fmt.Errorf("%s carried no flow: killing it shows nothing", spine)
		}
		r.Windows = append(r.Windows, window)
	}
	sorted := slices.Sorted(slices.Values(r.Windows))
	r.P50, r.P99 = sorted[len(sorted)/2], sorted[len(sorted)-1]
	if bound := float64(bfdBound.Milliseconds()); r.P99 > bound {
		return r, fmt.Errorf("loss windows %v ms, want at most %.0f", r.Windows, bound)
	}
	return r, nil
}

// bfdKill kills a spine once, starts it again, and returns the loss window of the
// worst flow, ms; 0 when it carried none.
func (b *Bench) bfdKill(ctx context.Context, spine, from, to string) (float64, error) {
	var flows []*numbered
	for range bfdFlows {
		s, err := b.stream(from, to, bfdRate, 200, 0)
		if err != nil {
			_, stopErr := stopFlows(flows)
			return 0, errors.Join(err, stopErr)
		}
		flows = append(flows, s)
	}
	pause(ctx, bfdRest)
	b.dropNode(spine)
	err := b.Lab.StopProcess(ctx, spine, lab.EngineProcess, sigkill)
	pause(ctx, bfdRest)
	accounts, stopErr := stopFlows(flows)
	window := 0.0
	for _, st := range accounts {
		window = max(window, st.Window)
	}
	return window, errors.Join(err, stopErr, b.startEngine(context.WithoutCancel(ctx), spine))
}

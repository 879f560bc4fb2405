package routes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ztos/ztos/perf/progress"
	"github.com/ztos/ztos/perf/scale"
)

// Config is what to measure.
type Config struct {
	Engine   string        // ztos-engine
	Sizes    []int         // routes of each type, 1 to MaxRoutes, rising
	Rounds   int           // at least 1
	Limit    time.Duration // for one load or withdrawal
	Progress io.Writer
	Terminal bool // Progress is one
}

// Names of the systems.
const (
	ZTOS = "ZTOS"
	FRR  = "FRR"
)

// poll is how often tables are looked at.
const poll = 50 * time.Millisecond

// Run is one system that took and lost the routes once. Times are seconds from
// the first UPDATE.
type Run struct {
	System           string  `json:"system"`
	Routes           int     `json:"routes"` // of each type
	MACs             float64 `json:"type2_s"`
	Prefixes         float64 `json:"type5_s"`
	WithdrawMACs     float64 `json:"withdraw_type2_s"`
	WithdrawPrefixes float64 `json:"withdraw_type5_s"`
	Before           uint64  `json:"rss_before"` // bytes
	Loaded           uint64  `json:"rss_loaded"` // with both types
	Stream           *Stream `json:"stream,omitempty"`
}

// Measure runs rounds, in each every size with one system after the other.
func Measure(ctx context.Context, c Config) (*Report, error) {
	if c.Rounds < 1 || len(c.Sizes) == 0 {
		return nil, errors.New("routes: want sizes, and a round at least")
	}
	for _, n := range c.Sizes {
		if n < 1 || n > MaxRoutes {
			return nil, fmt.Errorf("routes: %d routes: want 1 to %d", n, MaxRoutes)
		}
	}
	bar := progress.New(c.Progress, c.Terminal, 2*c.Rounds*len(c.Sizes))
	defer bar.End()
	r := &Report{Report: scale.NewReport(), Rounds: c.Rounds}
	for round := range c.Rounds {
		for _, n := range c.Sizes {
			for i := range 2 {
				// Whoever goes first changes from round to round.
				one, err := c.one(ctx, (i+round)%2 == 0, n)
				if err != nil {
					return nil, err
				}
				r.Runs = append(r.Runs, one)
				bar.Step(fmt.Sprintf("%s, %d routes of each type: %.2f s and %.2f s", one.System, n, one.MACs, one.Prefixes))
			}
		}
	}
	r.summarize()
	return r, nil
}

// one measures a system that is started for it.
func (c *Config) one(ctx context.Context, ours bool, n int) (r Run, err error) {
	r = Run{System: FRR, Routes: n}
	var sys system
	if ours {
		r.System = ZTOS
		sys, err = startZTOS(ctx, c.Engine)
	} else {
		sys, err = startFRR(ctx)
	}
	if err != nil {
		return r, err
	}
	defer func() {
		if cerr := sys.close(); err == nil {
			err = cerr
		}
	}()
	up, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	s, err := connect(up, sys.where().peer)
	if err != nil {
		return r, err
	}
	defer s.close() //nolint:errcheck // it is done with
	s.begin([][]byte{floodRoute()})
	if err := r.measure(ctx, &load{sys, s, c.Limit}); err != nil {
		return r, fmt.Errorf("%s, %d routes: %w", r.System, n, err)
	}
	return r, nil
}

// load is a system that takes routes of a session.
type load struct {
	system
	session *session
	limit   time.Duration
}

// measure fills r.
func (r *Run) measure(ctx context.Context, l *load) (err error) {
	time.Sleep(time.Second) // what begins has begun
	if r.Before, err = l.memory(); err != nil {
		return err
	}
	end := func() error { return nil }
	if s := l.where(); s.h1 != "" {
		if end, err = r.stream(ctx, s); err != nil {
			return err
		}
	}
	for _, step := range []struct {
		k        kind
		withdraw bool
		took     *float64
	}{
		{macs, false, &r.MACs}, {prefixes, false, &r.Prefixes},
		{prefixes, true, &r.WithdrawPrefixes}, {macs, true, &r.WithdrawMACs},
	} {
		if step.withdraw && r.Loaded == 0 {
			if r.Loaded, err = l.memory(); err != nil {
				break
			}
		}
		if *step.took, err = l.step(ctx, step.k, r.Routes, step.withdraw); err != nil {
			err = fmt.Errorf("%s: %w", step.k.name, err)
			break
		}
	}
	return errors.Join(err, end())
}

// stream lets datagrams flow until end.
func (r *Run) stream(ctx context.Context, s *site) (end func() error, err error) {
	if err := until(ctx, startLimit, func() error { return s.ping(ctx) }); err != nil {
		return nil, err
	}
	st, err := startStream(s.h1, s.h2, host2)
	if err != nil {
		return nil, err
	}
	return func() error {
		got, err := st.end()
		r.Stream = &got
		return err
	}, nil
}

// step announces or withdraws n routes and returns the seconds until the system
// has, or has lost, all.
func (l *load) step(ctx context.Context, k kind, n int, withdraw bool) (float64, error) {
	base, err := l.count(ctx, k, true)
	if err != nil {
		return 0, err
	}
	messages := k.updates(n, withdraw)
	began := time.Now()
	l.session.begin(messages)
	// First what is cheap to ask, then what is certain.
	for _, sure := range []bool{false, true} {
		err := until(ctx, l.limit, func() error {
			if err := l.session.fault(); err != nil {
				return final{err}
			}
			have, err := l.count(ctx, k, sure)
			if err == nil && (!withdraw && have < base+n || withdraw && have > base-n) {
				err = fmt.Errorf("%d in the table, %d before, %d sent", have, base, n)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), nil
}

// final is an error that waiting does not mend.
type final struct{ error }

// until tries fn every 50 ms until it returns nil, for limit at most; then its last
// error is returned.
func until(ctx context.Context, limit time.Duration, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := fn()
		var f final
		if err == nil || errors.As(err, &f) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("routes: not after %v: %w", limit, err)
		case <-time.After(poll):
		}
	}
}

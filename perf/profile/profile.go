package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"

	take "github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/flame"
	"github.com/ztos/ztos/perf/sample"
)

// Config says what to run.
type Config struct {
	BedOptions
	Out     string        // folder for profiles and graphs; made
	CPU     time.Duration // of a CPU profile; others take a second
	Loads   []Load
	Note    func(string) // gets a line for each step
	Capture []take.Kind  // what to take
}

// Run loads the bed in every way, takes the profiles under each and writes
// NODE-LOAD-KIND.pprof and .svg (of a trace only .out). The report is of the CPU
// profiles, and complete also when the error is about taking down.
func Run(ctx context.Context, c *Config) (r *Report, err error) {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	b, err := open(ctx, c.BedOptions)
	if b != nil {
		defer func() { err = errors.Join(err, b.Close()) }()
	}
	if err != nil {
		return nil, err
	}
	r = &Report{Seconds: c.CPU.Seconds()}
	for _, l := range c.Loads {
		err := l.under(ctx, b, func() error { return c.all(ctx, b, l, r) })
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// all takes every kind of profile under one load.
func (c *Config) all(ctx context.Context, b *bed.Bed, l Load, r *Report) error {
	for _, kind := range c.Capture {
		q := take.Request{Kind: kind, Duration: take.MinDuration}
		if kind == take.CPU {
			q.Duration = c.CPU
		}
		c.Note(fmt.Sprintf("%-4s  %-9s  %s", l.Name, kind, l.What))
		raws, err := capture(ctx, b, q)
		if err != nil {
			return err
		}
		var cpu []*profile.Profile
		for i, node := range Nodes {
			p, err := c.write(raws[i], node, l, kind)
			if err != nil {
				return err
			}
			if kind == take.CPU {
				r.add(node, l.Name, p)
				cpu = append(cpu, p)
			}
		}
		if kind == take.CPU {
			sum, err := profile.Merge(cpu)
			if err != nil {
				return fmt.Errorf("profile: %w", err)
			}
			r.add(allNodes, l.Name, sum)
		}
	}
	return nil
}

// write writes the files of one profile, and returns it unless it is a trace.
func (c *Config) write(raw []byte, node string, l Load, kind take.Kind) (*profile.Profile, error) {
	base := filepath.Join(c.Out, fmt.Sprintf("%s-%s-%s", node, l.Name, kind))
	if !kind.Stacks() {
		return nil, os.WriteFile(base+".out", raw, 0o644)
	}
	if err := os.WriteFile(base+".pprof", raw, 0o644); err != nil {
		return nil, err
	}
	p, err := profile.ParseData(raw)
	if err != nil {
		return nil, fmt.Errorf("profile: %s of %s: %w", kind, node, err)
	}
	o := flame.Options{Title: fmt.Sprintf("%s, %s", node, kind), Subtitle: l.What}
	if p.DurationNanos > 0 {
		o.Subtitle += fmt.Sprintf(", %.1f s", time.Duration(p.DurationNanos).Seconds())
	}
	return p, writeGraph(base+".svg", p, o)
}

func writeGraph(path string, p *profile.Profile, o flame.Options) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return flame.Write(io.Writer(f), p, o)
}

// add takes one CPU profile into the report.
func (r *Report) add(node, load string, p *profile.Profile) {
	r.Rows = append(r.Rows, Row{Node: node, Load: load, Shares: sample.Share(p)})
}

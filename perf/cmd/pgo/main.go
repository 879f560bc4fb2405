package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ztos/ztos/perf/pgo"
	"github.com/ztos/ztos/perf/profile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "collect":
		err = collect(ctx, os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "gain":
		err = gain(ctx, os.Args[2:])
	default:
		fmt.Fprintln(os.Stderr, "pgo: say what: collect, gain")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(1)
	}
}

// note returns what prints a line with the time since the start.
func note() func(string) {
	start := time.Now()
	return func(s string) { fmt.Fprintf(os.Stderr, "[%3.0f s] %s\n", time.Since(start).Seconds(), s) }
}

// collect writes the profile.
func collect(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("collect", flag.ExitOnError)
	var o profile.BedOptions
	out := f.String("o", "cmd/ztos-engine/default.pgo", "file for the profile")
	f.StringVar(&o.Engine, "engine", "build/bin/ztos-engine", "the engine")
	f.StringVar(&o.Topology, "lab", "lab/standard.yaml", "topology file")
	f.StringVar(&o.LogDir, "logs", "build/pgo", "folder for the output of the processes")
	d := f.Duration("time", 15*time.Second, "time of each profile, 1 s to 60 s")
	if err := f.Parse(args); err != nil {
		return err
	}
	ps, err := profile.Collect(ctx, o, []profile.Load{profile.Both, profile.Wire, profile.UDP}, *d, note())
	if err != nil {
		return err
	}
	merged, err := pgo.Merge(ps)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := merged.Write(&b); err != nil {
		return err
	}
	if err := os.WriteFile(*out, b.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d stacks of %d profiles, %d bytes\n", *out, len(merged.Sample), len(ps), b.Len())
	return nil
}

// gain compares two engines.
func gain(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("gain", flag.ExitOnError)
	c := pgo.GainConfig{Note: note()}
	out := f.String("o", "build/pgo-gain.json", "file for the result")
	f.StringVar(&c.Off, "off", "build/bin/ztos-engine-pgo-off", "the engine without the profile")
	f.StringVar(&c.On, "on", "build/bin/ztos-engine", "the engine with it")
	f.StringVar(&c.Topology, "lab", "lab/standard.yaml", "topology file")
	f.StringVar(&c.LogDir, "logs", "build/pgo", "folder for the output of the processes")
	f.IntVar(&c.Pairs, "pairs", 5, "pairs of runs")
	f.IntVar(&c.Rounds, "rounds", 3, "measurements of a run")
	f.DurationVar(&c.Duration, "time", 3*time.Second, "time of one measurement, whole seconds")
	if err := f.Parse(args); err != nil {
		return err
	}
	g, err := pgo.MeasureGain(ctx, &c)
	if err != nil {
		return err
	}
	fmt.Printf("one TCP stream, median of %d runs: %.2f Gbit/s without the profile, %.2f with it; ratio by pairs %.3f %.3f\n",
		c.Pairs, g.Off.Median, g.On.Median, g.Ratio, g.Ratios)
	return g.WriteJSON(*out)
}

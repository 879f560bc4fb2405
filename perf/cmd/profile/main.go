package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	take "github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/perf/profile"
)

func main() {
	start := time.Now()
	c := profile.Config{
		Loads:   []profile.Load{profile.A, profile.B, profile.Both},
		Capture: []take.Kind{take.CPU, take.Heap, take.Block, take.Mutex, take.Trace},
		Note: func(s string) {
			fmt.Fprintf(os.Stderr, "[%3.0f s] %s\n", time.Since(start).Seconds(), s)
		},
	}
	flag.StringVar(&c.Out, "o", "build/profile", "folder for the profiles and graphs")
	flag.StringVar(&c.Engine, "engine", "build/bin/ztos-engine", "the engine")
	flag.StringVar(&c.Topology, "lab", "lab/standard.yaml", "topology file")
	flag.DurationVar(&c.CPU, "time", 8*time.Second, "time of a CPU profile, 1 s to 60 s")
	flag.Parse()
	c.LogDir = filepath.Join(c.Out, "log")
	if err := run(&c); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

// run profiles and reports. An interrupt takes the test bed down first.
func run(c *profile.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := profile.Run(ctx, c)
	if report == nil {
		return err
	}
	return errors.Join(err, report.WriteTable(os.Stdout), report.WriteJSON(filepath.Join(c.Out, "shares.json")))
}

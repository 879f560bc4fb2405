package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/perf/quick"
)

func main() {
	c := quick.Config{Progress: os.Stderr}
	out := flag.String("o", "build/perf-quick.json", "file for the result")
	flag.StringVar(&c.Engine, "engine", "build/bin/ztos-engine", "the engine")
	flag.StringVar(&c.WireGuardGo, "wireguard-go", "build/bin/wireguard-go", "the peer")
	flag.StringVar(&c.Topology, "lab", "lab/standard.yaml", "topology file")
	flag.StringVar(&c.LogDir, "logs", "build/perf-quick", "folder for the output of the processes")
	flag.TextVar(&c.Cipher, "cipher", config.Cipher(0), "MACsec cipher suite; the topology's when empty")
	flag.IntVar(&c.Rounds, "rounds", 5, "rounds")
	flag.DurationVar(&c.Duration, "time", 3*time.Second, "time of one measurement, whole seconds")
	flag.DurationVar(&c.Omit, "omit", time.Second, "time before it that does not count, whole seconds")
	only := flag.String("modes", "", "modes to measure, separated by commas; all when empty")
	flag.Parse()
	if *only != "" {
		c.Only = strings.Split(*only, ",")
	}
	if st, err := os.Stderr.Stat(); err == nil {
		c.Terminal = st.Mode()&os.ModeCharDevice != 0
	}
	if err := run(&c, *out); err != nil {
		fmt.Fprintln(os.Stderr, "perfquick:", err)
		os.Exit(1)
	}
}

// run measures and reports. An interrupt takes the test bed down first.
func run(c *quick.Config, out string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := quick.Run(ctx, c)
	if report == nil {
		return err
	}
	return errors.Join(err, report.WriteTable(os.Stdout), report.WriteJSON(out))
}

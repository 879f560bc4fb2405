package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ztos/ztos/perf/rtt"
)

func main() {
	var to netip.Addr
	flag.TextVar(&to, "to", netip.Addr{}, "address to measure to")
	count := flag.Int("count", 2000, "echo requests")
	interval := flag.Duration("interval", 500*time.Microsecond, "time between two")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := rtt.Measure(ctx, to, *count, *interval)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rtt:", err)
		stop()
		os.Exit(1)
	}
}

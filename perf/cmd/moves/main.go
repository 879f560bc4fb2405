package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/ztos/ztos/perf/moves"
)

func main() {
	var o options
	flag.StringVar(&o.out, "o", "build/moves.json", "file for the result")
	flag.StringVar(&o.doc, "doc", "", "write the generated part of this file; none when empty")
	flag.StringVar(&o.run.Engine, "engine", "build/bin/ztos-engine", "the engine")
	flag.StringVar(&o.run.Topology, "lab", "lab/evpn.yaml", "topology of the lab")
	flag.StringVar(&o.rates, "rates", "1000,10000", "datagrams a second to each host, separated by commas")
	flag.IntVar(&o.run.Moves, "moves", 200, "hosts that move, at each rate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.main(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "moves:", err)
		os.Exit(1)
	}
}

type options struct {
	out, doc, rates string
	run             moves.Config
}

// main measures and writes what was asked for.
func (o *options) main(ctx context.Context) error {
	for s := range strings.SplitSeq(o.rates, ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("-rates: %w", err)
		}
		o.run.Rates = append(o.run.Rates, n)
	}
	st, err := os.Stderr.Stat()
	o.run.Progress, o.run.Terminal = os.Stderr, err == nil && st.Mode()&os.ModeCharDevice != 0
	r, err := moves.Measure(ctx, o.run)
	if err != nil {
		return err
	}
	errs := []error{r.WriteJSON(o.out), r.WriteTable(os.Stdout)}
	if o.doc != "" {
		errs = append(errs, r.WriteDoc(o.doc, "moves"))
	}
	return errors.Join(errs...)
}

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
	"time"

	"github.com/ztos/ztos/perf/routes"
)

func main() {
	var o options
	flag.StringVar(&o.out, "o", "build/routes.json", "file for the result")
	flag.StringVar(&o.from, "from", "", "measure nothing: read the results of these files, separated by commas, into one")
	flag.StringVar(&o.doc, "doc", "", "write the generated part of this file; none when empty")
	flag.StringVar(&o.run.Engine, "engine", "build/bin/ztos-engine", "the engine")
	flag.IntVar(&o.run.Rounds, "rounds", 3, "rounds, of which medians are shown")
	flag.DurationVar(&o.run.Limit, "limit", 10*time.Minute, "most time for one load or withdrawal")
	flag.StringVar(&o.sizes, "sizes", "10000,100000", "routes of each type, separated by commas")
	flag.BoolVar(&o.million, "million", false, "a million too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.main(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "routes:", err)
		os.Exit(1)
	}
}

type options struct {
	out, from, doc, sizes string
	million               bool
	run                   routes.Config
}

// main measures, or reads, and writes what was asked for. Lost datagrams are an
// error, once everything is written.
func (o *options) main(ctx context.Context) error {
	r, err := o.report(ctx)
	if err != nil {
		return err
	}
	errs := []error{r.WriteJSON(o.out), r.WriteTable(os.Stdout)}
	if o.doc != "" {
		errs = append(errs, r.WriteDoc(o.doc, "routes"))
	}
	if n := r.Lost(); n > 0 {
		errs = append(errs, fmt.Errorf("%d datagrams were lost while routes loaded", n))
	}
	return errors.Join(errs...)
}

// report returns the results to show.
func (o *options) report(ctx context.Context) (r *routes.Report, err error) {
	if o.from != "" {
		for path := range strings.SplitSeq(o.from, ",") {
			one, err := routes.ReadReport(path)
			if err != nil {
				return nil, err
			}
			if r == nil {
				r = one
			} else {
				r.Merge(one)
			}
		}
		return r, nil
	}
	if o.run.Sizes, err = sizes(o.sizes, o.million); err != nil {
		return nil, err
	}
	st, err := os.Stderr.Stat()
	o.run.Progress, o.run.Terminal = os.Stderr, err == nil && st.Mode()&os.ModeCharDevice != 0
	return routes.Measure(ctx, o.run)
}

// sizes reads the list of sizes.
func sizes(list string, million bool) (out []int, err error) {
	if list != "" {
		for s := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(s)
			if err != nil {
				return nil, fmt.Errorf("-sizes: %w", err)
			}
			out = append(out, n)
		}
	}
	if million {
		out = append(out, 1_000_000)
	}
	return out, nil
}

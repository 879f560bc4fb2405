package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ztos/ztos/perf/scale"
)

func main() {
	var o options
	flag.StringVar(&o.out, "o", "build/scale.json", "file for the result")
	flag.StringVar(&o.from, "from", "", "measure nothing: read the result of this file")
	flag.StringVar(&o.plots, "plots", "", "folder for the plots; none when empty")
	flag.StringVar(&o.doc, "doc", "", "write the generated part of this file; none when empty")
	flag.StringVar(&o.run.Binary, "engine", "build/bin/ztos-engine", "the engine")
	flag.StringVar(&o.run.Dir, "dir", "build/scale", "folder for documents, keys and logs")
	flag.DurationVar(&o.run.Idle, "idle", 5*time.Second, "time over which an idle engine is watched")
	flag.BoolVar(&o.quick, "quick", false, "sizes up to a tenth or so")
	only := flag.String("only", "", "series to measure, separated by commas: fdb, fib, vrf, vni, sa, peer; all when empty")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	o.run.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.main(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

type options struct {
	out, from, plots, doc string
	only                  []string
	quick                 bool
	run                   scale.Runner
}

// main measures, or reads, and writes what was asked for.
func (o *options) main(ctx context.Context) error {
	var r *scale.Report
	var err error
	if o.from != "" {
		if r, err = scale.ReadReport(o.from); err != nil {
			return err
		}
	} else {
		if o.run.Dir, err = filepath.Abs(o.run.Dir); err != nil {
			return err
		}
		plan := scale.Full
		if o.quick {
			plan = scale.Quick
		}
		if r, err = plan.Run(ctx, &o.run, o.only); err != nil {
			return err
		}
		if err := r.WriteJSON(o.out); err != nil {
			return err
		}
	}
	errs := []error{r.WriteTable(os.Stdout)}
	if o.plots != "" {
		errs = append(errs, r.WritePlots(o.plots))
	}
	if o.doc != "" {
		errs = append(errs, r.WriteDoc(o.doc, "scale"))
	}
	return errors.Join(errs...)
}

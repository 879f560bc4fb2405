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

	"github.com/ztos/ztos/perf/full"
)

// outputs are the files to write; empty ones are left out.
type outputs struct {
	json   string // the figures
	charts string // folder for the charts
	doc    string // document whose generated part is written again
}

func main() {
	c := full.Config{Progress: os.Stderr}
	var out outputs
	flag.StringVar(&out.json, "o", "build/perf.json", "file for the result")
	flag.StringVar(&out.charts, "charts", "build/perf-charts", "folder for the charts; none when empty")
	flag.StringVar(&out.doc, "doc", "", "document whose generated part is to be written from the result")
	from := flag.String("from", "", "result to read instead of measuring")
	flag.StringVar(&c.Topology, "lab", "perf/row.yaml", "topology of the test bed")
	flag.StringVar(&c.Engine, "engine", "build/bin/ztos-engine", "the engine")
	flag.StringVar(&c.WireGuardGo, "wireguard-go", "build/bin/wireguard-go", "the peer wireguard-go")
	flag.StringVar(&c.Nebula, "nebula", "nebula", "the peer nebula")
	flag.StringVar(&c.NebulaCert, "nebula-cert", "nebula-cert", "what makes its certificates")
	flag.StringVar(&c.UDPGen, "udpgen", "build/bin/udpgen", "the generator of UDP")
	flag.StringVar(&c.RTT, "rtt", "build/bin/rtt", "what measures round trips")
	flag.StringVar(&c.LogDir, "logs", "build/perf", "folder for the output of the processes")
	flag.StringVar(&c.Command, "command", strings.Join(os.Args, " "), "what the result says that it was made with")
	flag.IntVar(&c.Rounds, "rounds", 5, "rounds")
	flag.IntVar(&c.Sparse, "sparse", 3, "four TCP streams, UDP and round trips in one round of so many")
	only := flag.String("only", "", "modes to measure, separated by commas; all when empty: "+strings.Join(full.ModeNames(), ", "))
	cases := flag.String("cases", "", fmt.Sprintf("cases to measure, separated by commas; all when empty: %v", full.Cases))
	quick := flag.Bool("quick", false, "one round of the main modes")
	flag.DurationVar(&c.TCPTime, "tcp", 2*time.Second, "time of one TCP measurement, whole seconds")
	flag.DurationVar(&c.UDPTrial, "udp", 200*time.Millisecond, "time of an attempt at a UDP rate")
	flag.DurationVar(&c.UDPConfirm, "confirm", 700*time.Millisecond, "time of the attempt that confirms a UDP rate")
	flag.IntVar(&c.RTTCount, "pings", 2000, "round trips of one measurement")
	flag.DurationVar(&c.IdleTime, "idle", 5*time.Second, "time for which idle nodes are watched")
	flag.Parse()
	if *quick {
		c.Only, c.Rounds = full.MainModes, 1
	}
	if *only != "" {
		c.Only = strings.Split(*only, ",")
	}
	if *cases != "" {
		for name := range strings.SplitSeq(*cases, ",") {
			c.Cases = append(c.Cases, full.Case(name))
		}
	}
	if st, err := os.Stderr.Stat(); err == nil {
		c.Terminal = st.Mode()&os.ModeCharDevice != 0
	}
	if err := run(&c, *from, out); err != nil {
		fmt.Fprintln(os.Stderr, "perf:", err)
		os.Exit(1)
	}
}

// run measures, or reads a result, and reports. An interrupt takes the test bed
// down first, and what was measured until then is reported.
func run(c *full.Config, from string, out outputs) error {
	if from != "" {
		r, err := full.ReadJSON(from)
		if err != nil {
			return err
		}
		return errors.Join(r.WriteTable(os.Stdout), r.WriteAll("", out.charts, out.doc))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := full.Run(ctx, c)
	if r == nil {
		return err
	}
	return errors.Join(err, r.WriteTable(os.Stdout), r.WriteAll(out.json, out.charts, out.doc))
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ztos/ztos/perf/udpgen"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "udpgen:", err)
		os.Exit(1)
	}
}

// run runs one of the subcommands.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want recv, send or search")
	}
	switch args[0] {
	case "recv":
		return receive(ctx, args[1:])
	case "send", "search":
		return send(ctx, args[0], args[1:])
	}
	return fmt.Errorf("%q: want recv, send or search", args[0])
}

// receive counts until a signal.
func receive(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("recv", flag.ExitOnError)
	port := fs.Uint("port", 5300, "UDP port")
	control := fs.String("control", "udpgen.sock", "unix socket for senders")
	fs.Parse(args) // exits on an error
	r, err := udpgen.Listen(uint16(*port), *control)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { r.Close() })()
	fmt.Println("ready")
	return r.Serve()
}

// send makes one attempt, or searches.
func send(ctx context.Context, what string, args []string) error {
	fs := flag.NewFlagSet(what, flag.ExitOnError)
	var to netip.AddrPort
	fs.TextVar(&to, "to", netip.AddrPort{}, "address and port of the receiver")
	control := fs.String("control", "udpgen.sock", "unix socket of the receiver")
	size := fs.Int("size", 64, "UDP payload, bytes")
	offloads := fs.Bool("offloads", true, "super-frames (UDP_SEGMENT); false: single frames (AF_PACKET)")
	rate := fs.Float64("rate", 20000, "frames per second; of a search, to begin with")
	short := fs.Duration("time", 500*time.Millisecond, "length of an attempt")
	long := fs.Duration("confirm", time.Second, "length of the attempt that confirms a search")
	p := udpgen.Plan{Min: 1000, Max: 4e6, Confirms: 6}
	fs.Float64Var(&p.Step, "step", 2, "factor from one attempt of a search to the next, to begin with")
	fs.Float64Var(&p.Precision, "precision", 0.03, "precision of a search")
	fs.Float64Var(&p.MaxLoss, "max-loss", 0.001, "loss below which an attempt is good")
	verbose := fs.Bool("v", false, "write each attempt of a search to standard error")
	fs.IntVar(&p.Trials, "trials", 16, "most short attempts of a search")
	fs.Parse(args) // exits on an error
	p.Start = *rate

	s, err := udpgen.Dial(ctx, to, *control, *size, *offloads)
	if err != nil {
		return err
	}
	defer s.Close()
	out, progress := json.NewEncoder(os.Stdout), json.NewEncoder(os.Stderr)
	if what == "send" {
		t, err := s.Try(ctx, *rate, *short)
		if err != nil {
			return err
		}
		return out.Encode(t)
	}
	found, err := udpgen.Search(p, func(rate float64, isLong bool) (udpgen.Trial, error) {
		d := *short
		if isLong {
			d = *long
		}
		t, err := s.Try(ctx, rate, d)
		if *verbose && err == nil {
			err = progress.Encode(t)
		}
		return t, err
	})
	if err != nil {
		return err
	}
	return out.Encode(found)
}

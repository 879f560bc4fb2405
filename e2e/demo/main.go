// Command ztos-demo brings the standard lab with EVPN up, shows that it does what it
// should, with the checks that the end-to-end tests use, and takes it down.
//
// Usage: ztos-demo [-topology FILE] [-extension FILE] [-json FILE] [-engine FILE];
// KEEP=1 in the environment leaves the lab up. The last line is `demo: PASS`, exit code 0, or
// `demo: FAIL: ` with the first failure, exit code 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/lab"
)

func main() {
	topology := flag.String("topology", "lab/evpn.yaml", "topology `FILE`, with EVPN")
	extension := flag.String("extension", "lab/evpn-more.yaml", "what is added to it, `FILE`")
	report := flag.String("json", "build/demo.json", "where the results go, `FILE`")
	engine := flag.String("engine", "", "the ztos-engine program, `FILE` (default: beside this program)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	r := newReport(*topology)
	err := demo(ctx, r, *extension, *engine, os.Getenv("KEEP") == "1")
	if ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	r.end(err)
	if werr := r.write(*report); werr != nil && err == nil {
		err = werr
	}
	if err != nil {
		fmt.Printf("demo: FAIL: %s\n", firstLine(err))
		os.Exit(1)
	}
	fmt.Println("demo: PASS")
}

// demo runs the whole demonstration. The lab is taken down in any case, unless
// keep is set and it came up.
func demo(ctx context.Context, r *report, extension, engine string, keep bool) (err error) {
	t, err := lab.Load(r.Topology)
	if err != nil {
		return err
	}
	l, err := lab.New(t, lab.Options{EngineBinary: engine, Progress: r.progress})
	if err != nil {
		return err
	}
	if st, err := l.Status(); err == nil && st.Phase == lab.PhaseUp {
		r.say("the lab %s is up already, from an earlier run: it is taken down", t.Name)
		if err := l.Down(ctx); err != nil {
			return err
		}
	}
	r.say("ZTOS: %s", t.Description)
	start := time.Now()
	if err := l.Up(ctx); err != nil {
		return err
	}
	r.clear()
	r.say("lab %s is up: %d nodes, %.1f s", t.Name, len(t.Nodes), time.Since(start).Seconds())
	defer func() {
		if keep && ctx.Err() == nil {
			r.hints(l, t)
			return
		}
		err = errors.Join(err, l.Down(context.WithoutCancel(ctx)))
		r.clear()
	}()
	b := check.New(l, t)
	defer b.Close()
	b.Note = r.note
	steps := check.Show(extension)
	for i, s := range steps {
		if ctx.Err() != nil {
			break
		}
		r.begin(i+1, len(steps), s)
		from := time.Now()
		seen, result, err := s.Run(ctx, b)
		r.done(s, seen, result, err, time.Since(from))
	}
	r.table()
	return r.failure()
}

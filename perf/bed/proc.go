package bed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Proc is a process that runs in a node until the bed is closed.
type Proc struct {
	Name string
	Log  string // file with what it prints
	PID  int    // while it is alive

	process *os.Process
	stop    func()        // kills the process
	done    chan struct{} // closed when the process has ended
	err     error         // how; valid after done
}

// Start starts a command in node. name is for messages and for the log file.
// The process ends by itself, with Stop, or with the bed.
func (b *Bed) Start(node, name, stdin string, argv ...string) (*Proc, error) {
	ctx, stop := context.WithCancel(b.ctx)
	p := &Proc{Name: name, Log: filepath.Join(b.logs, name+".log"), stop: stop, done: make(chan struct{})}
	log, err := os.Create(p.Log)
	if err != nil {
		stop()
		return nil, fmt.Errorf("bed: %w", err)
	}
	defer log.Close() // the child has its own
	cmd, err := b.lab.Command(ctx, node, argv...)
	if err != nil {
		stop()
		return nil, fmt.Errorf("bed: %w", err)
	}
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("bed: start %s: %w", name, err)
	}
	p.process, p.PID = cmd.Process, cmd.Process.Pid
	b.running.Go(func() {
		p.err = cmd.Wait()
		stop()
		close(p.done)
	})
	return p, nil
}

// Stop kills the process and waits until it has ended. It may be called more
// than once.
func (p *Proc) Stop() {
	p.stop()
	<-p.done
}

// Alive returns nil while the process runs, and otherwise how it ended with
// the end of its log.
func (p *Proc) Alive() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	text, err := os.ReadFile(p.Log)
	if err != nil {
		text = []byte(err.Error())
	}
	const tail = 600
	text = text[max(0, len(text)-tail):]
	return fmt.Errorf("bed: %s ended (%v): %s", p.Name, p.err, strings.TrimSpace(string(text)))
}

// Signal sends a signal to the process. The error is os.ErrProcessDone's when it
// has ended.
func (p *Proc) Signal(s os.Signal) error {
	if err := p.process.Signal(s); err != nil {
		return fmt.Errorf("bed: %s: %w", p.Name, err)
	}
	return nil
}

// Wait tries ready every 50 ms until it returns nil. It gives up with its last
// error when limit is over or one of procs has ended.
func Wait(ctx context.Context, limit time.Duration, ready func() error, procs ...*Proc) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		for _, p := range procs {
			if err := p.Alive(); err != nil {
				return err
			}
		}
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("bed: not ready after %v: %w", limit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/lab/netplumb"
)

// Engine is a ztos-engine process that runs a Site in a namespace of its own, or
// another document in a namespace that somebody else has made.
type Engine struct {
	site   *Site // nil: not a Site's
	ns     string
	socket string // of its API
	path   string // of the document
	cmd    *exec.Cmd
	log    *os.File
	api    *client.Client
	done   chan struct{}

	// Started is the time from the process's start until the API answered with a
	// configuration in force.
	Started time.Duration
}

// startLimit is how long an engine may take to be ready.
const startLimit = 5 * time.Minute

// StartEngine runs the binary with s's document in a new namespace and waits
// until it is ready. Close it.
func StartEngine(ctx context.Context, binary string, s *Site) (*Engine, error) {
	ns := fmt.Sprintf("ztos-scale-%d", os.Getpid())
	if err := netplumb.Create(ns); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	e, err := RunEngine(ctx, binary, ns, s.Dir, s.Socket(), s.Document(0))
	if err != nil {
		return nil, errors.Join(err, netplumb.Delete(ns))
	}
	e.site = s
	return e, nil
}

// RunEngine runs the binary with a document in a namespace that exists, and waits
// until it is ready. dir, which exists, is for the document and the log; socket is
// where the document has the API. Close it; the namespace stays.
func RunEngine(ctx context.Context, binary, ns, dir, socket string, doc []byte) (_ *Engine, err error) {
	e := &Engine{ns: ns, socket: socket, path: filepath.Join(dir, "engine.yaml"), done: make(chan struct{})}
	if err := os.WriteFile(e.path, doc, 0o600); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.log, err = os.Create(filepath.Join(dir, "engine.log")); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	if e.api, err = client.Dial(socket); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	cmd := exec.Command(binary, "run", "--config", e.path)
	cmd.Stdout, cmd.Stderr = e.log, e.log
	began := time.Now()
	if err := netplumb.Start(ns, cmd); err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	e.cmd = cmd
	go func() {
		cmd.Wait() //nolint:errcheck // how it ended is in its log
		close(e.done)
	}()
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	e.Started = time.Since(began)
	return e, nil
}

// ready waits for the API. It looks at the socket first: a gRPC client that was
// refused once waits long before it tries again.
func (e *Engine) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		if c, err := net.Dial("unix", e.socket); err == nil {
			c.Close()
			if st, err := e.api.Status(ctx); err == nil && st.Generation > 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("scale: engine not ready: %w", ctx.Err())
		case <-e.done:
			text, _ := os.ReadFile(e.log.Name()) //nolint:errcheck // the end is reported anyway
			return fmt.Errorf("scale: engine ended: %s", text[max(0, len(text)-600):])
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// API returns the client of the engine's API. It lives until Close.
func (e *Engine) API() *client.Client { return e.api }

// PID returns the engine's process.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Apply sends the document with change number changed by the API and returns how
// long it took.
func (e *Engine) Apply(ctx context.Context, changed int) (time.Duration, error) {
	doc := e.site.Document(changed)
	began := time.Now()
	if _, err := e.api.Apply(ctx, doc, false); err != nil {
		return 0, fmt.Errorf("scale: apply: %w", err)
	}
	return time.Since(began), nil
}

// Reload writes the document with change number changed, sends SIGHUP and
// returns the time until the new generation is in force.
func (e *Engine) Reload(ctx context.Context, changed int) (time.Duration, error) {
	before, err := e.api.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("scale: %w", err)
	}
	if err := os.WriteFile(e.path, e.site.Document(changed), 0o600); err != nil {
		return 0, fmt.Errorf("scale: %w", err)
	}
	began := time.Now()
	if err := e.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, fmt.Errorf("scale: %w", err)
	}
	for {
		st, err := e.api.Status(ctx)
		switch {
		case err != nil:
			return 0, fmt.Errorf("scale: %w", err)
		case st.Generation > before.Generation:
			return time.Since(began), nil
		case time.Since(began) > startLimit:
			return 0, errors.New("scale: SIGHUP: no new generation")
		}
		time.Sleep(time.Millisecond)
	}
}

// CPU returns the processor time that the engine has used.
func (e *Engine) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("scale: %w", err)
	}
	// Fields 14 and 15, counted from behind the name, which may hold blanks.
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, errors.New("scale: /proc/PID/stat is too short")
	}
	var ticks uint64
	for _, s := range f[11:13] {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("scale: /proc/PID/stat: %w", err)
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, which Linux fixes for user space
	return time.Duration(ticks) * time.Second / perSecond, nil
}

// Idle returns which part of one CPU the engine uses over d while nobody asks it
// anything; 1 is all of it.
func (e *Engine) Idle(d time.Duration) (float64, error) {
	a, err := e.CPU()
	if err != nil {
		return 0, err
	}
	time.Sleep(d)
	b, err := e.CPU()
	return (b - a).Seconds() / d.Seconds(), err
}

// RSS returns the resident memory of the engine, bytes.
func (e *Engine) RSS() (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("scale: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kb uint64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("scale: no VmRSS")
}

// Scrape reads the metrics once and returns the time it took and the bytes.
func (e *Engine) Scrape(ctx context.Context) (took time.Duration, size int, err error) {
	began := time.Now()
	body, err := e.get(ctx, "/metrics")
	return time.Since(began), len(body), err
}

// get reads a page of the engine's metrics server.
func (e *Engine) get(ctx context.Context, page string) ([]byte, error) {
	t := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		err = netplumb.Do(e.ns, func() error {
			var d net.Dialer
			var err error
			c, err = d.DialContext(ctx, network, addr)
			return err
		})
		return c, err
	}}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:9464"+page, nil)
	if err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("scale: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("scale: %s: %w", page, err)
	}
	return body, nil
}

// Profile writes seconds of CPU profile to path.
func (e *Engine) Profile(ctx context.Context, seconds int, path string) error {
	body, err := e.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
	if err != nil {
		return err
	}
	return os.WriteFile(path, body, 0o644)
}

// Close ends the process, and takes the namespace of a Site away.
func (e *Engine) Close() error {
	var errs []error
	if e.api != nil {
		errs = append(errs, e.api.Close())
	}
	if e.cmd != nil {
		e.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		select {
		case <-e.done:
		case <-time.After(time.Minute):
			errs = append(errs, errors.New("scale: the engine does not end"), e.cmd.Process.Kill())
			<-e.done
		}
	}
	if e.log != nil {
		errs = append(errs, e.log.Close())
	}
	if e.site != nil {
		errs = append(errs, netplumb.Delete(e.ns))
	}
	return errors.Join(errs...)
}

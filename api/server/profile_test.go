package server_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/api/nodetest"
	"github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/config"
)

// TestProfile: a profile arrives whole, also in several pieces, and a second one
// meanwhile is refused in words.
func TestProfile(t *testing.T) {
	_, c := serve(t, nodetest.New())
	ctx := context10(t)
	var out bytes.Buffer
	if err := c.Profile(ctx, profile.Request{Kind: profile.Goroutine}, &out); err != nil {
		t.Fatal(err)
	}
	p, err := pprofile.Parse(&out)
	if err != nil || len(p.Sample) == 0 {
		t.Fatalf("%v, %v", p, err)
	}
	begun := make(chan struct{})
	done := make(chan error, 1)
	var tr bytes.Buffer
	go func() {
		q := profile.Request{Kind: profile.Trace, Duration: time.Second, Begun: func() { close(begun) }}
		done <- c.Profile(ctx, q, &tr)
	}()
	<-begun
	err = c.Profile(ctx, profile.Request{Kind: profile.Heap}, &out)
	if err == nil || !strings.Contains(err.Error(), "being taken already") {
		t.Errorf("the second: %v", err)
	}
	if err := <-done; err != nil || !bytes.HasPrefix(tr.Bytes(), []byte("go 1.")) {
		t.Errorf("trace: %.20q, %v", tr.Bytes(), err)
	}
	bad := profile.Request{Kind: profile.CPU, Duration: time.Hour}
	if _, ok := errors.AsType[config.Faults](c.Profile(ctx, bad, &out)); !ok {
		t.Error("an hour was accepted")
	}
	full := errors.New("disk full")
	if err := c.Profile(ctx, profile.Request{Kind: profile.Goroutine}, failing{full}); !errors.Is(err, full) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type failing struct{ err error }

// Write fails.
func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestProfileEnds: with its caller, and with the server; nothing stays switched
// on.
func TestProfileEnds(t *testing.T) {
	s, c := serve(t, nodetest.New())
	for _, kind := range []profile.Kind{profile.CPU, profile.Trace, profile.Block} {
		ctx, cancel := context.WithCancel(context10(t))
		q := profile.Request{Kind: kind, Duration: time.Minute, Begun: cancel}
		if err := c.Profile(ctx, q, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", kind, err)
		}
		// The engine hears of it a moment later.
		for ready := false; !ready; {
			ctx := context10(t)
			err := c.Profile(ctx, profile.Request{Kind: profile.Goroutine}, &bytes.Buffer{})
			if ready = err == nil; !ready && ctx.Err() != nil {
				t.Fatalf("%v: no room after it was cancelled: %v", kind, err)
			}
		}
	}
	q := profile.Request{Kind: profile.CPU, Duration: time.Minute, Begun: func() { go s.Close() }}
	if err := c.Profile(context10(t), q, &bytes.Buffer{}); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("at close: %v", err)
	}
	if err := profile.Take(t.Context(), profile.Request{Kind: profile.CPU, Duration: time.Second}, &bytes.Buffer{}); err != nil {
		t.Errorf("after close: %v", err)
	}
}

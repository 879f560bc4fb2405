package check

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// watch is a writer that waits for a text to come by.
type watch struct {
	text  []byte
	found chan struct{}

	mu   sync.Mutex
	seen []byte
	done bool
}

func newWatch(text string) *watch {
	return &watch{text: []byte(text), found: make(chan struct{})}
}

// Write implements io.Writer and never fails.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return len(p), nil
	}
	w.seen = append(w.seen, p...)
	if bytes.Contains(w.seen, w.text) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}

// await waits until the text was written.
func (w *watch) await(ctx context.Context, most time.Duration) error {
	select {
	case <-w.found:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(most):
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("%q not seen within %v: %s", w.text, most, tail(string(w.seen), 200))
	}
}

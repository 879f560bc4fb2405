package check

import (
	"context"
	"fmt"
	"time"
)

// looker looks at something again and again until it is ended or a look fails.
type looker struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // when done
}

// startLook looks every 50 ms. look is called by one goroutine; it is not cut off.
func startLook(ctx context.Context, look func() error) *looker {
	until, cancel := context.WithCancel(ctx)
	l := &looker{cancel: cancel, done: make(chan struct{})}
	start := time.Now()
	go func() {
		defer close(l.done)
		for until.Err() == nil && l.err == nil {
			if err := look(); err != nil {
				l.err = fmt.Errorf("after %.1f s: %w", time.Since(start).Seconds(), err)
			}
			pause(until, 50*time.Millisecond)
		}
	}()
	return l
}

// end returns the error of the look that failed.
func (l *looker) end() error {
	l.cancel()
	<-l.done
	return l.err
}

package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

// Bounds of what one profile can cost.
const (
	MinDuration = time.Second
	MaxDuration = 60 * time.Second
	// MaxTrace is how many bytes of an execution trace are kept. A trace that
	// would become longer ends early and is good up to there: 64 MiB are about
	// 30 s of an engine under full load.
	MaxTrace = 64 << 20
)

// Rates of block and mutex profiles while they are taken.
const (
	// blockRate: every wait of 10 us and longer is recorded, of shorter ones a
	// share in proportion. ns.
	blockRate = 10_000
	// mutexFraction: one of so many contentions is recorded.
	mutexFraction = 10
)

// Errors of Take.
var (
	ErrBusy     = errors.New("a profile is being taken already, one at a time")
	ErrDuration = fmt.Errorf("a profile takes %v to %v", MinDuration, MaxDuration)
)

// Request asks for a profile.
type Request struct {
	Kind Kind
	// Duration is MinDuration to MaxDuration; not used by kinds of one moment.
	Duration time.Duration
	// Begun is called once when the time begins to run; may be nil.
	Begun func()
}

// Check returns what is wrong with the request: an unknown kind, ErrDuration.
func (q Request) Check() error {
	if q.Kind < CPU || q.Kind > Trace {
		return fmt.Errorf("profile: no kind is called %v", q.Kind)
	}
	if q.Kind.Timed() && (q.Duration < MinDuration || q.Duration > MaxDuration) {
		return fmt.Errorf("profile: %v: %w", q.Duration, ErrDuration)
	}
	return nil
}

// turn belongs to who takes a profile: the runtime's profilers are the
// process's, not ours.
var turn sync.Mutex

// Take takes a profile of this process and then writes it to w. Others are
// refused until w has it all, which bounds the memory that callers can hold.
// Any goroutine. Errors: ErrBusy, those of Check, ctx's when it ends before the
// profile is complete, w's, and the runtime's when somebody else uses its
// profiler. After any of them everything that was switched on is off again.
func Take(ctx context.Context, q Request, w io.Writer) error {
	if err := q.Check(); err != nil {
		return err
	}
	if !turn.TryLock() {
		return ErrBusy
	}
	defer turn.Unlock()
	if q.Begun == nil {
		q.Begun = func() {}
	}
	var out bytes.Buffer
	var err error
	switch q.Kind {
	case CPU:
		err = takeCPU(ctx, q, &out)
	case Block:
		runtime.SetBlockProfileRate(blockRate)
		err = takeDelta(ctx, q, "block", &out, func() { runtime.SetBlockProfileRate(0) })
	case Mutex:
		runtime.SetMutexProfileFraction(mutexFraction)
		err = takeDelta(ctx, q, "mutex", &out, func() { runtime.SetMutexProfileFraction(0) })
	case Trace:
		err = takeTrace(ctx, q, &out)
	case Heap, Goroutine:
		q.Begun()
		if q.Kind == Heap {
			runtime.GC() // the profile is as of the last collection
		}
		// Debug level 0: the text forms of higher ones show arguments.
		err = pprof.Lookup(q.Kind.String()).WriteTo(&out, 0)
	}
	if err != nil {
		return fmt.Errorf("profile: %s: %w", q.Kind, err)
	}
	_, err = out.WriteTo(w)
	return err
}

// wait returns nil when the duration is over or full is closed, and ctx's error
// if that ends first.
func wait(ctx context.Context, d time.Duration, full <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-full:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func takeCPU(ctx context.Context, q Request, out *bytes.Buffer) error {
	if err := pprof.StartCPUProfile(out); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	q.Begun()
	if err := wait(ctx, q.Duration, nil); err != nil {
		return err
	}
	pprof.StopCPUProfile() // it writes now; a second call does nothing
	return nil
}

// takeDelta takes a profile whose rate has just been set, without what earlier
// ones have left in it: the runtime only ever adds. off sets the rate to zero.
func takeDelta(ctx context.Context, q Request, name string, out *bytes.Buffer, off func()) error {
	defer off()
	before, err := lookup(name)
	if err != nil {
		return err
	}
	start := time.Now()
	q.Begun()
	if err := wait(ctx, q.Duration, nil); err != nil {
		return err
	}
	off()
	after, err := lookup(name)
	if err != nil {
		return err
	}
	before.Scale(-1)
	delta, err := profile.Merge([]*profile.Profile{before, after})
	if err != nil {
		return err
	}
	delta.TimeNanos, delta.DurationNanos = start.UnixNano(), int64(time.Since(start))
	return delta.Write(out)
}

// lookup returns one of the runtime's profiles as it is now.
func lookup(name string) (*profile.Profile, error) {
	var b bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&b, 0); err != nil {
		return nil, err
	}
	return profile.Parse(&b)
}

func takeTrace(ctx context.Context, q Request, out *bytes.Buffer) error {
	w := &boundWriter{to: out, left: MaxTrace, full: make(chan struct{})}
	if err := trace.Start(w); err != nil {
		return err
	}
	q.Begun()
	err := wait(ctx, q.Duration, w.full)
	trace.Stop() // returns when the last byte is written
	return err
}

// boundWriter keeps what is written and says when there is enough. What comes
// after that is kept too, so that a trace has its end: the runtime's buffers at
// that moment.
type boundWriter struct {
	to   *bytes.Buffer
	left int           // bytes until full
	full chan struct{} // closed when there is enough
}

// Write never fails and never waits: the runtime would hoard what it cannot
// write.
func (w *boundWriter) Write(b []byte) (int, error) {
	if w.left > 0 {
		if w.left -= len(b); w.left <= 0 {
			close(w.full)
		}
	}
	return w.to.Write(b)
}

package fabric_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/worker"
)

const module = "github.com/ztos/ztos/"

// standIns are what plays the kernel in these tests: their locks are a kernel's.
var standIns = []string{"engine/port/mem.", "engine/underlay/mem."}

// rareLocks are locks that a worker may take, with the reason why that is no
// lock on a frame's path.
var rareLocks = map[string]string{
	"wireguard.(*Peer).move":    "once when a peer's endpoint moves",
	"wireguard.(*Peer).confirm": "once a session, at its first message",
}

// contended returns the places where a worker waited, or made others wait, for
// a lock that is neither a stand-in's nor a rare one. recs are samples of the
// mutex or the block profile; guilty adds to the graphs whose locks count.
func contended(recs []runtime.BlockProfileRecord) (found []string) {
	for i := range recs {
		var stack []string
		frames := runtime.CallersFrames(recs[i].Stack())
		for {
			f, more := frames.Next()
			stack = append(stack, f.Function)
			if !more {
				break
			}
		}
		if !slices.ContainsFunc(stack, func(s string) bool { return strings.HasSuffix(s, ").Step") || strings.HasSuffix(s, ".step") }) {
			continue // not a worker's
		}
		owner := slices.IndexFunc(stack, func(s string) bool { return strings.HasPrefix(s, module) })
		name := strings.TrimPrefix(stack[owner], module)
		if slices.ContainsFunc(standIns, func(s string) bool { return strings.HasPrefix(name, s) }) || rareLocks[name] != "" {
			continue
		}
		// What the runtime locks for itself (scheduler, timers, collector) is
		// none of ours; what it locks for a channel is.
		if !slices.ContainsFunc(stack[:owner], isLock) {
			continue
		}
		found = append(found, fmt.Sprintf("%d times in %s by %s", recs[i].Count, name, stack[max(owner-1, 0)]))
	}
	return found
}

// isLock reports whether f is an operation by which goroutines wait for each
// other.
func isLock(f string) bool {
	return strings.HasPrefix(f, "sync.(*") || strings.HasPrefix(f, "runtime.chan") || strings.HasPrefix(f, "runtime.select")
}

// profiled runs f and returns what the mutex and the block profile gained
// meanwhile.
func profiled(f func()) (mutex, block []runtime.BlockProfileRecord) {
	old := runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	defer runtime.SetMutexProfileFraction(old)
	defer runtime.SetBlockProfileRate(0)
	mutexBefore, blockBefore := samples(runtime.MutexProfile), samples(runtime.BlockProfile)
	f()
	return gain(samples(runtime.MutexProfile), mutexBefore), gain(samples(runtime.BlockProfile), blockBefore)
}

func samples(get func([]runtime.BlockProfileRecord) (int, bool)) []runtime.BlockProfileRecord {
	for n := 256; ; n *= 2 {
		recs := make([]runtime.BlockProfileRecord, n)
		if got, ok := get(recs); ok {
			return recs[:got]
		}
	}
}

// gain returns the samples of after that before has not, or has fewer of.
func gain(after, before []runtime.BlockProfileRecord) (out []runtime.BlockProfileRecord) {
	was := map[[32]uintptr]int64{}
	for _, r := range before {
		was[r.Stack0] += r.Count
	}
	for _, r := range after {
		if r.Count -= was[r.Stack0]; r.Count > 0 {
			out = append(out, r)
		}
	}
	return out
}

// TestNoSharedLock: while all queues are busy and control publishes, rolls keys
// over and looks at everything, no worker waits for a lock but those of the
// kernel's stand-ins, nor makes another one wait.
func TestNoSharedLock(t *testing.T) {
	queues, flows, rounds := size()
	c := newCrowd(t, true, queues, flows, rounds)
	mutex, block := profiled(func() {
		c.start()
		defer c.end()
		c.busyControl()
		c.run(c.rollOver)
	})
	for _, s := range contended(mutex) {
		t.Error("others waited for a lock:", s)
	}
	for _, s := range contended(block) {
		t.Error("a worker waited for a lock:", s)
	}
	t.Logf("%d places in the mutex profile, %d in the block profile", len(mutex), len(block))
}

// sharer is a graph with a lock that it shares with others.
type sharer struct {
	worker.Graph
	mu *sync.Mutex
}

func (s sharer) Step() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Graph.Step()
}

// TestSharedLockIsFound: the judge of TestNoSharedLock finds a lock that workers
// do share.
func TestSharedLockIsFound(t *testing.T) {
	c := newCrowd(t, false, 2, 24, 20)
	var mu sync.Mutex
	for _, n := range c.nodes {
		for i := range n.graphs {
			n.graphs[i].Graph = sharer{n.graphs[i].Graph, &mu}
		}
	}
	mutex, block := profiled(func() {
		c.start()
		defer c.end()
		c.run(nil)
	})
	for what, found := range map[string][]string{"mutex": contended(mutex), "block": contended(block)} {
		if !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "sharer.Step") }) {
			t.Errorf("the %s profile does not show the shared lock: %v", what, found)
		}
	}
}

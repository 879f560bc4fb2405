package profile_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	"github.com/ztos/ztos/api/profile"
)

// hold returns memory in so large a piece that the sampling of allocations, one
// in 512 KiB on average, cannot miss it (chance e^-64).
func hold() []byte { return make([]byte, 32<<20) }

// work is what a profile shall find: waiting, locks, arithmetic and memory in
// use. It closes begun once it is under way.
func work(begun chan<- struct{}, stop <-chan struct{}) {
	held := hold()
	defer runtime.KeepAlive(held)
	var mu sync.Mutex
	ping := make(chan int)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range ping {
			contend(&mu, n)
		}
	})
	for n := 0; ; n++ {
		if n == 1 {
			close(begun)
		}
		select {
		case ping <- n:
			contend(&mu, n)
		case <-stop:
			close(ping)
			wg.Wait()
			return
		}
	}
}

// contend holds mu for long enough that somebody waits for it.
func contend(mu *sync.Mutex, n int) {
	mu.Lock()
	defer mu.Unlock()
	for i := range 2000 {
		n += i * n
	}
	runtime.Gosched()
	sink = n
}

var sink int

// during runs fn while there is work: not before it, as a profile that is one
// moment's would then hold a goroutine that has not got to work yet.
func during(fn func()) {
	begun, stop := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { work(begun, stop) })
	<-begun
	fn()
	close(stop)
	wg.Wait()
}

// total returns the sum of the last value of every sample on whose stack name
// is.
func total(p *pprofile.Profile, name string) (sum int64) {
	for _, s := range p.Sample {
		on := slices.ContainsFunc(s.Location, func(l *pprofile.Location) bool {
			return slices.ContainsFunc(l.Line, func(n pprofile.Line) bool { return strings.HasSuffix(n.Function.Name, name) })
		})
		if on {
			sum += s.Value[len(s.Value)-1]
		}
	}
	return sum
}

// TestKinds takes each kind and finds in it what the process did.
func TestKinds(t *testing.T) {
	where := map[profile.Kind]string{
		profile.CPU: "profile_test.contend", profile.Block: "profile_test.work", profile.Mutex: "profile_test.contend",
		profile.Heap: "profile_test.hold", profile.Goroutine: "profile_test.work",
	}
	for _, name := range profile.Kinds() {
		kind, err := profile.ParseKind(name)
		if err != nil || kind.String() != name {
			t.Fatalf("%s: %v, %v", name, kind, err)
		}
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			begun := 0
			q := profile.Request{Kind: kind, Duration: time.Second, Begun: func() { begun++ }}
			var took time.Duration
			during(func() {
				start := time.Now()
				if err := profile.Take(t.Context(), q, &out); err != nil {
					t.Fatal(err)
				}
				took = time.Since(start)
			})
			if kind.Timed() && took < q.Duration {
				t.Errorf("it took %v", took)
			}
			if begun != 1 {
				t.Errorf("it began %d times", begun)
			}
			if kind == profile.Trace {
				if !bytes.HasPrefix(out.Bytes(), []byte("go 1.")) {
					t.Errorf("not an execution trace: %.20q", out.Bytes())
				}
				return
			}
			p, err := pprofile.Parse(&out)
			if err != nil {
				t.Fatal(err)
			}
			if got := total(p, where[kind]); got <= 0 {
				t.Errorf("nothing at %q:\n%v", where[kind], p)
			}
			// The runtime begins to count in a goroutine of its own, which may be late.
			if covers := time.Duration(p.DurationNanos); kind.Timed() && (covers < q.Duration/2 || covers > took) {
				t.Errorf("it covers %v of %v", covers, took)
			}
		})
	}
}

// TestRatesAreOff: a block or mutex profile holds nothing of the time before
// it, and nothing is recorded when it has ended.
func TestRatesAreOff(t *testing.T) {
	for _, kind := range []profile.Kind{profile.Block, profile.Mutex} {
		take := func() *pprofile.Profile {
			var out bytes.Buffer
			if err := profile.Take(t.Context(), profile.Request{Kind: kind, Duration: time.Second}, &out); err != nil {
				t.Fatal(err)
			}
			p, err := pprofile.Parse(&out)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		during(func() { take() })
		if got := total(take(), "profile_test.contend"); got != 0 {
			t.Errorf("%v: %d of an earlier profile", kind, got)
		}
		before := pprof.Lookup(kind.String()).Count()
		during(func() { time.Sleep(20 * time.Millisecond) })
		if after := pprof.Lookup(kind.String()).Count(); after != before {
			t.Errorf("%v: %d stacks more without a profile", kind, after-before)
		}
	}
	if rate := runtime.SetMutexProfileFraction(-1); rate != 0 {
		t.Errorf("the mutex rate is %d", rate)
	}
}

// TestOneAtATime: a second profile is refused, and a cancelled one leaves
// everything ready for the next.
func TestOneAtATime(t *testing.T) {
	for _, kind := range []profile.Kind{profile.CPU, profile.Block, profile.Mutex, profile.Trace} {
		ctx, cancel := context.WithCancel(t.Context())
		var second error
		err := profile.Take(ctx, profile.Request{Kind: kind, Duration: time.Minute, Begun: func() {
			second = profile.Take(ctx, profile.Request{Kind: profile.Heap}, &bytes.Buffer{})
			cancel()
		}}, &bytes.Buffer{})
		if !errors.Is(second, profile.ErrBusy) {
			t.Errorf("%v: the second got %v", kind, second)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v: cancelled: %v", kind, err)
		}
	}
	for _, kind := range []profile.Kind{profile.CPU, profile.Trace} {
		if err := profile.Take(t.Context(), profile.Request{Kind: kind, Duration: time.Second}, &bytes.Buffer{}); err != nil {
			t.Errorf("%v afterwards: %v", kind, err)
		}
	}
}

// TestSomebodyElse: who uses the runtime's profiler beside us keeps it.
func TestSomebodyElse(t *testing.T) {
	if err := pprof.StartCPUProfile(&bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	err := profile.Take(t.Context(), profile.Request{Kind: profile.CPU, Duration: time.Second}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		q    profile.Request
		ok   bool
	}{
		{"no kind", profile.Request{Duration: time.Second}, false},
		{"unknown kind", profile.Request{Kind: profile.Trace + 1, Duration: time.Second}, false},
		{"too short", profile.Request{Kind: profile.CPU, Duration: time.Second - 1}, false},
		{"too long", profile.Request{Kind: profile.CPU, Duration: time.Minute + 1}, false},
		{"longest", profile.Request{Kind: profile.CPU, Duration: time.Minute}, true},
		{"a moment needs no time", profile.Request{Kind: profile.Heap}, true},
	} {
		if err := tt.q.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := profile.ParseKind("threads"); err == nil || !strings.Contains(err.Error(), "cpu, heap") {
		t.Errorf("got %v", err)
	}
}

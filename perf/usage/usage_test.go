package usage_test

import (
	"os"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/usage"
)

func TestParse(t *testing.T) {
	// A command may have blanks and brackets in its name.
	got, err := usage.ParseStat([]byte("42 (a) b ) S 1 42 42 0 -1 4194304 100 0 0 0 123 77 5 6 20 0 9 0 1000 1 1"))
	if err != nil || got != 2*time.Second {
		t.Errorf("stat: %v, %v, want 2 s", got, err)
	}
	rss, err := usage.ParseStatus("Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\nThreads:\t3\n")
	if err != nil || rss != 512<<10 {
		t.Errorf("status: %v, %v, want 512 KiB", rss, err)
	}
	busy, err := usage.ParseSystem("cpu  100 10 50 9999 999 20 20 777 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
	if err != nil || busy != 2*time.Second {
		t.Errorf("system: %v, %v, want 2 s", busy, err)
	}
}

func TestParseFaults(t *testing.T) {
	for _, text := range []string{"", "1 (x) S 1", "1 (x) S 1 2 3 4 5 6 7 8 9 10 x y 1"} {
		if _, err := usage.ParseStat([]byte(text)); err == nil {
			t.Errorf("stat %q: no error", text)
		}
	}
	if _, err := usage.ParseStatus("VmSize:\t1 kB\n"); err == nil {
		t.Error("status without VmRSS: no error")
	}
	for _, text := range []string{"", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3"} {
		if _, err := usage.ParseSystem(text); err == nil {
			t.Errorf("system %q: no error", text)
		}
	}
}

// TestSelf: what this process uses grows, and the machine's grows with it.
func TestSelf(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := usage.CPU(self)
	if err != nil {
		t.Fatal(err)
	}
	for x, now := 0, before; now < before+50*time.Millisecond; x++ {
		if x%1e6 == 0 {
			if now, err = usage.CPU(self); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rss, err := usage.RSS(self); err != nil || rss < 1<<20 {
		t.Errorf("RSS %d, %v", rss, err)
	}
	if busy, err := usage.System(); err != nil || busy < 50*time.Millisecond {
		t.Errorf("system %v, %v", busy, err)
	}
	if _, err := usage.CPU([]int{-1}); err == nil {
		t.Error("CPU of process -1: no error")
	}
}

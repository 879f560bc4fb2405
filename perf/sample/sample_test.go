package sample_test

import (
	"math"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/ztos/ztos/perf/sample"
)

// stacks makes a CPU profile of stacks, the leaf first, with their milliseconds.
func stacks(of map[string][]string, ms map[string]int64) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	functions := map[string]*profile.Location{}
	for key, stack := range of {
		s := &profile.Sample{Value: []int64{ms[key] / 10, ms[key] * 1e6}}
		for _, name := range stack {
			l := functions[name]
			if l == nil {
				id := uint64(len(functions) + 1)
				f := &profile.Function{ID: id, Name: name}
				l = &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
				functions[name] = l
				p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			}
			s.Location = append(s.Location, l)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		function string
		want     sample.Family
		cipher   bool
		kernel   bool
	}{
		{"github.com/ztos/ztos/crypto/aead.(*serial).Seal", sample.Crypto, true, false},
		{"github.com/ztos/ztos/crypto/chachapoly.seal8", sample.Crypto, true, false},
		{"github.com/ztos/ztos/crypto/replay.(*Window).Check", sample.Engine, false, false},
		{"github.com/ztos/ztos/crypto/secret.(*Key).With", sample.Engine, false, false},
		{"crypto/internal/fips140/aes/gcm.gcmAesEnc", sample.Crypto, true, false},
		{"golang.org/x/crypto/chacha20poly1305.chacha20Poly1305Open", sample.Crypto, true, false},
		{"golang.org/x/crypto/internal/poly1305.update", sample.Crypto, true, false},
		{"golang.org/x/crypto/blake2s.hashBlocks", sample.Crypto, false, false},
		{"golang.org/x/cryptobyte.x", sample.Other, false, false},
		{"internal/runtime/syscall/linux.Syscall6", sample.Kernel, false, true},
		{"syscall.RawSyscall6", sample.Kernel, false, true},
		{"syscall.rawSyscallNoError", sample.Kernel, false, true},
		{"syscall.anyToSockaddr", sample.Kernel, false, false},
		{"runtime.futex", sample.Kernel, false, true},
		{"runtime.futexsleep", sample.Runtime, false, false},
		{"golang.org/x/sys/unix.Syscall6", sample.Kernel, false, true},
		{"golang.org/x/sys/unix.PollOne", sample.Kernel, false, false},
		{"github.com/ztos/ztos/macsec.(*TxSA).protect", sample.Engine, false, false},
		{"main.main", sample.Engine, false, false},
		{"runtime.memmove", sample.Runtime, false, false},
		{"internal/runtime/maps.(*Map).get", sample.Runtime, false, false},
		{"aeshashbody", sample.Runtime, false, false},
		{"slices.Index[go.shape.[]github.com/ztos/ztos/crypto/aead.Op,go.shape.int]", sample.Other, false, false},
		{"google.golang.org/grpc.(*Server).serveStreams", sample.Other, false, false},
	} {
		if got := sample.Of(tt.function); got != tt.want {
			t.Errorf("%s is %v, want %v", tt.function, got, tt.want)
		}
		if got := sample.Cipher(tt.function); got != tt.cipher {
			t.Errorf("%s is a cipher's: %v", tt.function, got)
		}
		if got := sample.EntersKernel(tt.function); got != tt.kernel {
			t.Errorf("%s enters the kernel: %v", tt.function, got)
		}
	}
}

// example has 1 s: 300 ms in ciphers, 400 ms in the kernel, 200 ms in the
// engine, 100 ms in the runtime.
func example() *profile.Profile {
	const step, seal = "github.com/ztos/ztos/fabric.(*LeafIn).Step", "github.com/ztos/ztos/crypto/aead.(*serial).Seal"
	return stacks(map[string][]string{
		"gcm":  {"crypto/internal/fips140/aes/gcm.gcmAesEnc", seal, step},
		"copy": {"runtime.memmove", seal, step}, // for the cipher
		"send": {"internal/runtime/syscall/linux.Syscall6", "syscall.RawSyscall6", step},
		"own":  {step},
		"gc":   {"runtime.scanobject", "runtime.gcDrain"},
	}, map[string]int64{"gcm": 250, "copy": 50, "send": 400, "own": 200, "gc": 100})
}

func TestShare(t *testing.T) {
	s := sample.Share(example())
	want := map[string]float64{"crypto": 0.3, "kernel": 0.4, "engine": 0.2, "runtime": 0.1, "other": 0}
	sum := 0.0
	for name, share := range want {
		if math.Abs(s.Families[name]-share) > 1e-9 {
			t.Errorf("%s has %v, want %v", name, s.Families[name], share)
		}
		sum += s.Families[name]
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("the shares sum to %v", sum)
	}
	if s.Samples != 100 || s.Total != 1e9 || math.Abs(s.AEAD-0.3) > 1e-9 || math.Abs(s.AEADOwn-0.5) > 1e-9 {
		t.Errorf("got %+v", s)
	}
	if s := sample.Share(stacks(nil, nil)); s.Total != 0 || s.AEAD != 0 || s.AEADOwn != 0 || s.Families["crypto"] != 0 {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestTop(t *testing.T) {
	top := sample.Top(example(), 2)
	if len(top) != 2 || top[0].Flat != 400e6 || top[1].Name != "crypto/internal/fips140/aes/gcm.gcmAesEnc" {
		t.Errorf("got %+v", top)
	}
	all := sample.Top(example(), 100)
	if len(all) != 5 {
		t.Errorf("%d functions have something in themselves, want 5", len(all))
	}
	for _, f := range all {
		if f.Name == "github.com/ztos/ztos/fabric.(*LeafIn).Step" && (f.Flat != 200e6 || f.Cum != 900e6) {
			t.Errorf("got %+v", f)
		}
	}
	// A function that calls itself counts once.
	again := stacks(map[string][]string{"r": {"a.f", "a.f", "a.f"}}, map[string]int64{"r": 10})
	if got := sample.Top(again, 5); len(got) != 1 || got[0].Cum != 10e6 {
		t.Errorf("recursion: %+v", got)
	}
}

func TestFormat(t *testing.T) {
	for _, tt := range []struct {
		v    int64
		unit string
		want string
	}{
		{1_420_000_000, "nanoseconds", "1.42 s"}, {310_000_000, "nanoseconds", "310 ms"}, {12, "nanoseconds", "12 ns"},
		{0, "nanoseconds", "0"}, {3_670_016, "bytes", "3.50 MiB"}, {17, "bytes", "17 B"}, {17, "count", "17"},
	} {
		if got := sample.Format(tt.v, tt.unit); got != tt.want {
			t.Errorf("%d %s: got %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
}

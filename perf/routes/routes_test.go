package routes_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ztos/ztos/perf/routes"
	"github.com/ztos/ztos/perf/scale"
)

// attributes takes an UPDATE apart, from the RFCs and not from the encoder, and returns
// its attributes by type.
func attributes(t *testing.T, m []byte) map[byte][]byte {
	t.Helper()
	if len(m) > 4096 || int(binary.BigEndian.Uint16(m[16:])) != len(m) || m[18] != 2 {
		t.Fatalf("a message of %d octets, % x", len(m), m[:19])
	}
	b := m[19:]
	if binary.BigEndian.Uint16(b) != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b)-4 {
		t.Fatalf("lengths % x of %d", b[:4], len(b))
	}
	out := map[byte][]byte{}
	for b = b[4:]; len(b) > 0; {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if b[0]&0x10 == 0 || len(b) < 4+n || out[b[1]] != nil {
			t.Fatalf("attribute % x", b[:4])
		}
		out[b[1]] = b[4 : 4+n]
		b = b[4+n:]
	}
	return out
}

func TestUpdates(t *testing.T) {
	for _, tt := range []struct {
		name     string
		macs     bool
		typ, len byte
		at       int // of what differs
		size     int
		tail     string
		ext      int
	}{
		{"type 2", true, 2, 33, 2 + 8 + 10 + 4 + 1, 6, "\x00\x00\x00\xc8", 16},
		{"type 5", false, 5, 34, 2 + 8 + 10 + 4 + 1, 4, "\x00\x00\x00\x00\x00\x03\xe8", 24},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const n = 257
			for _, withdraw := range []bool{false, true} {
				seen := map[string]bool{}
				for _, m := range routes.Updates(tt.macs, n, withdraw) {
					a := attributes(t, m)
					b, head := a[14], "\x00\x19\x46\x04\xc0\x00\x02\x02\x00"
					if withdraw {
						b, head = a[15], "\x00\x19\x46"
					}
					if withdraw && len(a) != 1 || !withdraw && (len(a) != 5 || len(a[16]) != tt.ext) {
						t.Errorf("attributes %v", a)
					}
					all, ok := strings.CutPrefix(string(b), head)
					if !ok {
						t.Fatalf("% x does not begin with % x", b, head)
					}
					for ; len(all) > 0; all = all[2+tt.len:] {
						r := all[:2+tt.len]
						if r[0] != tt.typ || r[1] != tt.len || !strings.HasSuffix(r, tt.tail) {
							t.Fatalf("route % x", r)
						}
						seen[r[tt.at:tt.at+tt.size]] = true
					}
				}
				if len(seen) != n {
					t.Errorf("withdraw %v: %d different routes, want %d", withdraw, len(seen), n)
				}
			}
		})
	}
	// The last one still is what it should be.
	last := routes.Updates(false, routes.MaxRoutes, false)
	if m := last[len(last)-1]; !strings.Contains(string(m), "\x18\x1f\xff\xff\x00") {
		t.Error("the last prefix is not 31.255.255.0/24")
	}
	if a := attributes(t, routes.Messages()[1]); string(a[22]) != "\x00\x06\x00\x00\xc8\xc0\x00\x02\x02" {
		t.Errorf("PMSI % x", a[22])
	}
}

func TestTally(t *testing.T) {
	for _, tt := range []struct {
		numbers              []uint32
		received, duplicates int
		gap                  time.Duration
	}{
		{nil, 0, 0, 0},
		{[]uint32{0}, 1, 0, 0},
		{[]uint32{0, 1, 2}, 3, 0, time.Millisecond},
		{[]uint32{2, 0, 0, 70}, 3, 1, time.Millisecond},
	} {
		r, d, g := routes.Tally(tt.numbers...)
		if r != tt.received || d != tt.duplicates || g != tt.gap {
			t.Errorf("%v: %d received, %d twice, gap %v", tt.numbers, r, d, g)
		}
	}
}

func TestTriePrefixes(t *testing.T) {
	const text = "Basic info: size of leaf: 48 bytes\nMain:\n\tAver depth:     2\n\tPrefixes:       12\nLocal:\n\tPrefixes:       5\n"
	if n, err := routes.TriePrefixes(text); n != 12 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "Main:\n", "\tPrefixes: many\n", "\tPrefixes: 0\n"} {
		if n, err := routes.TriePrefixes(bad); err == nil {
			t.Errorf("%q: %d and no error", bad, n)
		}
	}
}

func TestCountFDB(t *testing.T) {
	const text = `06:00:00:00:00:01 vlan 1 extern_learn master br200
06:00:00:00:00:01 dst 192.0.2.2 self extern_learn
06:00:00:00:00:02 dst 192.0.2.2 self extern_learn
06:00:00:00:00:03 dst 192.0.2.22 self extern_learn
00:00:00:00:00:00 dst 192.0.2.2 self permanent
`
	if n, err := routes.CountFDB(strings.NewReader(text), routes.Speaker); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	bad := io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("gone")))
	if _, err := routes.CountFDB(bad, routes.Speaker); err == nil {
		t.Error("no error")
	}
}

// report has three rounds of two systems at two sizes.
func report() *routes.Report {
	r := &routes.Report{Report: scale.NewReport(), Rounds: 3}
	for round, lost := range []int{0, 2, 0} {
		for _, n := range []int{1000, 100} {
			s := float64(n) / 100 * float64(1+round*round)
			r.Runs = append(r.Runs,
				routes.Run{System: routes.FRR, Routes: n, MACs: 2 * s, Prefixes: s, WithdrawMACs: s, WithdrawPrefixes: s, Before: 1, Loaded: 2},
				routes.Run{System: routes.ZTOS, Routes: n, MACs: s, Prefixes: s, WithdrawMACs: s, WithdrawPrefixes: s, Before: 1, Loaded: 2,
					Stream: &routes.Stream{Sent: 10, Lost: lost, Gap: 0.1}})
		}
	}
	r.Summarize()
	return r
}

// value returns a metric of a series at its i-th size.
func value(t *testing.T, r *routes.Report, system, metric string, i int) float64 {
	t.Helper()
	for _, s := range r.Series {
		for k, m := range s.Metrics {
			if s.Name == system && m.Name == metric {
				return s.Points[i].Values[k]
			}
		}
	}
	t.Fatalf("no %s of %s", metric, system)
	return math.NaN()
}

// Medians of rounds, but the loss of the worst; sizes in order.
func TestSummary(t *testing.T) {
	r := report()
	for _, tt := range []struct {
		system, metric string
		i              int
		want           float64
	}{
		{routes.ZTOS, "type 2", 0, 2}, {routes.ZTOS, "type 2", 1, 20}, {routes.FRR, "type 2", 1, 40},
		{routes.ZTOS, "lost", 0, 2}, {routes.ZTOS, "sent", 1, 10},
	} {
		if got := value(t, r, tt.system, tt.metric, tt.i); got != tt.want {
			t.Errorf("%s of %s: %v, want %v", tt.metric, tt.system, got, tt.want)
		}
	}
	if r.Lost() != 4 {
		t.Errorf("%d lost, want 4", r.Lost())
	}
	if e, ok := r.Series[0].Growth(0, 0); !ok || math.Abs(e-1) > 1e-9 {
		t.Errorf("growth %v, want linear", e)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path, doc := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.md")
	r := report()
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	got, err := routes.ReadReport(path)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
	got.Merge(r)
	if n := len(got.Runs); n != 2*len(r.Runs) || got.Lost() != 8 {
		t.Errorf("%d runs", n)
	}
	if _, err := routes.ReadReport(doc); err == nil {
		t.Error("a report out of nothing")
	}
	if err := r.WriteDoc(doc, "routes"); err == nil {
		t.Error("a page out of nothing")
	}
	const page = "a\n<!-- begin: written by perf/cmd/routes from its JSON -->\nold\n<!-- end -->\nb\n"
	if err := os.WriteFile(doc, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteDoc(doc, "routes"); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(doc) // it was written
	if s := string(text); strings.Contains(s, "old") || !strings.Contains(s, "### FRR with the kernel") || !strings.HasSuffix(s, "<!-- end -->\nb\n") {
		t.Errorf("%s", text)
	}
}

// What cannot be measured is refused before anything is started.
func TestRefused(t *testing.T) {
	for _, c := range []routes.Config{
		{}, {Rounds: 1}, {Sizes: []int{1}}, {Rounds: 1, Sizes: []int{0}}, {Rounds: 1, Sizes: []int{1, routes.MaxRoutes + 1}},
	} {
		if _, err := routes.Measure(t.Context(), c); err == nil {
			t.Errorf("%+v: measured", c)
		}
	}
}

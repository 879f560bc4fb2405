package rtt_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/rtt"
)

// reply returns an echo reply behind an IPv4 header of that length.
func reply(head int, id, seq byte) []byte {
	b := make([]byte, head+8)
	b[0] = 0x40 | byte(head/4)
	b[head+5], b[head+7] = id, seq
	return b
}

func TestParseReply(t *testing.T) {
	request := reply(20, 7, 3)
	request[20] = 8
	for _, tt := range []struct {
		name string
		in   []byte
		want uint16
		ok   bool
	}{
		{"plain", reply(20, 7, 3), 3, true},
		{"IP options", reply(60, 7, 9), 9, true},
		{"another's", reply(20, 8, 3), 0, false},
		{"a request", request, 0, false},
		{"cut", reply(20, 7, 3)[:27], 0, false},
		{"header longer than all", reply(60, 7, 3)[:30], 0, false},
		{"empty", nil, 0, false},
	} {
		if got, ok := rtt.ParseReply(tt.in, 7); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add(reply(20, 7, 3))
	f.Add(reply(60, 7, 3)[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := rtt.ParseReply(b, 7); ok && len(b) < 28 {
			t.Errorf("a reply in %d bytes", len(b))
		}
	})
}

func TestSummary(t *testing.T) {
	took := make([]float64, 2000)
	for i := range took {
		took[i] = float64(2000 - i) // 2000 to 1
	}
	got := rtt.Summary(took, 2003)
	want := rtt.Result{P50: 1000, P99: 1980, P999: 1998, Max: 2000, Sent: 2003, Lost: 3}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMeasureRefuses(t *testing.T) {
	for _, tt := range []struct {
		to       string
		count    int
		interval time.Duration
	}{
		{"2001:db8::1", 1, time.Millisecond},
		{"127.0.0.1", 0, time.Millisecond},
		{"127.0.0.1", rtt.MaxCount + 1, time.Millisecond},
		{"127.0.0.1", 1, 0},
	} {
		if _, err := rtt.Measure(t.Context(), netip.MustParseAddr(tt.to), tt.count, tt.interval); err == nil {
			t.Errorf("%+v: no error", tt)
		}
	}
}

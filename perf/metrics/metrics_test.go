package metrics_test

import (
	"strings"
	"testing"

	"github.com/ztos/ztos/perf/metrics"
)

func TestParse(t *testing.T) {
	const whole = `# HELP go_memstats_mallocs_total x
go_memstats_mallocs_total 1.5e+03
ztos_engine_port_frames_total{direction="rx",port="h1"} 10
ztos_engine_port_frames_total{direction="tx",port="h1"} 99
ztos_wireguard_peer_packets_total{direction="rx",peer="spine1"} 5
ztos_wireguard_peer_packets_total{direction="tx",peer="spine1"} 99
ztos_engine_dropped_frames_total{reason="wg-auth-failed"} 1
ztos_engine_dropped_frames_total{reason="macsec-not-valid",worker="1"} 2
ztos_engine_dropped_frames_total{reason="wg-replayed"} 4
ztos_engine_dropped_frames_total{reason="macsec-replayed"} 8
ztos_engine_dropped_frames_total{reason="macsec-late"} 16
ztos_engine_dropped_frames_total{reason="split-horizon"} 32
`
	got, err := metrics.Parse(strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := metrics.Counters{Auth: 3, Replay: 28, Frames: 15, Mallocs: 1500}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if d := want.Add(got).Sub(got); d != want {
		t.Errorf("a+b-b is %+v, want %+v", d, want)
	}
	// A metric that was renamed must not read as zero.
	for _, renamed := range []string{"ztos_engine_dropped", "go_memstats_mallocs"} {
		if _, err := metrics.Parse(strings.NewReader(strings.ReplaceAll(whole, renamed, "x"))); err == nil {
			t.Errorf("no error without %s", renamed)
		}
	}
	if _, err := metrics.Parse(strings.NewReader(strings.NewReplacer("port_frames", "x", "peer_packets", "y").Replace(whole))); err == nil {
		t.Error("no error without any frame counter")
	}
}

package iperf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztos/ztos/perf/iperf"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       iperf.Result
		wantErr    string // part of the error; empty for none
	}{
		{
			name: "sums of a run",
			text: `{"end":{"sum_sent":{"bytes":100,"bits_per_second":9,"retransmits":3},
			        "sum_received":{"seconds":3.1,"bytes":80,"bits_per_second":2.5e9}}}`,
			want: iperf.Result{Seconds: 3.1, BitsPerSecond: 2.5e9, Bytes: 80, Retransmits: 3},
		},
		{
			name:    "iperf3 says why it failed",
			text:    `{"start":{},"error":"unable to connect to server"}`,
			wantErr: "unable to connect",
		},
		{name: "not JSON", text: "", wantErr: "output"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := iperf.Parse([]byte(tt.text))
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A server that has not done with the test before is told from one that is not there.
func TestBusy(t *testing.T) {
	for text, want := range map[string]bool{
		`{"error":"error - the server is busy running a test. try again later"}`: true,
		`{"error":"unable to connect to server"}`:                                false,
	} {
		if _, err := iperf.Parse([]byte(text)); err == nil || errors.Is(err, iperf.ErrBusy) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

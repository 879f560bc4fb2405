package config_test

import (
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
)

// TestSegments: identifiers and elections as EVPN gets them.
func TestSegments(t *testing.T) {
	n, err := config.Load("testdata/segments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		esi string
		df  evpn.DFElection
	}{
		{"00:11:22:33:44:55:66:77:88:99", evpn.DFElection{}},
		{"01:02:00:00:00:00:aa:00:05:00", evpn.DFElection{Alg: evpn.DFHRW}},
		{"03:02:00:00:00:00:aa:00:00:03", evpn.DFElection{Alg: evpn.DFHighest, Preference: 32767, Caps: evpn.CapDontPreempt}},
	} {
		s := &n.EthernetSegments[i]
		if got := s.Identifier().String(); got != want.esi {
			t.Errorf("%s: identifier %s, want %s", s.Name, got, want.esi)
		}
		if got := s.DF.Election(); got != want.df {
			t.Errorf("%s: election %+v, want %+v", s.Name, got, want.df)
		}
	}
	if s := n.SegmentOf("h2"); s == nil || s.Name != "server2" {
		t.Errorf("h2 leads to %+v", s)
	}
	if n.SegmentOf("h9") != nil {
		t.Error("no port leads to a segment")
	}
}

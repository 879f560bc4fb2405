package trace_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/trace"
)

func drain(w *trace.Watch) []trace.Record {
	w.Stop()
	var out []trace.Record
	for r := range w.C {
		out = append(out, r)
	}
	return out
}

func TestCaptureHoldsItsStageAndFilter(t *testing.T) {
	var tap trace.Tap
	if tap.Active() {
		t.Fatal("a fresh tap is active")
	}
	w := tap.Capture([]trace.Stage{trace.MACsecProtect}, trace.Filter{VNI: 7}, 4, 10)
	if !tap.Active() {
		t.Fatal("not active with a watch")
	}
	data := []byte{1, 2, 3, 4, 5, 6}
	tap.See(&trace.Record{Stage: trace.MACsecProtect, VNI: 7, Data: data, Len: 6})
	tap.See(&trace.Record{Stage: trace.MACsecProtect, VNI: 8, Data: data})
	tap.See(&trace.Record{Stage: trace.PortRx, VNI: 7, Data: data})
	tap.See(&trace.Record{Stage: trace.MACsecProtect, VNI: 7, Data: data, Reason: counter.MACsecNoTxSA})
	data[0] = 99 // the record must be a copy
	got := drain(w)
	if len(got) != 1 || string(got[0].Data) != "\x01\x02\x03\x04" || got[0].Len != 6 {
		t.Fatalf("captured %+v, want the one passage of VNI 7 cut to 4 bytes", got)
	}
	if tap.Active() {
		t.Fatal("active after the last watch stopped")
	}
}

func TestFollowRecordsEveryStageOfASampledFrame(t *testing.T) {
	var tap trace.Tap
	w := tap.Follow(1, trace.Filter{}, 64, 10)
	id := tap.Enter(&trace.Record{Stage: trace.PortRx})
	if id == 0 {
		t.Fatal("the first frame was not sampled")
	}
	if other := tap.Enter(&trace.Record{Stage: trace.PortRx}); other != 0 {
		t.Fatalf("a second frame was sampled as %d, want 1 frame only", other)
	}
	tap.See(&trace.Record{ID: id, Stage: trace.Bridge})
	tap.See(&trace.Record{ID: 0, Stage: trace.Bridge})
	tap.See(&trace.Record{ID: id, Stage: trace.PortTx, Reason: counter.PortDown})
	got := drain(w)
	if len(got) != 3 || got[2].Reason != counter.PortDown {
		t.Fatalf("records %+v, want three of one frame, the last with its drop reason", got)
	}
}

func TestFullChannelCountsAndNeverBlocks(t *testing.T) {
	var tap trace.Tap
	w := tap.Capture([]trace.Stage{trace.PortRx}, trace.Filter{}, 1, 2)
	for range 5 {
		tap.See(&trace.Record{Stage: trace.PortRx})
	}
	if got := w.Missed(); got != 3 {
		t.Fatalf("missed %d, want 3", got)
	}
	w.Stop()
	w.Stop()
}

func TestStageNamesRoundTrip(t *testing.T) {
	for _, name := range trace.StageNames() {
		s, err := trace.ParseStage(name)
		if err != nil || s.String() != name || s.Kind() == 0 {
			t.Errorf("stage %q: parsed to %v kind %d, %v", name, s, s.Kind(), err)
		}
	}
	if _, err := trace.ParseStage("nowhere"); err == nil {
		t.Error("an unknown stage was accepted")
	}
}

package quick_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/perf/quick"
)

func TestReport(t *testing.T) {
	r := quick.ReportOf(map[string][]float64{
		"ztos":                    {3, 2, 4},
		"wireguard-go":            {1.5, 9, 1},
		"vxlan-over-wireguard-go": {0.5, 0.5, 0.5},
	}, 0, 0, 1000, 1)
	path := filepath.Join(t.TempDir(), "r.json")
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"tcp1_vs_wireguard_go":            2.0,
		"tcp1_vs_vxlan_over_wireguard_go": 6.0,
		"tcp1_vs_wireguard_go_end_to_end": nil, // was not measured
		"auth_drops":                      0.0,
		"replay_drops":                    0.0,
		"mallocs_per_frame":               0.001,
		"rounds":                          1.0,
	} {
		v, there := got[key]
		if !there || v != want {
			t.Errorf("%s: got %v (present: %v), want %v", key, v, there, want)
		}
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "2.00x") {
		t.Errorf("the table does not say 2.00x:\n%s", table.String())
	}
}

func TestReportWithoutEngine(t *testing.T) {
	r := quick.ReportOf(map[string][]float64{"wireguard-go": {1}}, 0, 0, 0, 0)
	if r.AuthDrops != nil || r.ReplayDrops != nil || r.MallocsPerFrame != nil {
		t.Error("drops of an engine that did not run must be null, not 0")
	}
}

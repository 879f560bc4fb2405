package full_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/full"
)

// sample is a report with known figures.
func sample() *full.Report {
	r := full.Empty()
	for mode, gbps := range map[string][]float64{
		"ztos":                    {3, 2, 4},
		"ztos-two-nodes":          {6, 6, 6},
		"wireguard-go":            {1.5, 9, 1},
		"wireguard-go-end-to-end": {2, 2, 2},
		"nebula":                  {1, 1, 1},
	} {
		full.Add(r, mode, full.Host, full.TCP1, gbps...)
		full.Add(r, mode, full.Host, full.Calibration, 1000, 1200, 1100)
	}
	full.Add(r, "ztos", full.Wire, full.TCP1, 1, 1, 1)
	full.Add(r, "nebula", full.Wire, full.TCP1, 2, 2, 2)
	full.Add(r, "ztos", full.Host, full.UDP(64), 300, 310)
	full.Add(r, "ztos", full.Host, full.UDPLimited(64), 1, 1)
	full.Add(r, "bare", full.Host, full.IdleP50, 12, 14)
	for _, f := range []full.Figure{full.IdleP50, full.IdleP99, full.IdleP999} {
		full.Add(r, "ztos", full.Host, f, 213, 213)
	}
	r.Idle["ztos"] = 0.004
	r.Derive()
	return r
}

// TestJSON holds the shape of the file: who reads it looks for these keys.
func TestJSON(t *testing.T) {
	r := sample()
	path := filepath.Join(t.TempDir(), "r.json")
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]any{
		"modes/ztos/host/tcp1_gbps/median":                      3.0,
		"modes/ztos/host/tcp1_gbps/min":                         2.0,
		"modes/ztos/host/tcp1_gbps/max":                         4.0,
		"modes/ztos/host/udp64_kpps/median":                     305.0,
		"machine/calibration_ns":                                1100.0,
		"ratios/host/tcp1_vs_wireguard_go":                      2.0,
		"ratios/host/tcp1_vs_wireguard_go_end_to_end":           1.5,
		"ratios/host/tcp1_vs_best_of_wireguard_go_and_nebula":   1.5,
		"ratios/host/two_nodes_tcp1_vs_wireguard_go_end_to_end": 3.0,
		"ratios/wire/tcp1_vs_nebula":                            0.5,
		"ratios/wire/tcp1_vs_best_of_wireguard_go_and_nebula":   nil, // not all were measured
		"rtt_idle_added_us/host/ztos":                           200.0,
		"idle_cores_per_node/ztos":                              0.004,
		"auth_drops":                                            0.0,
		"replay_drops":                                          0.0,
		"complete":                                              true,
		"settings/jumbo_tenant_mtu":                             8858.0,
	} {
		v := got
		for key := range strings.SplitSeq(where, "/") {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		if v != want {
			t.Errorf("%s: got %v, want %v", where, v, want)
		}
	}
	again, err := full.ReadJSON(path)
	if err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(t.TempDir(), "r2.json")
	if err := again.WriteJSON(second); err != nil {
		t.Fatal(err)
	}
	if text2, err := os.ReadFile(second); err != nil || !bytes.Equal(text, text2) {
		t.Errorf("read and written again it differs (%v)", err)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := sample().WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3.00", "305+", "213 / 213 / 213", "1.50", "0.004", "host: tenant MTU 1500, tenants' offloads on"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "jumbo") {
		t.Errorf("the table has a case that was not measured:\n%s", out.String())
	}
}

// TestTargets: what is measured is told from what is not, more from less, and a
// miss is called one.
func TestTargets(t *testing.T) {
	got := map[string]string{}
	for _, row := range full.TargetRows(sample()) {
		got[row[0]] = row[3] + ", " + row[4]
	}
	for what, want := range map[string]string{
		"TCP 1, `host`, over wireguard-go":                            "2.00x, aim",
		"UDP 64, `host`":                                              "305 kpps, must",
		"CPU of an idle node":                                         "0.0040 cores, must",
		"added to the idle round trip, `host`":                        "200 us, must",
		"frames that failed authentication or were taken for replays": "0, aim",
	} {
		if got[what] != want {
			t.Errorf("%s: %q, want %q", what, got[what], want)
		}
	}
	if _, there := got["TCP 1, `jumbo-wire`, over the best of these"]; there {
		t.Error("a target that was not measured is in the table")
	}
	bad := sample()
	bad.AuthDrops = 1
	for _, row := range full.TargetRows(bad) {
		if strings.HasPrefix(row[0], "frames that failed") && row[4] != "**missed**" {
			t.Errorf("a drop in a lossless run: %q", row)
		}
	}
}

func TestFormat(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.5: "0.500", 1.5: "1.50", 9.999: "10.00", 12.71: "12.7", 305: "305", 15614.4: "15614", 0.00012: "0.0001", -3.14: "-3.14"} {
		if got := full.Format(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// TestWriteDoc: twice written is once written, what is around it stays, and the
// charts that it shows are there.
func TestWriteDoc(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	const head, foot = "# Title\n\ntext\n\n", "\n## More\n"
	if err := os.WriteFile(path, []byte(head+full.DocBegin+"\nold\n"+full.DocEnd+"\n"+foot), 0o644); err != nil {
		t.Fatal(err)
	}
	r := sample()
	var texts [2]string
	for i := range texts {
		if err := r.WriteDoc(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	if texts[0] != texts[1] {
		t.Errorf("the second time it differs:\n%s\nwas\n%s", texts[1], texts[0])
	}
	if !strings.HasPrefix(texts[0], head) || !strings.HasSuffix(texts[0], foot) || strings.Contains(texts[0], "old") {
		t.Errorf("what is around changed:\n%s", texts[0])
	}
	for _, want := range []string{"make perf ROUNDS=3", "| ztos | 3.00 |", "performance/tcp1.svg"} {
		if !strings.Contains(texts[0], want) {
			t.Errorf("no %q in\n%s", want, texts[0])
		}
	}
	for line := range strings.Lines(texts[0]) {
		if line = strings.TrimSuffix(line, "\n"); strings.TrimRight(line, " \t") != line {
			t.Errorf("line %q ends in a blank", line)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "performance", "tcp1.svg")); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteDoc(path); err == nil {
		t.Error("no error for a document without markers")
	}
}

// config returns one that Check takes.
func config() full.Config {
	return full.Config{
		Rounds: 1, Sparse: 2, TCPTime: time.Second, UDPTrial: time.Second, UDPConfirm: time.Second,
		RTTCount: 10, IdleTime: time.Second, Progress: io.Discard,
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*full.Config)
		want string // part of the error; empty for none
	}{
		{"all", func(*full.Config) {}, ""},
		{"a mode and a case", func(c *full.Config) { c.Only, c.Cases = []string{"ztos"}, []full.Case{full.Wire} }, ""},
		{"main modes", func(c *full.Config) { c.Only = full.MainModes }, ""},
		{"no rounds", func(c *full.Config) { c.Rounds = 0 }, "rounds"},
		{"TCP of half a second", func(c *full.Config) { c.TCPTime = time.Second / 2 }, "times"},
		{"unknown mode", func(c *full.Config) { c.Only = []string{"ztos", "zebra"} }, "zebra"},
		{"unknown case", func(c *full.Config) { c.Cases = []full.Case{"tape"} }, "tape"},
		{"a case that the mode does not have", func(c *full.Config) {
			c.Only, c.Cases = []string{"bare"}, []full.Case{full.JumboHost}
		}, "nothing"},
	} {
		c := config()
		tt.edit(&c)
		err := c.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestModeNames: every mode that the benchmark promises is there once.
func TestModeNames(t *testing.T) {
	names := full.ModeNames()
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("a name comes twice in %q", names)
	}
	for _, want := range append([]string{
		"ztos", "ztos-wireguard", "ztos-vxlan", "ztos-vxlan-macsec",
		"ztos-two-nodes", "ztos-wireguard-two-nodes", "ztos-vxlan-two-nodes", "ztos-vxlan-macsec-two-nodes",
		"kernel-vxlan", "vxlan-over-wireguard-go-end-to-end",
	}, full.MainModes...) {
		if !slices.Contains(names, want) {
			t.Errorf("no mode %q in %q", want, names)
		}
	}
}

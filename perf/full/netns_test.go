//go:build netns

package full_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/full"
)

// TestRun makes a tiny run of some modes from start to end: every figure that
// they have is there, no measurement fails, and no engine drops a frame as
// spoilt. It looks at no speed.
func TestRun(t *testing.T) {
	bin := t.TempDir()
	for _, pkg := range []string{"cmd/ztos-engine", "perf/peers/wireguard-go", "perf/cmd/udpgen", "perf/cmd/rtt"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, filepath.Base(pkg)), "./"+pkg)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := config()
	c.Topology = "../row.yaml"
	c.Engine, c.WireGuardGo = filepath.Join(bin, "ztos-engine"), filepath.Join(bin, "wireguard-go")
	c.UDPGen, c.RTT = filepath.Join(bin, "udpgen"), filepath.Join(bin, "rtt")
	c.Nebula, c.NebulaCert = "nebula", "nebula-cert"
	c.LogDir, c.Progress = t.TempDir(), os.Stderr
	c.Only = []string{"bare", "ztos", "nebula"}
	c.Cases = []full.Case{full.Host, full.Wire, full.JumboHost}
	c.UDPTrial, c.UDPConfirm, c.RTTCount = 200*time.Millisecond, 700*time.Millisecond, 200
	r, err := full.Run(ctx, &c)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Complete || r.Rounds != 1 || r.AuthDrops != 0 || r.ReplayDrops != 0 {
		t.Errorf("complete %v, %d rounds, %d authentication and %d replay drops", r.Complete, r.Rounds, r.AuthDrops, r.ReplayDrops)
	}
	for _, name := range c.Only {
		for _, k := range []full.Case{full.Host, full.Wire} {
			want := []full.Figure{full.TCP1, full.TCP4, full.System, full.IdleP50, full.IdleP999, full.LoadedP99, full.Calibration}
			for _, size := range full.UDPSizes {
				want = append(want, full.UDP(size))
			}
			if name != "bare" {
				want = append(want, full.CPU, full.RSS)
			}
			for _, f := range want {
				if s := r.Modes[name][k][f]; s == nil || s.Median <= 0 {
					t.Errorf("%s, %s: %s is %v", name, k, f, s)
				}
			}
		}
	}
	for _, name := range []string{"ztos", "nebula"} {
		if s := r.Modes[name][full.JumboHost][full.TCP1]; s == nil || s.Median <= 0 {
			t.Errorf("%s, %s: TCP is %v", name, full.JumboHost, s)
		}
	}
	if _, ok := r.Ratios[full.Host]["tcp1_vs_nebula"]; !ok {
		t.Errorf("no ratio to nebula: %v", r.Ratios)
	}
}

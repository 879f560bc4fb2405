//go:build netns

package mode_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/metrics"
	"github.com/ztos/ztos/perf/mode"
)

// TestModes starts every mode on one bed: each carries a ping of the largest
// packet of its tenants, also while the others are up and after a pause, and
// engines are asked for their metrics.
func TestModes(t *testing.T) {
	bin := t.TempDir()
	for _, pkg := range []string{"cmd/ztos-engine", "perf/peers/wireguard-go"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, filepath.Base(pkg)), "./"+pkg)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b, err := bed.Open(ctx, bed.Options{Name: "perf-modes", Topology: "../row.yaml", LogDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	engine, wg := filepath.Join(bin, "ztos-engine"), filepath.Join(bin, "wireguard-go")
	jumbo := mode.TenantMTU(b)
	modes := []*mode.Mode{
		mode.Bare(1, 1500),
		mode.WireGuard(2, wg, mode.HopByHop, 1500),
		mode.WireGuard(3, wg, mode.EndToEnd, jumbo),
		mode.VXLANOverWireGuard(4, wg, mode.HopByHop, jumbo),
		mode.VXLANOverWireGuard(5, wg, mode.EndToEnd, 1500),
		mode.VXLAN(6, 1500),
		mode.Nebula(7, [2]string{"nebula", "nebula-cert"}, jumbo),
		mode.Engine(8, engine, mode.Layers{WireGuard: true, MACsec: true}, mode.LeafSpineLeaf, 0),
	}
	for _, shape := range []mode.Shape{mode.LeafSpineLeaf, mode.TwoNodes} {
		for _, l := range []mode.Layers{{}, {MACsec: true}, {WireGuard: true}, {WireGuard: true, MACsec: true}} {
			modes = append(modes, mode.Engine(1+len(modes), engine, l, shape, 1500))
		}
	}
	for _, m := range modes {
		if err := m.Start(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range modes {
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		// Kernels go on, processes do not.
		answered := b.Run(ctx, bed.H1, "ping -c 2 -i 0.2 -W 1 %s", m.Server(b)) == nil
		if answered != (len(m.Procs()) == 0) {
			t.Errorf("%s: paused, with %d processes, a ping is answered: %v", m.Name, len(m.Procs()), answered)
		}
	}
	for _, m := range modes {
		if err := m.Resume(ctx, b); err != nil {
			t.Fatal(err)
		}
		if err := b.Run(ctx, bed.H1, "ping -c 3 -i 0.05 -W 1 -M do -s %d %s", m.MTU-28, m.Server(b)); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if err := m.Alive(); err != nil {
			t.Error(err)
		}
		if len(m.Engines()) == 0 {
			continue
		}
		c, err := metrics.Read(ctx, b, m.Engines())
		if err != nil || c.Frames == 0 || c.Auth != 0 || c.Replay != 0 {
			t.Errorf("%s: %+v, %v", m.Name, c, err)
		}
	}
}

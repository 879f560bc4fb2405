//go:build netns

package netns_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/lab"
)

// TestAFXDP: whole nodes with AF_XDP ports at one end and at both, and with ports
// that fall back and say why.
func TestAFXDP(t *testing.T) {
	b := up(t, "testdata/afxdp.yaml", "e2e-xdp")
	const (
		instead = "AF_PACKET instead of AF_XDP: "
		mtu     = instead + "the MTU is above 3818, the most that one AF_XDP buffer holds"
		noGain  = instead + "veth has no zero copy, and its other end would lose TSO"
	)
	drivers := func(ctx context.Context) (out []string, err error) {
		for _, want := range []struct{ leaf, port, driver, note string }{
			{"leaf1", "red1", "afxdp", ""}, {"leaf1", "green1", "afxdp", ""}, {"leaf1", "blue1", "afpacket", mtu},
			{"leaf2", "red2", "afpacket", noGain}, {"leaf2", "green2", "afxdp", ""}, {"leaf2", "blue2", "afpacket", ""},
		} {
			p, err := portOf(ctx, b.Lab, want.leaf, want.port)
			switch {
			case err != nil:
				return out, err
			case p.Driver != want.driver, p.Note != want.note, !p.Up, p.RxFrames == 0, p.TxFrames == 0:
				return out, fmt.Errorf("%s: %+v, want driver %q, note %q, up, with frames both ways", want.leaf, p, want.driver, want.note)
			}
			out = append(out, fmt.Sprintf("%s %s: %s, %s, %d in, %d out", want.leaf, p.Name, p.Driver, p.Detail, p.RxFrames, p.TxFrames))
		}
		return out, nil
	}
	reach(t, b)
	step(t, "Drivers", drivers)
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	for _, tenant := range b.Topo.Tenants {
		step(t, "TCP/"+tenant.Name, tcp(b, tenant.Name, 1))
	}
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	step(t, "Isolation", b.Isolation)
	step(t, "PortEvents", b.PortEvents)
	step(t, "RestartLeaf", b.RestartLeaf)
	step(t, "Reach", func(ctx context.Context) (check.Matrix, error) { return b.Matrix(ctx, 3) })
	step(t, "Garbage", b.Garbage)
	step(t, "Tagging", b.Tagging)
	step(t, "MACLimit", b.MACLimit)
	step(t, "DriversAgain", drivers)

	for leaf, want := range map[string][]string{
		"leaf1": {"port fell back", mtu, "port goes by AF_XDP"}, "leaf2": {"port chose its driver", noGain},
	} {
		log, err := os.ReadFile(b.Lab.LogPath(leaf, lab.EngineProcess))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(string(log), s) {
				t.Errorf("the log of %s does not say %q", leaf, s)
			}
		}
	}
}

// portOf asks a leaf's engine for one of its ports.
func portOf(ctx context.Context, l *lab.Lab, leaf, name string) (status.Port, error) {
	c, err := client.Dial(l.Socket(leaf))
	if err != nil {
		return status.Port{}, err
	}
	defer c.Close()
	ps, err := c.Ports(ctx)
	if err != nil {
		return status.Port{}, err
	}
	for _, p := range ps {
		if p.Name == name {
			return p, nil
		}
	}
	return status.Port{}, fmt.Errorf("%s has no port %s", leaf, name)
}

//go:build netns

package netns_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/e2e/check"
	"github.com/ztos/ztos/lab"
)

// underlay is how an engine's underlay devices are, and how many frames its
// underlay workers took: those of the sockets come first.
type underlay struct {
	Devices []status.Device `json:"devices"`
	Frames  []uint64        `json:"frames"`
}

func underlayOf(ctx context.Context, l *lab.Lab, node string) (u underlay, err error) {
	c, err := client.Dial(l.Socket(node))
	if err != nil {
		return u, err
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return u, err
	}
	u.Devices = s.Devices
	groups, err := c.Counters(ctx)
	if err != nil {
		return u, err
	}
	for q := 0; ; q++ {
		found := false
		for _, g := range groups {
			if g.Kind == "worker" && g.Name == fmt.Sprintf("underlay-in.%d", q) {
				found = true
				u.Frames = append(u.Frames, g.Counts[0].Value)
			}
		}
		if !found {
			return u, nil
		}
	}
}

// by checks that a node's underlay devices are as wanted: for each the note, empty
// for AF_XDP, and that those by AF_XDP have a next hop. It waits for that.
func by(l *lab.Lab, want map[string][]string) func(context.Context) (map[string]underlay, error) {
	return func(ctx context.Context) (out map[string]underlay, err error) {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			out = map[string]underlay{}
			err = nil
			for node, notes := range want {
				u, e := underlayOf(ctx, l, node)
				if e != nil {
					return out, e
				}
				out[node] = u
				if len(u.Devices) != len(notes) {
					return out, fmt.Errorf("%s: %+v, want %d devices", node, u.Devices, len(notes))
				}
				for i, d := range u.Devices {
					if d.Note != notes[i] || (d.Driver == "afxdp") != (d.Note == "") || (d.Hops == 1) != (d.Note == "") {
						err = fmt.Errorf("%s: %+v, want note %q, and one next hop unless there is one", node, d, notes[i])
					}
				}
			}
			if err == nil || time.Now().After(end) {
				return out, err
			}
		}
	}
}

// shares returns how many frames a node's sockets and its devices took between
// two looks.
func shares(before, after underlay, sockets int) (udp, xdp uint64) {
	for q := range after.Frames {
		n := after.Frames[q] - before.Frames[q]
		if q < sockets {
			udp += n
		} else {
			xdp += n
		}
	}
	return udp, xdp
}

// TestUnderlayAFXDP: whole nodes whose datagrams go by AF_XDP, against each other
// and against UDP sockets; a link that is too wide falls back and says so; what the
// kernel learns of a neighbour is followed, and a device that goes down comes back.
func TestUnderlayAFXDP(t *testing.T) {
	b := up(t, "testdata/underlay-afxdp.yaml", "e2e-uxdp")
	const tooWide = "UDP sockets instead of AF_XDP: the MTU is above 3818, the most that one AF_XDP buffer holds"
	good := map[string][]string{
		"spine1": {"", "", tooWide, ""}, "leaf1": {""}, "leaf2": {""}, "leaf3": {tooWide}, "leaf4": nil,
	}
	reach(t, b)
	before := step(t, "Drivers", by(b.Lab, good))
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	for _, tenant := range b.Topo.Tenants {
		step(t, "TCP/"+tenant.Name, tcp(b, tenant.Name, 1))
	}
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 2) })
	after := step(t, "DriversAgain", by(b.Lab, good))
	for node, wantXDP := range map[string]bool{"leaf1": true, "leaf2": true, "leaf3": false, "leaf4": false} {
		udp, xdp := shares(before[node], after[node], len(before["leaf4"].Frames))
		t.Logf("%s: %d frames by sockets, %d by AF_XDP", node, udp, xdp)
		// Handshakes, and the first moments, go by the sockets.
		if wantXDP && xdp < 100*max(udp, 1) || !wantXDP && (xdp != 0 || udp < 1000) {
			t.Errorf("%s: %d frames by sockets, %d by AF_XDP", node, udp, xdp)
		}
	}

	sh := func(ctx context.Context, node, command string) error {
		var out strings.Builder
		if err := b.Lab.Exec(ctx, node, []string{"sh", "-c", command}, nil, &out, &out); err != nil {
			return fmt.Errorf("%s: %s: %w: %s", node, command, err, out.String())
		}
		return nil
	}
	// leaf1 gets another MAC address and tells nobody. The spine sends by AF_XDP
	// only, so nothing but its control keeps the kernel asking.
	step(t, "Neighbour", func(ctx context.Context) (string, error) {
		if err := sh(ctx, "spine1", "cd /proc/sys/net/ipv4/neigh/leaf1 && echo 500 > base_reachable_time_ms && echo 1 > delay_first_probe_time && echo 200 > retrans_time_ms"); err != nil {
			return "", err
		}
		if err := sh(ctx, "leaf1", "echo 0 > /proc/sys/net/ipv4/conf/spine1/arp_notify; ip link set dev spine1 address 02:00:00:00:99:99"); err != nil {
			return "", err
		}
		for {
			var out strings.Builder
			if err := b.Lab.Exec(ctx, "spine1", []string{"ip", "neigh", "show", "dev", "leaf1"}, nil, &out, &out); err != nil {
				return out.String(), err
			}
			if strings.Contains(out.String(), "02:00:00:00:99:99") {
				return out.String(), nil
			}
			select {
			case <-ctx.Done():
				return out.String(), ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	step(t, "NeighbourReach", func(ctx context.Context) (check.Matrix, error) { return b.Matrix(ctx, 3) })
	// leaf1's device goes down, and comes back.
	step(t, "Down", func(ctx context.Context) (map[string]underlay, error) {
		if err := sh(ctx, "leaf1", "ip link set dev spine1 down"); err != nil {
			return nil, err
		}
		return by(b.Lab, map[string][]string{"leaf1": {"UDP sockets instead of AF_XDP: the device is down"}})(ctx)
	})
	step(t, "Up", func(ctx context.Context) (string, error) {
		if err := sh(ctx, "leaf1", "ip link set dev spine1 up"); err != nil {
			return "", err
		}
		return "", b.AwaitReach(ctx, 30*time.Second)
	})
	step(t, "DriversAtLast", by(b.Lab, good))

	for node, want := range map[string][]string{
		"leaf1": {"underlay goes by AF_XDP", "why=\"the device is down\""}, "leaf3": {"underlay goes by UDP sockets instead of AF_XDP", "above 3818"},
	} {
		log, err := os.ReadFile(b.Lab.LogPath(node, lab.EngineProcess))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(string(log), s) {
				t.Errorf("the log of %s does not say %q", node, s)
			}
		}
	}
}

// TestUnderlayAFXDP6: the same over IPv6.
func TestUnderlayAFXDP6(t *testing.T) {
	b := up(t, "testdata/underlay-six.yaml", "e2e-uxdp6")
	reach(t, b)
	step(t, "Drivers", by(b.Lab, map[string][]string{"spine1": {"", ""}, "leaf1": {""}, "leaf2": {""}}))
	step(t, "FullMTU", b.FullMTU)
	step(t, "Integrity", integrity(b))
	step(t, "TCP", tcp(b, "red", 1))
	step(t, "Lossless", func(ctx context.Context) (check.Lossless, error) { return b.Lossless(ctx, 1) })
}

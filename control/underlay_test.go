package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config/status"
)

// A device that the underlay is to go by need not be there: the sockets go on, and
// the status says why; when it comes it is taken. The devices are fixed while the
// node runs.
func TestUnderlayDevice(t *testing.T) {
	s := newSite(t)
	edits := []string{"source-ports: 0}", "source-ports: 0, afxdp: [und1]}"}
	n := s.mustStart(edits...)
	until := func(what string, ok func(status.Device) bool) {
		t.Helper()
		var d status.Device
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if d = n.Status().Devices[0]; ok(d) {
				return
			}
		}
		t.Fatalf("%s: %+v", what, d)
	}
	if d := n.Status().Devices; len(d) != 1 || d[0].Name != "und1" {
		t.Fatalf("devices %+v", d)
	}
	until("no device", func(d status.Device) bool {
		return d.Driver == "udp" && d.Note == "UDP sockets instead of AF_XDP: there is no such device"
	})
	s.ns.IP("link add name und1 mtu 1600 type veth peer name und2 mtu 1600")
	s.ns.Up("und1")
	s.ns.Up("und2")
	until("a device", func(d status.Device) bool { return d.Driver == "afxdp" && d.Note == "" })
	s.ns.IP("link set dev und1 mtu 9000")
	until("too wide", func(d status.Device) bool { return d.Driver == "udp" && strings.Contains(d.Note, "MTU is above 3818") })

	if _, err := s.apply(n, false); err == nil || !strings.Contains(err.Error(), "underlay") {
		t.Errorf("the devices were changed while the node runs: %v", err)
	}
	found := false
	for _, g := range n.Counters() {
		found = found || g.Kind == "underlay-device" && g.Name == "und1" && len(g.Counts) == 2
	}
	if !found {
		t.Error("no counters of the device")
	}
}

package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control"
	"github.com/ztos/ztos/engine/port/nstest"
)

// TestAFXDPPorts: kinds afxdp and auto, their drivers and notes, and what an
// apply may not do with them.
func TestAFXDPPorts(t *testing.T) {
	const t2 = "- {name: t2, kind: tap, device: tap2}\n"
	s := newSite(t)
	nstest.Veth(t, s.ns, "far1", s.ns, "near1")
	nstest.Veth(t, s.ns, "far2", s.ns, "near2")
	ports := t2 + "- {name: x1, kind: afxdp, device: near1, own: true}\n- {name: x2, kind: auto, device: near2}\n"
	n := s.mustStart(t2, ports)
	driver := func(name, driver, why string) {
		t.Helper()
		p := portNamed(t, n, name)
		if p.Driver != driver || (why == "") != (p.Note == "") || !strings.Contains(p.Note, why) || !p.Up {
			t.Errorf("%+v, want driver %s because of %q", p, driver, why)
		}
	}
	driver("x1", "afxdp", "")
	driver("x2", "afpacket", "zero copy")
	driver("t1", "tap", "")

	var faults config.Faults
	for _, edit := range []string{
		strings.Replace(ports, "name: x1", "name: y1", 1),
		strings.Replace(ports, "own: true", "fallback: none", 1),
	} {
		if _, err := s.apply(n, false, t2, edit); !errors.As(err, &faults) || !strings.Contains(faults.Error(), "one port at a time") {
			t.Errorf("a changed AF_XDP port: %v", err)
		}
	}
	driver("x1", "afxdp", "")

	// The tenant MTU of a port that the engine owns may be more than AF_XDP takes.
	attached := []string{t2, ports, "{port: t1}", "{port: x1}", "source-ports: 0", "source-ports: 0, mtu: 9000"}
	if _, err := s.apply(n, false, t2, ports, "{port: t1}", "{port: x1}"); err != nil {
		t.Fatal(err)
	}
	driver("x1", "afxdp", "")
	if p := portNamed(t, n, "x1"); p.MTU != 1418 {
		t.Errorf("MTU %d, want 1418", p.MTU)
	}
	n.Close()
	n = s.mustStart(attached...)
	driver("x1", "afpacket", "MTU is above")
	if p := portNamed(t, n, "x1"); p.MTU != 8918 {
		t.Errorf("MTU %d, want 8918", p.MTU)
	}

	// Without a fallback the document is refused, and says why.
	n.Close()
	s.ns.IP("link set dev near1 mtu 9000")
	_, err := s.start(t2, t2+"- {name: x1, kind: afxdp, device: near1, fallback: none}\n")
	if err == nil || !strings.Contains(err.Error(), "MTU is above") {
		t.Errorf("no fallback: %v", err)
	}
}

func portNamed(t *testing.T, n *control.Node, name string) status.Port {
	t.Helper()
	for _, p := range n.Ports() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no port %s", name)
	return status.Port{}
}

//go:build netns

package lab_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/lab/netplumb"
)

// more is an extension of routed: one host behind the router and a second cable
// between two nodes that are there.
const more = `nodes:
- {name: h3, kind: host, host: {port: "rt:p3", addresses: [192.0.2.193/26], gateways: [192.0.2.194]}}
links:
- {ends: [{at: "rt:x2", addresses: [198.51.100.0/31]}, {at: "h2:x2", addresses: [198.51.100.1/31]}]}
`

func TestExtend(t *testing.T) {
	l := newLab(t, routed)
	ctx := context.Background()
	if _, err := l.Extend(ctx, []byte(more), "more"); !errors.Is(err, lab.ErrNotUp) {
		t.Errorf("a lab that is not up: %v", err)
	}
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	next, err := l.Extend(ctx, []byte(more), "more")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := next.Node("h3"); !ok || next.Name != l.Name() {
		t.Errorf("topology %q without h3", next.Name)
	}
	do(t, l, "rt", "ip", "addr", "add", "192.0.2.194/26", "dev", "p3")
	do(t, l, "h3", "ping", "-c1", "-W2", "192.0.2.2")
	do(t, l, "h2", "ping", "-c1", "-W2", "198.51.100.0")
	s, err := l.Status()
	if err != nil || s.Phase != lab.PhaseUp || len(s.Nodes) != 4 || len(s.Extensions) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	// Again, by name and by another program, as `ztosctl lab extend NAME` does: the
	// first extension is known.
	byName, err := lab.Attach(l.Name(), lab.Options{RunDir: filepath.Dir(l.Dir())})
	if err != nil {
		t.Fatal(err)
	}
	var faults config.Faults
	if _, err := byName.Extend(ctx, []byte(more), "more"); !errors.As(err, &faults) || !strings.Contains(err.Error(), `nodes[0].name: name "h3" twice`) {
		t.Errorf("the same twice: %v", err)
	}
	if _, err := byName.Extend(ctx, []byte("nodes: [{name: h4, kind: linux}]"), "h4"); err != nil {
		t.Error(err)
	}
	do(t, l, "h4", "true")
}

// TestExtendUndone: a new engine that does not start leaves the lab as it was, and
// the engines that are there untold (these have no API).
func TestExtendUndone(t *testing.T) {
	l := newLab(t, tiny("lx"))
	ctx := context.Background()
	if err := l.Up(ctx); err != nil {
		t.Fatal(err)
	}
	before := content(t, l)
	t.Setenv("FAKE_ENGINE_FAILS", "leaf3")
	const doc = `tenants: [{name: green, vni: 300}]
nodes:
- {name: leaf3, kind: leaf, address: 10.0.0.3}
- {name: g1, kind: host, host: {tenant: green, port: "leaf1:g1"}, processes: [{name: nap, command: [sleep, "600"]}]}
- {name: g3, kind: host, host: {tenant: green, port: "leaf3:g1"}}
links:
- {ends: [{at: "leaf1:u3", addresses: [192.0.2.4/31]}, {at: "leaf3:u1", addresses: [192.0.2.5/31]}]}
`
	if _, err := l.Extend(ctx, []byte(doc), "more"); err == nil || !strings.Contains(err.Error(), "told to fail") {
		t.Errorf("Extend: %v", err)
	}
	if after := content(t, l); after != before {
		t.Errorf("the run directory was\n%s\nand is\n%s", before, after)
	}
	for _, node := range []string{"leaf3", "g1", "g3"} {
		if netplumb.Exists(l.Namespace(node)) {
			t.Errorf("namespace of %s is left", node)
		}
	}
	for _, dev := range []string{"g1", "u3"} {
		if out := do(t, l, "leaf1", "ip", "-br", "link"); strings.Contains(out, dev+"@") {
			t.Errorf("leaf1 has %s still:\n%s", dev, out)
		}
	}
	if got := states(t, l); got != "leaf1/engine running, leaf2/engine running, h1/nap running" {
		t.Errorf("processes: %s", got)
	}
	if s, err := l.Status(); err != nil || s.Phase != lab.PhaseUp {
		t.Errorf("status %+v, %v", s, err)
	}
}

// content returns the files of a run directory, each with a hash of what is in it,
// without logs and sockets.
func content(t *testing.T, l *lab.Lab) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(l.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".log") {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %x\n", path, sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

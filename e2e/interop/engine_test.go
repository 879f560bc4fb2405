//go:build interop

package interop_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/lab/netplumb"
)

// engine is a ztos-engine that runs in a namespace.
type engine struct {
	*testing.T
	ns     *netplumb.Namespace
	dir    string
	cfg    *config.Node
	api    *client.Client
	cmd    *exec.Cmd
	exited chan struct{}
}

// engineSerial tells the folders of engines apart.
var engineSerial atomic.Int32

// start runs an engine in ns until the test ends. Its state folder is new.
func (b *bed) start(t *testing.T, ns *netplumb.Namespace, cfg *config.Node) *engine {
	t.Helper()
	e := &engine{T: t, ns: ns, dir: filepath.Join(b.dir, fmt.Sprint("e", engineSerial.Add(1))), cfg: cfg}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.Self.StateDir = filepath.Join(e.dir, "state")
	cfg.API.Socket = filepath.Join(e.dir, "sock")
	e.launch()
	t.Cleanup(func() {
		if t.Failed() {
			e.tell()
		}
		e.stop()
		if t.Failed() {
			log, _ := os.ReadFile(e.path("log")) // for people; nothing depends on it
			t.Logf("log of the engine:\n%s", log[max(0, len(log)-3000):])
		}
	})
	return e
}

func (e *engine) path(name string) string { return filepath.Join(e.dir, name) }

// launch starts the program and waits for its API.
func (e *engine) launch() {
	e.Helper()
	doc, err := config.Marshal(e.cfg)
	if err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(e.path("engine.yaml"), doc, 0o600); err != nil {
		e.Fatal(err)
	}
	log, err := os.OpenFile(e.path("log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		e.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(engineBinary, "run", "--config", e.path("engine.yaml"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := netplumb.Start(e.ns.Name(), cmd); err != nil {
		e.Fatal(err)
	}
	exited := make(chan struct{})
	e.cmd, e.exited = cmd, exited
	go func() {
		_ = cmd.Wait() // its log says how it ended
		close(exited)
	}()
	if e.api, err = client.Dial(e.cfg.API.Socket); err != nil {
		e.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := e.api.Version(e.call())
		if err == nil {
			return
		}
		select {
		case <-exited:
			text, _ := os.ReadFile(e.path("log"))
			e.Fatalf("the engine ended at its start:\n%s", text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			e.Fatalf("the engine's API: %v", err)
		}
	}
}

// stop ends the program. Stopping it twice does no harm.
func (e *engine) stop() {
	e.Helper()
	if e.cmd == nil {
		return
	}
	e.api.Close()
	select {
	case <-e.exited:
		e.Errorf("the engine ended by itself: %v", e.cmd.ProcessState)
	default:
		_ = e.cmd.Process.Signal(syscall.SIGTERM) // it may end just now
		select {
		case <-e.exited:
		case <-time.After(10 * time.Second):
			e.Error("the engine does not end on SIGTERM")
			_ = e.cmd.Process.Kill()
			<-e.exited
		}
	}
	e.cmd = nil
}

// tell logs everything that the engine counted.
func (e *engine) tell() {
	if e.cmd == nil {
		return
	}
	e.Logf("drops: %v", e.drops())
	groups, _ := e.api.Counters(e.call()) // for people; nothing depends on it
	for _, g := range groups {
		var s []string
		for _, c := range g.Counts {
			if c.Value > 0 {
				s = append(s, fmt.Sprintf("%s %d", c.Name, c.Value))
			}
		}
		e.Logf("%s %s: %s", g.Kind, g.Name, strings.Join(s, ", "))
	}
	ports, _ := e.api.Ports(e.call())
	peers, _ := e.api.Peers(e.call())
	e.Logf("ports %+v\npeers %+v", ports, peers)
}

// restart ends the program and starts it again with the same folder.
func (e *engine) restart() {
	e.Helper()
	e.stop()
	e.launch()
}

// call returns the context of one call, which ends with its time.
func (e *engine) call() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	context.AfterFunc(ctx, cancel) // the caller has no use for cancel
	return ctx
}

// drops returns what was dropped since the start, by reason.
func (e *engine) drops() drops {
	e.Helper()
	list, err := e.api.Drops(e.call(), false)
	if err != nil {
		e.Fatal(err)
	}
	out := drops{}
	for _, d := range list {
		out[d.Reason.String()] += d.Count
	}
	return out
}

// drops counts frames by reason.
type drops map[string]uint64

// String lists reasons and counts.
func (d drops) String() string {
	var s []string
	for _, r := range slices.Sorted(maps.Keys(d)) {
		if d[r] > 0 {
			s = append(s, fmt.Sprintf("%s %d", r, d[r]))
		}
	}
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// lossless fails the test when anything was dropped but for the reasons given.
func (e *engine) lossless(but ...string) {
	e.Helper()
	d := e.drops()
	for _, r := range but {
		delete(d, r)
	}
	if s := d.String(); s != "none" {
		e.Errorf("the engine dropped frames: %s", s)
	}
}

// counter returns a counter of all groups of a kind.
func (e *engine) counter(kind, name string) (n uint64) {
	e.Helper()
	groups, err := e.api.Counters(e.call())
	if err != nil {
		e.Fatal(err)
	}
	for _, g := range groups {
		for _, c := range g.Counts {
			if g.Kind == kind && c.Name == name {
				n += c.Value
			}
		}
	}
	return n
}

// peer returns the engine's view of its first peer.
func (e *engine) peer() status.Peer {
	e.Helper()
	ps, err := e.api.Peers(e.call())
	if err != nil || len(ps) == 0 {
		e.Fatalf("peers: %v, %v", ps, err)
	}
	return ps[0]
}

// secy returns the SecY of the test's VNI.
func (e *engine) secy() status.SecY {
	e.Helper()
	ss, err := e.api.SecYs(e.call(), testVNI)
	if err != nil || len(ss) != 1 {
		e.Fatalf("SecYs: %v, %v", ss, err)
	}
	return ss[0]
}

// tenantMTU returns the MTU that the engine reports for the test's VNI.
func (e *engine) tenantMTU() int {
	e.Helper()
	ms, err := e.api.MTUs(e.call())
	if err != nil || len(ms) != 1 {
		e.Fatalf("MTUs: %v, %v", ms, err)
	}
	return ms[0].TenantMTU
}

// counts adds up all counters of a SecY, of its channels and associations, by
// name.
func counts(s status.SecY) map[string]uint64 {
	out := map[string]uint64{}
	add := func(cs []status.Count) {
		for _, c := range cs {
			out[c.Name] += c.Value
		}
	}
	add(s.Counters)
	for _, sc := range s.RxSCs {
		add(sc.Counters)
		for _, sa := range sc.SAs {
			add(sa.Counters)
		}
	}
	return out
}

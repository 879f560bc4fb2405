package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/api/nodetest"
	"github.com/ztos/ztos/api/server"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// serve starts b on a socket of its own and returns a client for it.
func serve(t *testing.T, b server.Backend) (*server.Server, *client.Client) {
	t.Helper()
	s, err := server.Listen(filepath.Join(t.TempDir(), "run", "engine.sock"), b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dial(t, s.Path())
}

func dial(t *testing.T, path string) *client.Client {
	t.Helper()
	c, err := client.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// context10 bounds a test that could hang.
func context10(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var vtep2 = config.SCI{0x0a, 0, 0, 0, 0, 2, 0, 1}

// TestShows: what the backend has is what the client gets.
func TestShows(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	ctx := context10(t)
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s (%v):\ngot  %+v\nwant %+v", what, err, got, want)
		}
	}
	v, err := c.Version(ctx)
	check("version", v, "1.2.3-test", err)
	st, err := c.Status(ctx)
	check("status", st, n.Status(), err)
	ports, err := c.Ports(ctx)
	check("ports", ports, n.Ports(), err)
	peers, err := c.Peers(ctx)
	check("peers", peers, n.Peers(), err)
	secys, err := c.SecYs(ctx, 0)
	check("macsec", secys, n.SecYs(), err)
	mtus, err := c.MTUs(ctx)
	check("mtu", mtus, n.MTUs(), err)
	drops, err := c.Drops(ctx, false)
	check("drops", drops, n.Drops(), err)
	if all, err := c.Drops(ctx, true); err != nil || len(all) != counter.NumReasons {
		t.Errorf("all drops: got %d, %v", len(all), err) // one reason has two workers
	}
	groups, err := c.Counters(ctx)
	if err != nil || len(groups) != 8 || groups[0].Kind != "port" || groups[7].Kind != "wireguard" {
		t.Errorf("counters: %+v, %v", groups, err)
	}
	if _, err := c.SecYs(ctx, 10200); !errors.Is(err, status.ErrNotFound) {
		t.Errorf("MACsec of a VNI without: %v", err)
	}
}

func collect(t *testing.T, seq iter.Seq2[status.MAC, error]) (out []status.MAC) {
	t.Helper()
	for m, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

// TestRouting: VRFs, routes and neighbours come through, filtered.
func TestRouting(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	ctx := context10(t)
	vs, err := c.VRFs(ctx)
	if err != nil || !reflect.DeepEqual(vs, n.VRFs()) {
		t.Errorf("VRFs %+v, %v", vs, err)
	}
	var routes, want []status.Route
	f := status.RouteFilter{VRF: "red", Address: netip.MustParseAddr("10.1.1.11")}
	for r, err := range c.Routes(ctx, f) {
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, r)
	}
	if want = slices.Collect(n.Routes(f)); len(want) != 3 || !reflect.DeepEqual(routes, want) {
		t.Errorf("routes %+v, want %+v", routes, want)
	}
	var hosts []status.Neighbour
	for h, err := range c.Neighbours(ctx, status.NeighbourFilter{VNI: 10100, Family: 4}) {
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	if len(hosts) != 3 || hosts[0].State != "static" || hosts[2].VTEP != netip.MustParseAddr("10.255.0.2") {
		t.Errorf("neighbours %+v", hosts)
	}
	for _, err := range c.Neighbours(ctx, status.NeighbourFilter{Family: 5}) {
		if err == nil {
			t.Error("family 5 is taken")
		}
	}
}

func TestFDB(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	ctx := context10(t)
	if got := collect(t, c.FDB(ctx, status.MACFilter{VNI: 10100, MAC: 0x020000000001})); len(got) != 1 || got[0].Port != "h1" {
		t.Errorf("filtered: %+v", got)
	}
	// More than one message, and a caller that stops early.
	var many []status.MAC
	for i := range 3000 {
		many = append(many, status.MAC{VNI: 10100, MAC: table.MAC(i + 1), Port: "h1"})
	}
	n.SetFDB(many)
	if got := collect(t, c.FDB(ctx, status.MACFilter{})); !slices.Equal(got, many) {
		t.Errorf("got %d entries, want %d in order", len(got), len(many))
	}
	seen := 0
	for range c.FDB(ctx, status.MACFilter{}) {
		if seen++; seen == 5 {
			break
		}
	}
	if got, err := c.FlushFDB(ctx, status.MACFilter{Port: "h1"}); err != nil || got != 3000 {
		t.Errorf("flushed %d, %v", got, err)
	}
	if _, err := c.FlushFDB(ctx, status.MACFilter{VNI: 7}); !errors.Is(err, status.ErrNotFound) {
		t.Errorf("flush of no VNI: %v", err)
	}
}

// TestApply: a refused document comes back with all faults, lines and paths.
func TestApply(t *testing.T) {
	_, c := serve(t, nodetest.New())
	// To parse the largest document takes its time under the race detector.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	good := []byte("node: {name: a, roles: [leaf], address: 10.0.0.1}\n")
	if gen, err := c.Apply(ctx, good, true); err != nil || gen != 1 {
		t.Errorf("dry run: generation %d, %v", gen, err)
	}
	if gen, err := c.Apply(ctx, good, false); err != nil || gen != 2 {
		t.Errorf("apply: generation %d, %v", gen, err)
	}
	bad := []byte("node:\n  name: A\n  roles: [leaf]\n  address: 10.0.0.1\nunderlay:\n  mtu: 1\n")
	_, want := config.Parse(bad, "")
	_, err := c.Apply(ctx, bad, false)
	if got, ok := errors.AsType[config.Faults](err); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", err, want)
	}
	// A document with more faults than an answer carries says so.
	_, err = c.Apply(ctx, []byte("x: 1\n"+strings.Repeat("y: 1\n", 500)), false)
	if got, ok := errors.AsType[config.Faults](err); !ok || len(got) != 101 || !strings.Contains(got[100].Problem, "more") {
		t.Errorf("got %d faults", len(got))
	}
	// As large as allowed passes the size limits of the transport.
	big := append(slices.Clone(good), '#')
	big = append(big, make([]byte, config.MaxSize-len(big))...)
	for i := len(good); i < len(big); i++ {
		big[i] = '#'
	}
	if _, err := c.Apply(ctx, big, true); err != nil {
		t.Errorf("32 MiB: %v", err)
	}
	if _, err := c.Apply(ctx, append(big, '#'), true); err == nil {
		t.Error("a larger document was accepted")
	}
	// Other programs may send it all the same.
	if _, err := c.Node().ApplyConfig(ctx, &pb.ApplyConfigRequest{Document: append(big, '#')}); grpcstatus.Code(err) != codes.InvalidArgument {
		t.Errorf("raw: %v", err)
	}
}

func TestReload(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	file := filepath.Join(t.TempDir(), "e.yaml")
	n.SetFile(file)
	if _, err := c.Reload(context10(t)); err == nil || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("node: {name: b, roles: [leaf], address: 10.0.0.1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if gen, err := c.Reload(context10(t)); err != nil || gen != 2 {
		t.Errorf("generation %d, %v", gen, err)
	}
}

// TestRollover walks a live AN change, and its wrong turns.
func TestRollover(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	ctx := context10(t)
	rx := status.SARef{VNI: 10100, Direction: status.Rx, SCI: vtep2, AN: 1}
	tx := status.SARef{VNI: 10100, Direction: status.Tx, AN: 1}
	old := status.SARef{VNI: 10100, Direction: status.Tx, AN: 0}
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"use what is not there", func() error { return c.UseAN(ctx, 10100, 1) }, status.ErrNotFound},
		{"install rx", func() error { return c.InstallSA(ctx, status.SA{SARef: rx, KeyFile: "/k"}) }, nil},
		{"install rx again", func() error { return c.InstallSA(ctx, status.SA{SARef: rx, KeyFile: "/k"}) }, status.ErrPrecondition},
		{"install tx", func() error { return c.InstallSA(ctx, status.SA{SARef: tx, KeyFile: "/k"}) }, nil},
		{"remove the one in use", func() error { return c.RemoveSA(ctx, old) }, status.ErrPrecondition},
		{"use", func() error { return c.UseAN(ctx, 10100, 1) }, nil},
		{"remove the old", func() error { return c.RemoveSA(ctx, old) }, nil},
		{"remove it again", func() error { return c.RemoveSA(ctx, old) }, status.ErrNotFound},
		{"no such VNI", func() error { return c.UseAN(ctx, 5, 1) }, status.ErrNotFound},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if y := n.SecYs()[0]; y.TxAN != 1 || len(y.TxSAs) != 1 || len(y.RxSCs[0].SAs) != 2 {
		t.Errorf("after the rollover: %+v", y)
	}
	err := c.InstallSA(ctx, status.SA{SARef: status.SARef{AN: 9}})
	if fs, ok := errors.AsType[config.Faults](err); !ok || len(fs) != 4 {
		t.Errorf("a request full of faults: %v", err)
	}
}

// TestTrace: frames sent once the watch has begun are followed to their end.
func TestTrace(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	var got []status.TraceRecord
	frame := []byte("frame")
	q := status.TraceRequest{Count: 2, VNI: 10100, Snap: 4, Begun: func() {
		for i, end := range []trace.Record{{Stage: trace.PortTx}, {Stage: trace.Bridge, Reason: counter.FDBDrop}} {
			in := trace.Record{Stage: trace.MACsecValidate, VNI: 10100, Worker: "w", Nanos: int64(i), Data: frame, Len: 5, Segs: 1, Port: 1}
			end.ID = n.Tap.Enter(&in)
			n.Tap.See(&end)
		}
	}}
	if err := c.Trace(context10(t), q, func(r status.TraceRecord) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || string(got[0].Data) != "fram" || got[0].Port != "h1" || !got[0].Time.Equal(nodetest.Epoch) || got[3].Reason != counter.FDBDrop {
		t.Errorf("got %+v", got)
	}
}

func TestCapture(t *testing.T) {
	n := nodetest.New()
	_, c := serve(t, n)
	see := func() { n.Tap.See(&trace.Record{Stage: trace.VXLANEncap, VNI: 10100, Data: []byte("outer"), Len: 5}) }
	count := 0
	put := func(p status.CapturePacket) error { count++; return nil }
	q := status.CaptureRequest{Stages: []trace.Stage{trace.VXLANEncap}, Snap: 100, Count: 3, Begun: func() {
		for range 5 {
			see()
		}
	}}
	if err := c.Capture(context10(t), q, put); err != nil || count != 3 {
		t.Errorf("by count: %d packets, %v", count, err)
	}
	q.Count, q.Duration, q.Begun = 0, time.Millisecond, nil
	if err := c.Capture(context10(t), q, put); err != nil {
		t.Errorf("by duration: %v", err)
	}
	// The caller's own error comes back, and the watch ends.
	stop := errors.New("enough")
	q.Duration, q.Begun = 0, see
	if err := c.Capture(context10(t), q, func(status.CapturePacket) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	q.Begun = cancel
	if err := c.Capture(ctx, q, put); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); n.Tap.Active(); {
		if time.Now().After(deadline) {
			t.Fatal("a watch is left over")
		}
		time.Sleep(time.Millisecond)
	}
	q.Stages = nil
	if _, ok := errors.AsType[config.Faults](c.Capture(context10(t), q, put)); !ok {
		t.Error("a capture nowhere was accepted")
	}
}

// TestWatchersAreBounded: the ninth watcher is refused, and after one ends there
// is room again. Close ends them all.
func TestWatchersAreBounded(t *testing.T) {
	s, c := serve(t, nodetest.New())
	ctx := context10(t)
	q := status.CaptureRequest{Stages: []trace.Stage{trace.PortRx}, Snap: 1}
	put := func(status.CapturePacket) error { return nil }
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	start := func(ctx context.Context) {
		begun := make(chan struct{})
		q := q
		q.Begun = func() { close(begun) }
		wg.Go(func() { errs <- c.Capture(ctx, q, put) })
		<-begun
	}
	one, cancel := context.WithCancel(ctx)
	start(one)
	for range 7 {
		start(ctx)
	}
	if err := c.Capture(ctx, q, put); err == nil || !strings.Contains(err.Error(), "8 traces and captures") {
		t.Errorf("ninth: %v", err)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for {
		again, stop := context.WithCancel(ctx)
		ok := false
		again2 := q
		again2.Begun = func() { ok = true; stop() }
		err := c.Capture(again, again2, put)
		stop()
		if ok {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("no room after one ended: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for range 7 {
		if err := <-errs; !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("at close: %v", err)
		}
	}
}

// panicky is a node with a bug.
type panicky struct{ *nodetest.Node }

func (panicky) Ports() []status.Port { panic("a bug") }

func TestPanicIsContained(t *testing.T) {
	_, c := serve(t, panicky{nodetest.New()})
	if _, err := c.Ports(context10(t)); err == nil || !strings.Contains(err.Error(), "a bug was contained") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Peers(context10(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestSocket: its mode, its neighbours, its end.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.sock")
	s, err := server.Listen(path, nodetest.New())
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(path)
	if err != nil || st.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, %v, want a socket of 0600", st.Mode(), err)
	}
	if _, err := server.Listen(path, nodetest.New()); !errors.Is(err, server.ErrInUse) {
		t.Errorf("a second server: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}

	// What a killed engine leaves behind is taken away.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if s, err = server.Listen(path, nodetest.New()); err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	// A successor's socket outlives us.
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("Close removed what is not its own: %v", err)
	}
	if _, err := server.Listen(path, nodetest.New()); err == nil {
		t.Error("a plain file was taken for a socket")
	}
}

func TestUnreachable(t *testing.T) {
	c := dial(t, filepath.Join(t.TempDir(), "none.sock"))
	_, err := c.Status(context10(t))
	if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(fmt.Sprint(err), "no such file") {
		t.Errorf("got %v", err)
	}
}

package metrics_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ztos/ztos/api/metrics"
	"github.com/ztos/ztos/api/nodetest"
	"github.com/ztos/ztos/api/server"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
)

func get(t *testing.T, h http.Handler, url string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
	return w.Code, w.Body.String()
}

func handler(t *testing.T, b server.Backend) http.Handler {
	t.Helper()
	h, err := metrics.Handler(b)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMetrics(t *testing.T) {
	code, body := get(t, handler(t, nodetest.New()), "http://localhost/metrics")
	if code != 200 {
		t.Fatalf("status %d: %s", code, body)
	}
	for _, want := range []string{
		`ztos_node_info{name="leaf1",version="1.2.3-test"} 1`,
		`ztos_node_config_generation 1`,
		`ztos_node_omitted_things 0`,
		`ztos_engine_worker_faults_total{worker="underlay.1"} 1`,
		`ztos_engine_dropped_frames_total{reason="macsec-not-valid"} 7`,
		`ztos_engine_dropped_frames_total{reason="wg-replayed"} 0`,
		`ztos_engine_underlay_device_afxdp{device="eth1"} 1`,
		`ztos_engine_underlay_device_afxdp{device="eth2"} 0`,
		`ztos_engine_underlay_device_next_hops{device="eth1"} 2`,
		`ztos_engine_port_up{device="eth1",port="h1"} 1`,
		`ztos_engine_port_up{device="tap1",port="t1"} 0`,
		`ztos_engine_port_frames_total{direction="rx",port="h1"} 1000`,
		`ztos_engine_port_refused_frames_total{port="t1"} 2`,
		`ztos_wireguard_peer_up{peer="spine1"} 1`,
		`ztos_wireguard_peer_session_age_seconds{peer="spine1"} 42`,
		`ztos_wireguard_peer_session{peer="spine2"} 0`,
		`ztos_wireguard_peer_bytes_total{direction="tx",peer="spine1"} 1.4588e+06`,
		`ztos_macsec_secy_total{counter="OutPktsEncrypted",vni="10100"} 1041`,
		`ztos_macsec_rxsc_total{counter="InPktsNotValid",sci="0a00000000020001",vni="10100"} 7`,
		`ztos_macsec_tx_next_packet_number{an="0",vni="10100"} 1042`,
		`ztos_mtu_tenant_bytes{vni="10200"} 1300`,
		`ztos_vrf_routes{vrf="red"} 7`,
		`ztos_vrf_neighbours{vrf="red"} 3`,
		`ztos_engine_count_total{counter="flooded-frames",kind="vni",name="10100"} 17`,
		`go_goroutines `,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	for _, not := range []string{`ztos_wireguard_peer_up{peer="spine2"}`, `session_age_seconds{peer="spine2"}`} {
		if strings.Contains(body, not) {
			t.Errorf("there is %s", not)
		}
	}
	if got := strings.Count(body, "\nztos_engine_dropped_frames_total{"); got != counter.NumReasons-1 {
		t.Errorf("%d drop reasons, want %d", got, counter.NumReasons-1)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "ztos_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// crowded is a node with more ports than have series.
type crowded struct{ *nodetest.Node }

func (crowded) Ports() (out []status.Port) {
	for i := range 5000 {
		out = append(out, status.Port{Name: fmt.Sprint("p", i)})
	}
	return out
}

func TestBounded(t *testing.T) {
	_, body := get(t, handler(t, crowded{nodetest.New()}), "http://localhost/metrics")
	if got := strings.Count(body, "\nztos_engine_port_up{"); got != 4096 {
		t.Errorf("%d ports have series", got)
	}
	if !strings.Contains(body, "\nztos_node_omitted_things 904\n") {
		t.Error("what was left out is not counted")
	}
}

// fresh is a node before its first configuration.
type fresh struct{ *nodetest.Node }

func (fresh) Status() status.Node { return status.Node{} }

// twins is a node with two workers, and two ports, of one name.
type twins struct{ *nodetest.Node }

func (twins) Status() status.Node {
	return status.Node{Workers: []status.Worker{{Name: "w", Faults: 1}, {Name: "w", Faults: 2}}}
}
func (twins) Ports() []status.Port { return []status.Port{{Name: "p"}, {Name: "p"}, {Name: "\xff"}} }

func TestNamesTwice(t *testing.T) {
	code, body := get(t, handler(t, twins{nodetest.New()}), "http://localhost/metrics")
	if code != 200 || !strings.Contains(body, "ztos_engine_worker_faults_total{worker=\"w\"} 3\n") {
		t.Errorf("status %d", code)
	}
}

func TestPaths(t *testing.T) {
	n, f := handler(t, nodetest.New()), handler(t, fresh{nodetest.New()})
	for _, tt := range []struct {
		name string
		h    http.Handler
		url  string
		code int
	}{
		{"healthy", n, "http://127.0.0.1:9464/healthz", 200},
		{"ready", n, "http://[::1]:9464/readyz", 200},
		{"healthy, not ready", f, "http://localhost/healthz", 200},
		{"not ready", f, "http://localhost/readyz", 503},
		{"profiles", n, "http://localhost/debug/pprof/", 200},
		{"goroutines", n, "http://localhost/debug/pprof/goroutine?debug=1", 200},
		{"nothing", n, "http://localhost/", 404},
		{"rebound name", n, "http://evil.example/debug/pprof/", 403},
		{"other address", n, "http://192.0.2.1:9464/metrics", 403},
	} {
		if code, body := get(t, tt.h, tt.url); code != tt.code {
			t.Errorf("%s: %d %s, want %d", tt.name, code, body, tt.code)
		}
	}
}

func TestListen(t *testing.T) {
	if _, err := metrics.Listen(netip.MustParseAddrPort("0.0.0.0:0"), nodetest.New()); !errors.Is(err, metrics.ErrNotLoopback) {
		t.Errorf("0.0.0.0: %v", err)
	}
	s, err := metrics.Listen(netip.MustParseAddrPort("127.0.0.1:0"), nodetest.New())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + s.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || string(body) != "ready\n" {
		t.Errorf("%d %q %v", resp.StatusCode, body, err)
	}
	if _, err := metrics.Listen(s.Addr(), nodetest.New()); err == nil {
		t.Error("a port was taken twice")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

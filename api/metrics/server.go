package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ztos/ztos/api/server"
)

// ErrNotLoopback: the address can be reached from other machines.
var ErrNotLoopback = errors.New("not a loopback address")

// graceTime is for requests in progress at Close.
const graceTime = time.Second

// Server serves metrics. Close ends it.
type Server struct {
	http   *http.Server
	addr   netip.AddrPort
	served chan error
}

// Listen serves b's metrics on a loopback address; port 0 chooses one. Errors:
// ErrNotLoopback, those of the network.
func Listen(at netip.AddrPort, b server.Backend) (*Server, error) {
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("metrics: %v: %w", at, ErrNotLoopback)
	}
	h, err := Handler(b)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s := &Server{
		// No write timeout: a CPU profile takes as long as it is asked to.
		http:   &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10},
		addr:   l.Addr().(*net.TCPAddr).AddrPort(),
		served: make(chan error, 1),
	}
	go func() { s.served <- s.http.Serve(l) }()
	return s, nil
}

// Addr returns the address and the port that is served.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Close ends serving; requests in progress get a moment.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), graceTime)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		if err := s.http.Close(); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// Handler returns what Listen serves.
func Handler(b server.Backend) (http.Handler, error) {
	reg := prometheus.NewPedanticRegistry()
	for _, c := range []prometheus.Collector{
		collector{b},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if b.Status().Generation == 0 {
			say(w, http.StatusServiceUnavailable, "no configuration is in force")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	return loopbackHost(mux), nil
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}

// loopbackHost refuses requests that were meant for another host: the name of a
// page that resolves to 127.0.0.1.
func loopbackHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if a, err := netip.ParseAddr(trimBrackets(host)); host != "localhost" && (err != nil || !a.IsLoopback()) {
			say(w, http.StatusForbidden, "ask for localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func trimBrackets(s string) string {
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		return s[1 : len(s)-1]
	}
	return s
}

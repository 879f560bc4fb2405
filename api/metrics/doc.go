// Package metrics serves a node's Prometheus metrics, profiles and health on a
// loopback address, over the Backend of package server.
//
//	/metrics        ztos_<package>_<what>, and those of the Go runtime and process
//	/debug/pprof/   profiles, traces, heap
//	/healthz        200 while the process answers
//	/readyz         200 once a configuration is in force, else 503
//
// Labels are things of the configuration (ports, peers, VNIs, SCIs) and fixed
// enums, never what packets carry, so no tenant can make series. Each kind of
// thing is bounded besides; what is left out is counted.
//
// There is no access control but the loopback address. Requests whose Host is not
// loopback are refused, so that a web page can't read profiles by rebinding a
// name to 127.0.0.1.
package metrics

// Package api is the root of what a node shows to the outside:
//
//	proto/    ztos.v1, the service definition
//	ztosv1/   what protoc makes of it; generated, committed
//	convert/  package status <-> ztosv1
//	profile/  profiles of the process, as server gives them
//	server/   gRPC on a unix socket, over a Backend
//	client/   the other end, in package status's types
//	metrics/  Prometheus and pprof on a loopback address, over the same Backend
//
// Layer 5.
package api

//go:generate ./generate.sh

// Package server serves ztos.v1 on a unix socket over a Backend.
//
// Who may call: the socket has mode 0600, and the kernel's word for who connects
// (SO_PEERCRED) must be the engine's own user or root; others are cut off before
// any request. There is no other access control and no network listener.
//
// What callers can cost is bounded: message sizes, concurrent requests, watchers
// of frames at a time, one profile. A panic below a request is answered with INTERNAL and the
// engine goes on. Close ends streams, gives other requests a moment, and removes
// the socket if it is still the one that Listen made.
//
// Goroutines are gRPC's, one per connection and request, and one that accepts.
package server

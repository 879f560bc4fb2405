// Package pgo makes the profile by which the compiler optimises the engine, and
// measures what that gains. `make pgo` and `make pgo-gain` run it.
//
// The profile is cmd/ztos-engine/default.pgo, which go build uses by itself: it
// puts the functions that are hot there inline, and calls through interfaces
// directly where one implementation is the usual one. It stays useful as code
// changes; taking it anew after larger changes of the forwarding path is enough.
package pgo

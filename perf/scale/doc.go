// Package scale measures how the engine's cost grows with its load: entries of
// an FDB, routes and VRFs of a FIB, VNIs, WireGuard peers and MACsec SAs. For
// each it says what an entry costs in memory, what a lookup, a change and a bulk
// of changes cost, and, with the real ztos-engine in a network namespace of its
// own, how long it takes to start, to apply a change, and what it burns while
// idle.
//
// Every dimension is measured at sizes that grow by a constant factor, so that
// what grows faster than its load shows in the ratios of one run, whatever the
// machine is.
//
// Layer 5. It needs root for the engine's part: TAP devices and a namespace.
package scale

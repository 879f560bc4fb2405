// Package counter holds the reasons for which a frame can be dropped and the
// counters that workers publish.
//
// A drop reason is an enum, never an error: every dropped frame is counted
// under exactly one. Its name is stable API: it is what the CLI, the metrics and
// the traces show, and docs/counters.md lists it.
//
// Layer 0: no other ZTOS package, no goroutine, no clock.
package counter

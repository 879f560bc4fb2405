// Package pkt holds what travels through a worker: frames, their offload
// metadata and the vectors that carry them from stage to stage.
//
// Ownership. Frame memory belongs to the receive queue that filled it and is
// borrowed by the worker until that queue's next Recv. A worker carries a burst
// through to the wire before it receives again, so nothing is reference
// counted, nothing is returned, and nothing may keep a frame's bytes beyond the
// burst: whoever needs them later (host stack, capture, trace) copies.
//
// The package is layer 0: it imports no other ZTOS package, has no goroutine
// and no clock.
package pkt

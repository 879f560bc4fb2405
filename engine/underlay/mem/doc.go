// Package mem is the underlay in memory: a Switch joins Muxes by their addresses
// and ports, and a hook may drop, copy, change or delay each datagram.
//
// Nothing is random and, unless a Mux is opened as blocking, nothing waits: Flush
// puts datagrams into the receivers' queues, Recv returns underlay.ErrTimeout when
// its queue is empty. A test that steps its workers in turn gets the same result
// every time. Several receive queues share the listening port by the sender's
// port. Datagrams of one
// group that follow each other arrive as one bundle, as the kernel's GRO makes
// them, unless the receiver was told not to.
//
// Layer 1. No goroutine, no clock.
package mem

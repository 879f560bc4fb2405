// Package mem is a port in memory. Tests put frames in with Inject and find
// what was sent with Sent; Link joins two ports as a cable would.
//
// By default Recv never waits: it returns port.ErrTimeout when nothing is
// there, so that a test steps workers one burst at a time and gets the same
// result every time. With Config.Blocking it waits as a device would.
//
// Layer 1. No goroutine. The clock is used only by a blocking Recv.
package mem

// Package bell wakes a worker that waits for other goroutines rather than for a
// device.
//
// Layer 1. No goroutine, no clock but the kernel's.
package bell

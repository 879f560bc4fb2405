// Package ring takes values from any number of workers to one reader, bounded and
// without waiting: how workers tell control what they saw.
//
// Layer 1. No goroutine, no clock.
package ring

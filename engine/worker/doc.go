// Package worker runs a forwarding graph to completion on a thread of its own.
//
// A Worker is one OS thread for one direction of one queue (or of a few queues
// under one epoll). It blocks in its graph's receive call, carries the burst to
// the wire and begins again. It owns everything its graph touches; control
// reaches it by snapshots and by Stop alone.
//
// Layer 1. The worker's thread is the only goroutine.
package worker

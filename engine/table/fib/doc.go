// Package fib is the forwarding information base of one VRF: which way the
// longest prefix that holds an IPv4 or IPv6 address leads.
//
//	control (one writer)                     workers (any number)
//	FIB.Update(changes) --> Table n+1 <----- FIB.Load, once a burst
//	                        |  shares          Cache.Lookup(table, addr)
//	                        v                    | miss
//	                     Table n                 +--> Table.Lookup
//
// A Table is immutable. Two versions share all of the trie that did not change
// between them, so a change of one route among 100,000 copies some nodes, and a
// reader that holds the old version goes on in it. A batch of changes is
// published by one store: no reader sees a part of it.
//
// The trie is github.com/gaissmai/bart: 8-bit strides, path compressed. At
// 100,000 routes a lookup of a random address waits for memory at several of its
// levels; packets come in flows, so a worker keeps what it looked up last in a
// Cache of its own, which answers from one cache line or two.
//
// Layer 1. No goroutine, no clock.
package fib

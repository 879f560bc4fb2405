// Package table holds the identifiers that tables are keyed by, and the
// publication of immutable snapshots from one writer to many workers.
//
// A worker enters a snapshot once a burst and leaves it at the burst's end.
// Settled tells the writer when no worker can still see an older one: only then
// may it wipe keys or close ports that the older one named.
//
// Layer 1. No goroutine, no clock.
package table

// Package control turns a configuration into the tables that workers forward
// by, and keeps them true: it opens ports and sockets, runs workers, learns and
// ages MACs, drives WireGuard handshakes and timers, grants packet numbers, and
// watches devices come and go.
//
// It is the only publisher of snapshots. Apply is all or nothing: everything that
// can fail is done, and undone on failure, before the one publication; what the
// old snapshot alone used is given back only after no worker can see it
// (table.Publisher.Settled). Frames of what did not change are not touched.
//
// One goroutine, loop, owns the state between applies; Node's lock serialises it
// with applies and with the API.
//
// Layer 4.
package control

// Package bgptest is a BGP speaker for tests, written without GoBGP: it opens a
// session as RFC 4271 asks, and then sends whatever bytes a test wants, wrong ones
// too, and keeps what comes.
//
// Imported by tests only.
package bgptest

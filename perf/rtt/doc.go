// Package rtt measures round trips as an application on one host sees them, with
// the tail that ping(8) does not show: ICMP echo requests at a fixed pace, each
// one timed by itself, in percentiles.
//
// Requests go out by the clock and do not wait for answers, so that a path that
// stalls is asked as often as one that does not. The far host's kernel answers
// without waking a program. Linux only.
package rtt

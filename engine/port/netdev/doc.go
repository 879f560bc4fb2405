// Package netdev asks a network device how it is and sets what a port driver
// that owns the device may set: MTU, MAC, up. It uses ioctls on a socket, not
// netlink, so it sees the network namespace in which it was opened, whatever
// the calling thread's.
//
// Linux only. Layer 1. No goroutine, no clock.
package netdev

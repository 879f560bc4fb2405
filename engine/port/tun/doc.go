// Package tun is the device by which the host itself sends and receives IP
// packets in the fabric VRF: ztos0. It carries whole IPv4 and IPv6 packets, no
// Ethernet header, no offloads, at most the MTU each.
//
// It is not a port.Port: nothing bridges to it. Addresses and routes are set by
// whoever configures the host, by netlink.
//
// Needs CAP_NET_ADMIN. Linux only. Layer 1. No goroutine, no clock.
package tun

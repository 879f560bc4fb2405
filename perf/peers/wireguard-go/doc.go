// Command wireguard-go is the peer that ZTOS is measured against: the device,
// tun and conn packages of golang.zx2c4.com/wireguard with a main of our own,
// so that it can be built and configured without further tools. The packet
// path is the original's, with its batching and its UDP and TUN offloads.
//
// It reads a UAPI "set" configuration (the lines of the cross-platform
// userspace protocol, keys in hexadecimal) from standard input up to its end,
// brings the device up, prints "ready" and runs until SIGTERM or SIGINT.
package main

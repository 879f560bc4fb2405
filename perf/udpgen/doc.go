// Package udpgen finds the highest rate of UDP datagrams that a path carries
// with almost no loss. iperf3 cannot: its receiver loses small datagrams on a
// bare veth, and its bursts are milliseconds long.
//
//	Send ---- tenant's socket or AF_PACKET ----> path ----> Receiver
//	   \____________ control, a unix socket ________________/
//
// The sender keeps time by the clock, in bursts of at most Interval. A tenant
// with offloads on hands super-frames to its device (UDP_SEGMENT); one with
// offloads off puts single, complete frames on it (AF_PACKET, sendmmsg). Each
// datagram carries a sequence number, and the receiver knows of every one
// whether it came once, twice or late.
//
// Send and Receiver.Serve run on the caller's goroutine, locked to its thread,
// and belong into processes of their own, in the namespaces of the hosts.
package udpgen

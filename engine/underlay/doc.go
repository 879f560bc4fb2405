// Package underlay sends and receives UDP datagrams for the tunnels, many at a
// time: UDP_SEGMENT (GSO) on the way out, UDP_GRO on the way in, sendmmsg and
// recvmmsg around both, and a plain fallback where the kernel has neither.
//
// A Mux owns the sockets of one listening address: one socket per receive queue
// on the listening port (SO_REUSEPORT), and one per further source port. Each
// receive queue belongs to one worker; sending is safe from any worker, each
// with a Tx of its own.
//
//	           listening port        source ports
//	queue 0    socket                 1   3            Rx 0: these three, under one epoll
//	queue 1    socket                   2   4          Rx 1
//	path       0 (either)             1 2 3 4          a Tx sends from any of them
//
// What peers send to the listening port its sockets share by the sender's port
// (steer), so that a path stays at one queue and a peer's paths are at all of
// them.
//
// A path is an index of a source port. One flow keeps to one path, so that the
// network between the nodes, which sees nothing of the flow but the source port,
// neither reorders it nor puts all flows on one link.
//
// The underlay never fragments: a VTEP must not (RFC 7348 section 4.3), and
// a datagram in pieces defeats GRO, ECMP and most filters. The sockets use
// PMTUDISC_PROBE: every packet has DF set, and a datagram larger than the
// interface's MTU is refused (EMSGSIZE, Sender.Oversized). PMTUDISC_DO would do
// that too, but also believe ICMP "fragmentation needed" messages, which anybody
// can forge: a node could be talked down to packets of 552 bytes. What a path
// carries is control's business, which knows the configured MTU.
//
// Package mem, below this one, is the same in memory.
//
// Linux only. Layer 1. No goroutine, no clock.
package underlay

// Package afpacket is a port on any Ethernet-like network device, by packet
// sockets (packet(7)) with a virtio-net header in front of every frame, so that
// GSO super-frames and partial checksums pass both ways as they are.
//
//	device --ETH_P_ALL--> fanout by flow hash --> one socket per Rx --recvmmsg--> worker
//	device <------------- one socket per Tx, bound to protocol 0 <--sendmmsg----- worker
//
// What arrives. Frames that a local socket or a guest sent carry partial
// checksums: the L4 field holds the pseudo-header sum (Offload.NeedsCsum), also
// in single frames. VLAN tags are stripped by the kernel, the outermost at
// least, and come back from the auxiliary data.
//
// What leaves. The device need not support an offload: the kernel cuts and sums
// in software what the device cannot. The queueing discipline is not bypassed,
// because that path drops super-frames which the device does not take, silently.
//
// The fanout is by symmetric flow hash without roll-over, so a flow stays on
// one queue, and without defragmentation, which would make frames longer than
// the MTU. The kernel hashes all fragments of a packet alike, by addresses only.
//
// A device that goes down and comes back keeps its sockets. One that was
// removed and created again has a new index: the port notices (Status, or a
// receive queue that is idle), opens new sockets and hands them to the same Rx
// and Tx.
//
// Needs CAP_NET_RAW; CAP_NET_ADMIN for socket buffers beyond the system's limit
// and for SetMTU. Linux 4.20 or later; several queues need 5.18, UDP super-frames
// 6.2.
//
// Layer 1. No goroutine, no clock.
package afpacket

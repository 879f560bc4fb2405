// Package tap is a port on a TAP device that the engine creates and owns: a
// virtual machine, a container or the host itself has the other end.
//
// The device has one queue per Rx (IFF_MULTI_QUEUE), a virtio-net header in
// front of every frame, and takes all offloads that the kernel knows, so that
// super-frames pass both ways whole. Any queue may be written to by anybody; a Tx
// writes to that of an Rx, by a descriptor of its own. Several queues share the
// flows by addresses and ports, and a flow stays at its queue (steer).
//
// A device that somebody deletes is created again, with the MTU and MAC of the
// configuration, by whoever notices first: Status, or an idle receive queue.
//
// Needs CAP_NET_ADMIN, and CAP_BPF for several queues: without it the kernel
// chooses queues by itself, and Status says so. Linux only. Layer 1. No goroutine, no clock.
package tap

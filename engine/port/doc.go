// Package port is the contract between workers and the places where tenant
// frames enter and leave a node. Its drivers are the packages below it:
// afpacket (a network device, by AF_PACKET with a virtio-net header), afxdp (one
// by AF_XDP), netport (one by AF_XDP where that goes, else by AF_PACKET), tap (a
// TAP device that the engine owns) and mem (in memory, for tests). The drivers
// share fdio, netdev and vnet. tun is the host stack's device, not a Port.
//
// A driver hands GSO super-frames over whole and takes them whole; afxdp gets none
// and cuts them. One worker owns an Rx; every worker that sends owns a Tx of its
// own, so neither is locked, but for afxdp's share of a queue.
//
// Layer 1. Drivers start no goroutine.
package port

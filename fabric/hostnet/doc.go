// Package hostnet gives the fabric VRF to the host's kernel: a TUN device with
// the node's addresses and a route for what the fabric reaches, in place of the
// engine's own stack.
//
// A Resolver asks the host's kernel for the underlay's next hops, for datagrams
// that go past it (engine/underlay/xdp).
//
// It is the engine's only user of netlink. Layer 3.
package hostnet

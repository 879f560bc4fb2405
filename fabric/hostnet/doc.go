// Package hostnet gives the fabric VRF to the host's kernel: a TUN device with
// the node's addresses and a route for what the fabric reaches, in place of the
// engine's own stack.
//
// It is the engine's only user of netlink. Layer 3.
package hostnet

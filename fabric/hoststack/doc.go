// Package hoststack gives a node an IP stack of its own in the fabric VRF, so
// that its VTEP address answers ping, and carries BGP, without a kernel route.
//
// It wraps gVisor's netstack: packets that the fabric delivers to the node go
// in, packets that the node sends come out and are routed and sealed by a worker
// of the fabric like any other outer packet. gVisor runs goroutines of its own
// for TCP; none of them is on the forwarding path.
//
// Layer 3. gVisor is used nowhere else.
package hoststack

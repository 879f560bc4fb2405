// Package netport is a port on a network device that goes by AF_XDP where that
// works, and by AF_PACKET where it does not, and says why in one sentence
// (port.Status.Driver and Note).
//
//	Open, device anew, MTU set --> afxdp --obstacle--> afpacket, with a note
//	                                 ^                    |
//	                                 +--- device anew ----+
//
// A worker keeps its Rx and Tx over a change of driver; frames that are in its
// hand at that moment stay readable until its next Recv.
//
// Layer 1. No goroutine, no clock.
package netport

// Package check holds the checks of a fabric at work: each runs against a lab
// that is up, returns a typed result, and an error that says what was expected
// and what was seen. The demonstration and the end-to-end tests are made of
// them.
//
//	Bench ---- lab.Lab             namespaces, processes
//	  |------- api client          counters, captures, traces, keys
//	  |------- tap.go              packet sockets: look at links, put frames on them
//	  |------- rogue.go            a node that speaks WireGuard and lies above it
//
// Nothing here trusts the engine's own decoders where it judges bytes: frames
// are built by hand or by gopacket, and the rogue's WireGuard is wireguard-go.
//
// All traffic stays in the lab's namespaces and is bounded in time and number.
// Checks run one at a time on a Bench, because they compare counters.
//
// Layer 5.
package check

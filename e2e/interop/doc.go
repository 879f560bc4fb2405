// Package interop holds the tests of a whole ztos-engine against peers that
// nobody here wrote. They have the build tag interop.
//
//	host ns                leaf ns                        peer
//	eth0 10.1.0.1 == veth == h1 ztos-engine u0 == veth == vxlan of this kernel
//	                                       u0 == veth == wireguard-go, vxlan of this kernel on it
//	                                     tap0 == QEMU == Debian's kernel: vxlan, macsec, wireguard
//
// One engine is one leaf; the peer is the other VTEP, and the tenant's other
// host at the same time: 10.1.0.2 sits on the peer's vxlan or macsec device.
// What the engine puts on the wire is also captured, and decoded by scapy and by
// tshark.
//
// Every test says what its peer counted and what the engine counted, and has a
// case that must not work. All traffic stays in namespaces that the test made,
// and is bounded.
//
// Layer 5.
package interop

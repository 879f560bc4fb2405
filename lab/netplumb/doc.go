// Package netplumb builds the virtual wiring of a lab or a test: named network
// namespaces, veth pairs between them, TAP devices, VLANs, addresses, routes,
// MTUs, offload switches and sysctls, and processes that live in a namespace.
//
// It is the only package of the project that speaks netlink. It never touches
// an interface of the namespace it was started in: every device is created
// inside a namespace made by Create, with its far end in another such
// namespace, so no frame can leave through a real NIC.
//
// Namespaces are bind mounted under /run/netns the way iproute2 does it, so
// `ip netns list` and `ip netns exec` see them.
//
// It starts no lasting goroutine. All functions need CAP_SYS_ADMIN and
// CAP_NET_ADMIN; they may be called from any goroutine.
package netplumb

// Package frr tests package bgp against FRR, in network namespaces that each test
// makes: FRR as a leaf with the kernel's VXLAN and bridge, and as a route
// reflector.
//
// The tests need root and FRR's daemons, and fail without. Run them with make
// e2e.
package frr

// Package isolation proves from the tables that a node has loaded that no path
// leads from one tenant to another.
//
//	configuration --> Plan: which tenant each circuit, VNI and VTEP is of
//	                    |
//	fabric.Snapshot --> Verify: every step that a packet can take by the loaded
//	FDBs, FIBs          tables stays in its tenant, or is what a contract
//	                    permits --> Report
//
// A tenant is a VRF with its bridge domains and its L3VNI, or a bridge domain that
// is only bridged. Every place where a packet can be (a circuit, a bridge domain, a
// VRF, a VTEP in a VNI) is of one tenant by the configuration, and every step from
// place to place is an entry of a loaded table: of a port's circuits, a flood list,
// an FDB, a FIB, an adjacency, a spine's guard. If no single step leaves its
// tenant, no path does. That the keys of two tenants differ is a step too: with one
// key for both, whoever carries the frames could move one over.
//
// An entry whose end is not in the snapshot leads nowhere: handles are not used
// again, and workers drop it.
//
// Layer 4. Pure: it reads what it is given, and may run beside workers.
package isolation

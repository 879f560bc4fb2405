// Package l2 is the bridge: attachment circuits, bridge domains, the FDB,
// learning, flooding and storm control, in the terms of IEEE 802.1Q, and what is
// done about frames that the tenant MTU does not hold.
//
//	worker                                            control
//	frame -> Access.Classify -> AC
//	      -> Bridge.FromLocal / FromVTEP -> Verdict
//	           |    reads and touches                 Learner
//	           +--> FDB  <------------------------ puts, ages, flushes
//	           +--> Ring (sightings) ------------> Learn
//
// An attachment circuit is a port, or a VLAN of it, in one bridge domain; a
// bridge domain is one VNI. Every table hangs on one bridge domain, so tenants
// may use the same MACs, addresses and VLANs: nothing crosses.
//
// What workers see (AC, Access, BD) is immutable but for cells: FDB shards,
// storm buckets, gates and counters, which outlive the snapshots that point at
// them. The Learner is the one writer of the FDBs.
//
// Layer 2. Pure: time is passed in, there is no goroutine and no log.
package l2

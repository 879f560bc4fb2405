// Package full is the benchmark that `make perf` runs: ZTOS layer by layer and its
// peers, in interleaved rounds on the same namespaces.
//
// Every round measures every mode once in each case, so that a machine that
// becomes slower does so for all, and a calibration of the cipher stands beside
// each measurement. A figure is the median over the rounds. Only figures of one
// run are compared.
//
// The cases differ in the tenants alone:
//
//	host        their devices take super-frames (TX checksum, TSO, GSO on), as
//	            those of virtual machines and containers do
//	wire        these are off at the hosts' ends: every frame that reaches a
//	            leaf is complete and MTU sized, as from a cable
//	jumbo-host  as host and wire, with tenants' MTU as large as ZTOS with all
//	jumbo-wire  layers leaves on the underlay, for everybody
//
// The leaves' ends of the links and all devices of the underlay keep their
// defaults in all cases and for all modes, GRO among them.
//
// One TCP stream is measured in every round; four streams, UDP and round trips,
// which take longer, in every Config.Sparse-th one. Modes that are not being
// measured are paused.
package full

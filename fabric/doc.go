// Package fabric composes the features into the graphs that workers run: leaf
// in, underlay in (leaf out and spine), host out, and the gateways' slow path.
//
//	LeafIn      port rx > access > bridge | irb-route > macsec-protect > vxlan-encap > wireguard-seal > underlay tx
//	UnderlayIn  underlay rx > wireguard-open +> vxlan-decap > macsec-validate > merge > bridge | irb-route > port tx
//	                                         +> vni-vrf guard > outer route > wireguard-seal > underlay tx
//	                                         +> host stack
//	HostOut     host stack > outer route > wireguard-seal > underlay tx
//	Gateway     slow path > bridge | irb-route > port tx, or as LeafIn
//
// A graph has one method, Step, that carries one burst from its receive queue to
// the wire. All that it looks things up in is one immutable Snapshot, entered
// once a burst; what packets change (packet numbers, replay windows, counters,
// token buckets) lives in cells that snapshots point at and outlives them.
//
// Every frame that a graph takes in leaves it, or is counted under exactly one
// drop reason. Frames that should be protected and are not are dropped in both
// directions: nothing here has a path from a protected VNI to the wire that does
// not go through its SecY, nor from a WireGuard peer's name to the wire that does
// not go through its session.
//
// Layer 3. Graphs start no goroutine and never log; time is injected.
package fabric

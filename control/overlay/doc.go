// Package overlay keeps a node's bridge domains in step with EVPN: it carries
// what peers announce into the FDB and the flood lists, and what happens at this
// node into the routes that it announces.
//
//	l2.Learner -- sightings, ages ----+                +--> FDB: Place, Evict, Freeze
//	BGP        -- updates, sessions --+-> evpn.Speaker +--> flood lists, once a batch
//	config     -- VNIs, grants -------+                +--> routes for BGP
//	                                                   +--> events, counts
//
// A remote VTEP is used only where the configuration grants it and has a way and
// keys for it. What peers say of others is refused, counted and reported.
//
// Layer 4. It has no goroutine and no lock: control's loop, which owns the
// learner too, calls it. Time is nanoseconds since the node began.
package overlay

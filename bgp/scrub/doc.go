// Package scrub stands between a BGP session's wire and GoBGP, one whole message
// at a time, and keeps from GoBGP what it would not take as the standards ask:
//
//	peer --> In  --> GoBGP    EVPN routes of types that nobody here knows, or
//	                          malformed in themselves, are taken out; EVPN's
//	                          extended communities are veiled
//	peer <-- Out <-- GoBGP    the communities are unveiled; a next hop that only
//	                          the local relay knows becomes the session's address
//
// Routes of unknown types: RFC 7606 section 5.4 wants them discarded, where
// GoBGP 4.8.0 resets the session.
//
// Extended communities of EVPN: GoBGP withdraws routes with one it does not know.
// And it compares the sequence numbers of MAC mobility (RFC 7432 section 7.7) by
// itself and then refuses or withdraws local routes, a decision that is package
// evpn's. So it carries them under types that it passes on unread (VeilType).
//
// Pure: no socket, no goroutine, no clock, no log. A Scrubber is for one
// direction of one connection and one goroutine.
package scrub

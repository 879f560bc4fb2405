// Package dhcp is the DHCP relay of a gateway: what it does with the messages of
// clients and servers, for IPv4 (RFC 2131, RFC 1542) and IPv6 (RFC 8415).
//
//	client                 relay, on every leaf               server
//	DISCOVER, broadcast -> Relay.Forward4: giaddr, hops,   -> by the VRF's routes
//	                       option 82
//	SOLICIT, multicast  -> Relay.Forward6: RELAY-FORW
//	ADVERTISE, REPLY    <- Relay.Return6                   <- RELAY-REPL
//	OFFER, ACK          <- Relay.Return4: without option 82<-
//
// The gateway has the same address on every leaf, so a reply to it would come to
// any of them. The relay speaks to servers from an address of the leaf's own, and
// names the client's subnet apart: by link selection (RFC 3527) and by the link
// address. What a server sends back names the bridge domain, so a relay keeps
// nothing of an exchange, but for IPv6 the MAC of who asked.
//
// Layer 2. Pure: time is passed in, there is no goroutine, socket or log. It
// imports no other feature.
package dhcp

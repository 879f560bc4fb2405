package counter

// Reason says why a frame was dropped. The zero value, None, means that it was
// not.
type Reason uint8

// Reasons, grouped by the stage that drops.
const (
	None Reason = iota

	// Ports and access.
	FrameTooShort   // fewer than 14 bytes, or headers cut off
	FrameTooLong    // longer than the port or a buffer takes
	VLANNotAllowed  // no attachment circuit on this port for this tag stack
	TagStackTooDeep // more tags than pkt.MaxTags
	PortDown        // the egress port is down, removed or refused the frame
	PortTxFull      // the egress port's queue stayed full
	BadOffload      // a virtio-net header that does not fit its frame

	// Bridge.
	BDUnknown         // no bridge domain for this VNI
	SourceMACInvalid  // source MAC is multicast or zero
	LinkLocalReserved // 01-80-C2-00-00-0X: never forwarded by a bridge
	SplitHorizon      // would leave by the way it came, or from VTEP to VTEP
	StormLimited      // over the BUM rate of the port or VNI
	MACLimit          // the port's or VNI's MAC limit refuses this new source
	MACMoveRefused    // a static MAC appeared elsewhere
	MACForeignVTEP    // EVPN has the source MAC at another VTEP than the one that sent it
	MACQuarantined    // the source MAC is a duplicate, and this is the newcomer
	BUMNotDF          // another node is the segment's designated forwarder, and sends this there
	SegmentNotDF      // to or from a single-active segment that another node uses
	NoDestination     // flood list and ports are empty
	FDBDrop           // the FDB says drop (blackhole entry)
	ProxyUnknown      // asks by ARP or ND for an address that nobody announced, where that is not flooded

	// Size.
	OversizedICMPSent // larger than the tenant MTU; sender was told by ICMP
	OversizedNoICMP   // larger than the tenant MTU; nobody could be told
	SegmentFailed     // a super-frame that can't be cut into segments

	// Routing between bridge domains.
	RouteNotIP          // to the gateway's MAC, and neither IP nor for the gateway itself
	RouteBadHeader      // IPv4 header checksum is wrong
	RouteBadSource      // source address is no host's, or link-local
	RouteBadDest        // destination is multicast, broadcast, loopback or link-local
	RouteSpoofed        // the route back to the source is not the way it came (uRPF)
	RouteTTLExceeded    // TTL or hop limit ran out
	RouteNone           // no route in the VRF
	RouteBlackhole      // the route says drop
	RouteNoContract     // to another VRF, and no contract permits it
	RouteGone           // the route names a bridge domain or VTEP that the snapshot does not have
	RouterMACWrong      // in an L3VNI, not to the router MAC
	NeighbourUnresolved // the next hop's MAC is not known
	GatewayBusy         // the gateway's slow path does not keep up
	DHCPRefused         // a DHCP message that the relay does not pass on
	DHCPLimited         // more DHCP messages than the relay takes of a circuit or VNI

	// MACsec, transmit.
	MACsecNoTxSA      // protection is configured and no transmit SA is usable
	MACsecPNExhausted // the hard limit of the packet number is reached
	MACsecTooLong     // OutPktsTooLong

	// MACsec, receive; names of the IEEE 802.1AE MIB counters.
	MACsecUntagged     // InPktsNoTag under must-secure
	MACsecBadTag       // InPktsBadTag: V, ES/SC/SCB, SL, reserved bits, PN 0, length
	MACsecUnknownSCI   // InPktsNoSCI
	MACsecForeignSCI   // authenticated by the channel of another VTEP than the outer source
	MACsecNotUsingSA   // InPktsNotUsingSA
	MACsecLate         // InPktsLate: before the replay window
	MACsecReplayed     // inside the window, seen before
	MACsecNotValid     // InPktsNotValid: ICV does not verify
	MACsecModeMismatch // hidden-mode frame on a standard VNI, or the reverse, or E/C bits not as configured
	MACsecUnexpected   // a MACsec frame on a VNI that is not protected

	// VXLAN.
	VXLANBadHeader   // I flag missing, reserved flag set that changes meaning, cut off
	VXLANUnknownVNI  // VNI is not configured here
	VXLANBadChecksum // UDP checksum present and wrong, or zero where it may not be
	VXLANNotOurVTEP  // outer destination is not this node's VTEP
	VXLANUnknownVTEP // outer source is not a VTEP of this VNI
	VXLANWrongPort   // outer UDP port is not the VXLAN port

	// WireGuard.
	WGBadMessage       // not a WireGuard message, bad length or type
	WGUnknownIndex     // no session for the receiver index
	WGSessionExpired   // past REJECT_AFTER_TIME or REJECT_AFTER_MESSAGES
	WGAuthFailed       // Poly1305 tag does not verify
	WGReplayed         // counter seen before or behind the window
	WGNotAllowedIP     // inner source is not in the peer's allowed IPs
	WGBadInner         // decrypted packet is not a whole IPv4 or IPv6 packet
	WGNoSession        // nothing to seal with: no current session with the peer
	WGPeerDown         // the peer failed its liveness check
	WGEndpointUnknown  // no endpoint known for the peer
	WGPuntFull         // handshake messages arrive faster than they are worked
	UnprotectedRefused // cleartext where WireGuard is configured

	// Spine and outer routing.
	OuterNoRoute       // no route for the outer destination
	OuterTTLExceeded   // TTL or hop limit ran out
	OuterSourceSpoofed // outer source is not the sending peer's VTEP
	OuterLinkLocal     // link-local address elsewhere than between the two ends of a session
	SpineVNINotMember  // VNI has no VRF here, or sender is not a member
	SpineDestNotMember // destination VTEP is not a member of the VNI's VRF
	NotASpine          // transit packet on a node that has no spine role

	// Underlay and host.
	UnderlayTxFailed  // the socket refused the datagram
	UnderlayTruncated // a datagram larger than the buffer
	HostPuntFull      // the host stack does not keep up
	HostNoHandler     // addressed to this node, and nothing serves it
	WorkerFault       // a bug was contained: the burst in hand was given up

	numReasons
)

// NumReasons is the number of reasons, None included: the length of an array
// indexed by Reason.
const NumReasons = int(numReasons)

package counter

import "fmt"

// reasonText is a reason's stable name and what an operator reads about it.
type reasonText struct{ name, help string }

var reasonTexts = [NumReasons]reasonText{
	None:                {"none", "not dropped"},
	FrameTooShort:       {"frame-too-short", "fewer than 14 bytes, or headers cut off"},
	FrameTooLong:        {"frame-too-long", "longer than the port or a buffer takes"},
	VLANNotAllowed:      {"vlan-not-allowed", "no attachment circuit on this port for this tag stack"},
	TagStackTooDeep:     {"tag-stack-too-deep", "more tags than pkt.MaxTags"},
	PortDown:            {"port-down", "the egress port is down, removed or refused the frame"},
	PortTxFull:          {"port-tx-full", "the egress port's queue stayed full"},
	BadOffload:          {"bad-offload", "a virtio-net header that does not fit its frame"},
	BDUnknown:           {"bd-unknown", "no bridge domain for this VNI"},
	SourceMACInvalid:    {"source-mac-invalid", "source MAC is multicast or zero"},
	LinkLocalReserved:   {"link-local-reserved", "01-80-C2-00-00-0X: never forwarded by a bridge"},
	SplitHorizon:        {"split-horizon", "would leave by the way it came, or from VTEP to VTEP"},
	StormLimited:        {"storm-limited", "over the BUM rate of the port or VNI"},
	MACLimit:            {"mac-limit", "the port's or VNI's MAC limit refuses this new source"},
	MACMoveRefused:      {"mac-move-refused", "a static MAC appeared elsewhere"},
	MACForeignVTEP:      {"mac-foreign-vtep", "EVPN has the source MAC at another VTEP than the one that sent it"},
	MACQuarantined:      {"mac-quarantined", "the source MAC is a duplicate, and this is the newcomer"},
	BUMNotDF:            {"bum-not-df", "another node is the segment's designated forwarder, and sends this there"},
	SegmentNotDF:        {"segment-not-df", "to or from a single-active segment that another node uses"},
	NoDestination:       {"no-destination", "flood list and ports are empty"},
	FDBDrop:             {"fdb-drop", "the FDB says drop (blackhole entry)"},
	ProxyUnknown:        {"proxy-unknown", "asks by ARP or ND for an address that nobody announced, where that is not flooded"},
	OversizedICMPSent:   {"oversized-icmp-sent", "larger than the tenant MTU; sender was told by ICMP"},
	OversizedNoICMP:     {"oversized-no-icmp", "larger than the tenant MTU; nobody could be told"},
	SegmentFailed:       {"segment-failed", "a super-frame that can't be cut into segments"},
	RouteNotIP:          {"route-not-ip", "sent to the gateway, and not a packet that it routes"},
	RouteBadHeader:      {"route-bad-header", "IPv4 header checksum is wrong"},
	RouteBadSource:      {"route-bad-source", "source address is no host's, or link-local"},
	RouteBadDest:        {"route-bad-destination", "destination is multicast, broadcast, loopback or link-local"},
	RouteSpoofed:        {"route-spoofed", "the way back to the source is not the way the packet came (uRPF)"},
	RouteTTLExceeded:    {"route-ttl-exceeded", "TTL or hop limit ran out; the sender was told within the rate"},
	RouteNone:           {"route-none", "the VRF has no route; the sender was told within the rate"},
	RouteBlackhole:      {"route-blackhole", "the route says drop"},
	RouteNoContract:     {"route-no-contract", "a route leads to another VRF, and no contract permits this source and destination"},
	RouteGone:           {"route-gone", "the route leads to a bridge domain or VTEP that is not there"},
	RouterMACWrong:      {"router-mac-wrong", "a frame in an L3VNI for another router MAC"},
	NeighbourUnresolved: {"neighbour-unresolved", "no host answers for the next hop; the sender was told within the rate"},
	GatewayBusy:         {"gateway-busy", "packets for the gateway itself come faster than they are worked"},
	DHCPRefused:         {"dhcp-refused", "a DHCP message that the relay does not pass on; `ztosctl show dhcp` says why"},
	DHCPLimited:         {"dhcp-limited", "more DHCP messages than the relay takes of a circuit or VNI"},
	MACsecNoTxSA:        {"macsec-no-tx-sa", "protection is configured and no transmit SA is usable"},
	MACsecPNExhausted:   {"macsec-pn-exhausted", "the hard limit of the packet number is reached"},
	MACsecTooLong:       {"macsec-too-long", "OutPktsTooLong"},
	MACsecUntagged:      {"macsec-untagged", "InPktsNoTag under must-secure"},
	MACsecBadTag:        {"macsec-bad-tag", "InPktsBadTag: V, ES/SC/SCB, SL, reserved bits, PN 0, length"},
	MACsecUnknownSCI:    {"macsec-unknown-sci", "InPktsNoSCI"},
	MACsecForeignSCI:    {"macsec-foreign-sci", "authenticated by the channel of another VTEP than the outer source"},
	MACsecNotUsingSA:    {"macsec-not-using-sa", "InPktsNotUsingSA"},
	MACsecLate:          {"macsec-late", "InPktsLate: before the replay window"},
	MACsecReplayed:      {"macsec-replayed", "inside the window, seen before"},
	MACsecNotValid:      {"macsec-not-valid", "InPktsNotValid: ICV does not verify"},
	MACsecModeMismatch:  {"macsec-mode-mismatch", "hidden-mode frame on a standard VNI, or the reverse, or E/C bits not as configured"},
	MACsecUnexpected:    {"macsec-unexpected", "a MACsec frame on a VNI that is not protected"},
	VXLANBadHeader:      {"vxlan-bad-header", "I flag missing, reserved flag set that changes meaning, cut off"},
	VXLANUnknownVNI:     {"vxlan-unknown-vni", "VNI is not configured here"},
	VXLANBadChecksum:    {"vxlan-bad-checksum", "UDP checksum present and wrong, or zero where it may not be"},
	VXLANNotOurVTEP:     {"vxlan-not-our-vtep", "outer destination is not this node's VTEP"},
	VXLANUnknownVTEP:    {"vxlan-unknown-vtep", "outer source is not a VTEP of this VNI"},
	VXLANWrongPort:      {"vxlan-wrong-port", "outer UDP port is not the VXLAN port"},
	WGBadMessage:        {"wg-bad-message", "not a WireGuard message, bad length or type"},
	WGUnknownIndex:      {"wg-unknown-index", "no session for the receiver index"},
	WGSessionExpired:    {"wg-session-expired", "past REJECT_AFTER_TIME or REJECT_AFTER_MESSAGES"},
	WGAuthFailed:        {"wg-auth-failed", "Poly1305 tag does not verify"},
	WGReplayed:          {"wg-replayed", "counter seen before or behind the window"},
	WGNotAllowedIP:      {"wg-not-allowed-ip", "inner source is not in the peer's allowed IPs"},
	WGBadInner:          {"wg-bad-inner", "decrypted packet is not a whole IPv4 or IPv6 packet"},
	WGNoSession:         {"wg-no-session", "nothing to seal with: no current session with the peer"},
	WGPeerDown:          {"wg-peer-down", "the peer failed its liveness check"},
	WGEndpointUnknown:   {"wg-endpoint-unknown", "no endpoint known for the peer"},
	WGPuntFull:          {"wg-punt-full", "handshake messages arrive faster than they are worked"},
	UnprotectedRefused:  {"unprotected-refused", "cleartext where WireGuard is configured"},
	OuterNoRoute:        {"outer-no-route", "no route for the outer destination"},
	OuterTTLExceeded:    {"outer-ttl-exceeded", "TTL or hop limit ran out"},
	OuterSourceSpoofed:  {"outer-source-spoofed", "outer source is not the sending peer's VTEP"},
	OuterLinkLocal:      {"outer-link-local", "link-local address elsewhere than between the two ends of a session"},
	SpineVNINotMember:   {"spine-vni-not-member", "VNI has no VRF here, or sender is not a member"},
	SpineDestNotMember:  {"spine-dest-not-member", "destination VTEP is not a member of the VNI's VRF"},
	NotASpine:           {"not-a-spine", "transit packet on a node that has no spine role"},
	UnderlayTxFailed:    {"underlay-tx-failed", "the socket refused the datagram"},
	UnderlayTruncated:   {"underlay-truncated", "a datagram larger than the buffer"},
	HostPuntFull:        {"host-punt-full", "the host stack does not keep up"},
	HostNoHandler:       {"host-no-handler", "addressed to this node, and nothing serves it"},
	WorkerFault:         {"worker-fault", "a bug was contained: the burst in hand was given up"},
}

// String returns the stable name: lower case words joined by hyphens.
func (r Reason) String() string {
	if int(r) >= NumReasons {
		return fmt.Sprintf("reason-%d", uint8(r))
	}
	return reasonTexts[r].name
}

// Help returns one line that says when a frame is dropped for r; empty for a
// value that is not a reason.
func (r Reason) Help() string {
	if int(r) >= NumReasons {
		return ""
	}
	return reasonTexts[r].help
}

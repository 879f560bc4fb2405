package guard_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztos/ztos/engine/counter"
)

var update = flag.Bool("update", false, "write the generated parts of docs/ again")

// reasonGroups gives docs/counters.md its sections: each starts at a reason and
// goes on to the next.
var reasonGroups = []struct {
	first counter.Reason
	title string
}{
	{counter.FrameTooShort, "Ports and access"},
	{counter.BDUnknown, "Bridge"},
	{counter.OversizedICMPSent, "Size"},
	{counter.RouteNotIP, "Routing between bridge domains"},
	{counter.MACsecNoTxSA, "MACsec, transmit"},
	{counter.MACsecUntagged, "MACsec, receive"},
	{counter.VXLANBadHeader, "VXLAN"},
	{counter.WGBadMessage, "WireGuard"},
	{counter.OuterNoRoute, "Spine and outer routing"},
	{counter.UnderlayTxFailed, "Underlay and host"},
}

// advice is what an operator does about a reason.
var advice = map[counter.Reason]string{
	counter.FrameTooShort:       "Look at the sender: no Ethernet device makes such frames.",
	counter.FrameTooLong:        "Compare the MTUs of the tenant and of the egress port.",
	counter.VLANNotAllowed:      "Attach the VLAN under `attach`, or take it off the tenant's trunk.",
	counter.TagStackTooDeep:     "Use `all: true` for a transparent port, or fewer tags.",
	counter.PortDown:            "`ztosctl show ports`; look at the device's link.",
	counter.PortTxFull:          "The tenant does not take frames as fast as they come; look at its CPU.",
	counter.BadOffload:          "A tenant's driver hands over broken offload data: turn its offloads off, report it.",
	counter.BDUnknown:           "Configure the VNI here, or take this VTEP off the others' lists.",
	counter.SourceMACInvalid:    "A broken or hostile tenant.",
	counter.LinkLocalReserved:   "Nothing: LACP, LLDP, STP and the like end at the port.",
	counter.SplitHorizon:        "Normal in small numbers. In large ones: a loop between tenant ports.",
	counter.StormLimited:        "Find the sender of the storm, or raise `storm`.",
	counter.MACLimit:            "A flood of source MACs, or a limit that is too low.",
	counter.MACMoveRefused:      "Somebody uses a static MAC from another place: a spoof or a stale entry.",
	counter.MACForeignVTEP:      "A leaf sends with a MAC that another leaf announces. A few during a move: the frame overtook the route. Many: a leaf that lies, see `ztosctl show mobility`.",
	counter.MACQuarantined:      "Two hosts use one MAC. Find the newcomer with `ztosctl show duplicates`, end the cause, then `ztosctl evpn release`.",
	counter.BUMNotDF:            "Nothing: it is how a host with several links gets one copy. Who sends it: `ztosctl show segments`.",
	counter.SegmentNotDF:        "Nothing, unless the host sends by the wrong link: see `ztosctl show segments`.",
	counter.NoDestination:       "Configure `vteps`, or look whether all ports are down.",
	counter.FDBDrop:             "Configured.",
	counter.ProxyUnknown:        "Configured, by `suppress-unknown: drop`. The host asked for is down, or has never spoken: `ztosctl show arp`.",
	counter.OversizedICMPSent:   "Nothing if it stays small: the sender learns. Otherwise lower the tenant's MTU; see `ztosctl show mtu`.",
	counter.OversizedNoICMP:     "Lower the tenant's MTU to what `ztosctl show mtu` says.",
	counter.SegmentFailed:       "A tenant's driver hands over broken super-frames: turn its offloads off, report it.",
	counter.RouteNotIP:          "A tenant sends to the gateway what is neither IP, ARP nor ND, or with VLAN tags inside.",
	counter.RouteBadHeader:      "A broken sender, or damage on the way. Never normal.",
	counter.RouteBadSource:      "A broken or hostile tenant.",
	counter.RouteBadDest:        "Nothing in small numbers: such packets do not leave their link.",
	counter.RouteSpoofed:        "A spoof, or a route to the sender is missing: `ztosctl show routes`; see `urpf`.",
	counter.RouteTTLExceeded:    "Normal for traceroute. Otherwise a routing loop between VRF routers.",
	counter.RouteNone:           "Add a route to the VRF, or find out who scans.",
	counter.RouteBlackhole:      "Configured.",
	counter.RouteNoContract:     "Add the sender to `return`, or the destination to `prefixes`, of a [contract](routing.md#contracts), if it may.",
	counter.RouteGone:           "Normal for a moment while the configuration changes.",
	counter.RouterMACWrong:      "Make `router-mac` at the sender what `ztosctl show vrf` says here.",
	counter.NeighbourUnresolved: "The host is down, or somebody scans the subnet: `ztosctl show arp`.",
	counter.GatewayBusy:         "A flood of ARP, ping or the like to the gateway.",
	counter.DHCPRefused:         "`ztosctl show dhcp` counts by reason; see [DHCP relay](routing.md#dhcp-relay).",
	counter.DHCPLimited:         "A host floods DHCP: `ztosctl show dhcp` has the last requests.",
	counter.MACsecNoTxSA:        "Give the SA of `tx.an` a key.",
	counter.MACsecPNExhausted:   "Roll over to another AN with a fresh key, now; earlier at the soft limit.",
	counter.MACsecTooLong:       "Lower the tenant's MTU to what `ztosctl show mtu` says.",
	counter.MACsecUntagged:      "The sender has no MACsec on this VNI, or somebody injects frames.",
	counter.MACsecBadTag:        "A broken or foreign implementation, or somebody injects frames.",
	counter.MACsecForeignSCI:    "Somebody between the leaves sends one leaf's frames in another's name: look at the spines. `ztosctl show macsec` counts them by channel.",
	counter.MACsecUnknownSCI:    "Configure the sender as a MACsec peer of the VNI, or find out who it is.",
	counter.MACsecNotUsingSA:    "The sender uses an AN that has no key here: give both the same SAs.",
	counter.MACsecLate:          "Reordering wider than `replay-window`: raise it. Without load: a replay.",
	counter.MACsecReplayed:      "A replay, or a duplicating path.",
	counter.MACsecNotValid:      "Wrong SAK on one side, or tampering between the leaves. Never normal.",
	counter.MACsecModeMismatch:  "Make `mode` and `encrypt` the same at all leaves of the VNI.",
	counter.MACsecUnexpected:    "The sender protects a VNI that has `protection: none` here.",
	counter.VXLANBadHeader:      "A broken sender.",
	counter.VXLANUnknownVNI:     "Configure the VNI here, or take this VTEP off the others' lists.",
	counter.VXLANBadChecksum:    "Damage on the path, or `vxlan-udp-checksum` differs where IPv6 needs it.",
	counter.VXLANNotOurVTEP:     "The sender has a wrong VTEP address, or routes to this node by mistake.",
	counter.VXLANUnknownVTEP:    "Add the sender to `vteps` of the VNI, or find out who it is.",
	counter.VXLANWrongPort:      "Make `vxlan-port` the same everywhere.",
	counter.WGBadMessage:        "Stray or hostile UDP traffic to the WireGuard port.",
	counter.WGUnknownIndex:      "Normal for a moment after a restart. Otherwise stray or hostile traffic.",
	counter.WGSessionExpired:    "Normal for a moment. Otherwise the rekey fails: `ztosctl show peers`.",
	counter.WGAuthFailed:        "Tampering or damage on the underlay. Never normal.",
	counter.WGReplayed:          "A replay, or a duplicating underlay.",
	counter.WGNotAllowedIP:      "Add the source to the peer's `allowed-ips`, or find out why it sends it. If it is link-local: an unnumbered BGP neighbour of one side only; name the peer under `bgp.neighbors` at both ends.",
	counter.WGBadInner:          "The peer sends what is no IP packet: look at the peer.",
	counter.WGNoSession:         "The handshake does not come through: `ztosctl show peers`, endpoint, keys, firewall.",
	counter.WGPeerDown:          "The peer or the way to it is dead. Traffic takes other paths if there are any.",
	counter.WGEndpointUnknown:   "Configure `endpoint`, or wait until the peer speaks first.",
	counter.WGPuntFull:          "A flood of handshake messages; cookies are in force.",
	counter.UnprotectedRefused:  "Somebody sends cleartext VXLAN to a node that wants WireGuard.",
	counter.OuterNoRoute:        "No peer's `allowed-ips` covers the destination, or all such peers are down.",
	counter.OuterTTLExceeded:    "A routing loop between nodes: compare `allowed-ips`.",
	counter.OuterSourceSpoofed:  "A leaf uses another's VTEP address: wrong configuration or a compromised leaf.",
	counter.OuterLinkLocal:      "A kernel's own words on `ztos0` when it comes up, a few; else somebody sends what is never routed, or other than BGP, by such an address.",
	counter.SpineVNINotMember:   "Add the VNI and the leaf to `vrfs` at the spine, or find out why it sends it.",
	counter.SpineDestNotMember:  "Add the destination to `vrfs` at the spine, or take it off the leaf's lists.",
	counter.NotASpine:           "A node routes through a leaf: give it the `spine` role, or fix `allowed-ips`.",
	counter.UnderlayTxFailed:    "Compare `underlay.mtu` with the path; look at the underlay's link.",
	counter.UnderlayTruncated:   "Somebody sends datagrams larger than the underlay's MTU allows.",
	counter.HostPuntFull:        "A flood of ping or the like to the node's own address.",
	counter.HostNoHandler:       "Nothing, or find out who scans the node.",
	counter.WorkerFault:         "A bug. Send the stack from the log with the version.",
}

// countersDoc renders docs/counters.md.
func countersDoc(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Drop reasons

<!-- Written by ` + "`make docs`" + ` from engine/counter; do not edit. -->

Every frame that a node does not forward is counted under exactly one of these
reasons, by the worker that gave it up. The name is stable: ` + "`ztosctl show drops`" + `,
` + "`ztosctl trace`" + ` and the metric ` + "`ztos_engine_dropped_frames_total{reason=\"...\"}`" + ` use it.
A super-frame counts as many times as it has segments where they are known.

In a run without faults and without loss, every reason that says "never normal"
stays 0; the end-to-end tests fail on any.
`)
	group := 0
	for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
		if group < len(reasonGroups) && reasonGroups[group].first == r {
			fmt.Fprintf(&b, "\n## %s\n\n| reason | a frame is dropped when | what to do |\n| --- | --- | --- |\n", reasonGroups[group].title)
			group++
		}
		if advice[r] == "" {
			t.Errorf("reason %s: counters_test.go has no advice for it", r)
		}
		if r.Help() == "" {
			t.Errorf("reason %s: no help in engine/counter", r)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r, r.Help(), advice[r])
	}
	if group != len(reasonGroups) {
		t.Errorf("%d of %d groups begin at a reason: they are out of order", group, len(reasonGroups))
	}
	return b.String()
}

// TestCountersDoc: docs/counters.md is what the code says.
func TestCountersDoc(t *testing.T) {
	want := countersDoc(t)
	if *update {
		if err := os.WriteFile(filepath.Join(top(t), "docs/counters.md"), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := doc(t, "counters.md"); got != want {
		t.Error("docs/counters.md is not what engine/counter says: run make docs")
	}
}

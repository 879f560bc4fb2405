package config

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
)

// Defaults fills in what the document does not say, in place. It changes nothing
// that was said, so calling it twice does no harm. Parse calls it.
func Defaults(n *Node) {
	set(&n.Self.StateDir, "/var/lib/ztos")
	set(&n.API.Socket, "/run/ztos/engine.sock")

	u := &n.Underlay
	set(&u.Listen, netip.AddrPortFrom(netip.IPv6Unspecified(), 51820))
	set(&u.MTU, 1500)
	set(&u.GSO, On)
	set(&u.GRO, On)
	set(&u.VXLANPort, 4789)
	set(&u.VXLANUDPChecksum, ChecksumAuto)

	set(&n.Host.Mode, HostNetstack)
	set(&n.Host.Device, "ztos0")

	for i := range n.Peers {
		p := &n.Peers[i]
		set(&p.Carrier, CarrierWireGuard)
		if p.Liveness != nil {
			set(&p.Liveness.Interval, Duration(300*time.Millisecond))
			set(&p.Liveness.Multiplier, 3)
		}
	}
	for i := range n.Ports {
		if p := &n.Ports[i]; p.Kind == AFXDP {
			set(&p.Fallback, FallbackAFPacket)
		}
	}
	for i := range n.BridgeDomains {
		b := &n.BridgeDomains[i]
		set(&b.Name, fmt.Sprintf("vni-%d", b.VNI))
		set(&b.Ageing, Duration(300*time.Second))
		set(&b.MACLimitAction, LimitForward)
		set(&b.MSSClamp, On)
		set(&b.Protection, ProtectMACsec)
		if b.Suppress {
			set(&b.SuppressUnknown, UnknownFlood)
			set(&b.BindingLimit, proxy.DefaultLimit)
			set(&b.PortBindingLimit, proxy.DefaultPortLimit)
		}
		if b.Gateway != nil {
			set(&b.Gateway.MAC, l3.DefaultMAC(b.VNI))
			if r := b.Gateway.DHCPRelay; r != nil {
				set(&r.CircuitID, CircuitPort)
				set(&r.RemoteID, RemoteNode)
			}
		}
		if b.Storm == nil {
			b.Storm = new(n.StormDefaults)
		}
		if m := b.MACsec; m != nil {
			set(&m.Cipher, GCMAES256)
			set(&m.Mode, ModeStandard)
			set(&m.Encrypt, On)
			setPtr(&m.ReplayWindow, defaultReplayWindow)
		}
	}
	n.segmentDefaults()
	n.bgpDefaults()
	n.bfdDefaults()
	routed := map[string]bool{}
	for i := range n.BridgeDomains {
		routed[n.BridgeDomains[i].VRF] = true
	}
	for i := range n.VRFs {
		// A VRF that only the spine role of a node knows is not a leaf's.
		v := &n.VRFs[i]
		if routed[v.Name] || v.L3VNI != 0 || len(v.Routes) > 0 || len(v.Loopbacks) > 0 {
			defaultVRF(v, n.Self.Address)
		}
		if v.External != nil {
			v.External.defaults(n)
		}
	}
}

// defaultVRF is Defaults for what a leaf at VTEP self reads of v.
func defaultVRF(v *VRF, self netip.Addr) {
	set(&v.URPF, URPFStrict)
	if self.IsValid() {
		set(&v.RouterMAC, l3.DefaultRouterMAC(self))
	}
	for i := range v.Routes {
		for j := range v.Routes[i].NextHops {
			if h := &v.Routes[i].NextHops[j]; h.VTEP.IsValid() {
				set(&h.RouterMAC, l3.DefaultRouterMAC(h.VTEP))
			}
		}
	}
}

// set puts v into *p when *p is the zero value.
func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// setPtr points *p at v when nothing is there: for numbers where 0 can be meant.
func setPtr[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

// defaultReplayWindow is wide because workers share a transmit SA, at the sender
// and at the receiver: one that waits for its CPU, or that has the busiest of
// several queues, comes with packet numbers that others have passed meanwhile, by
// some hundred milliseconds when there are more workers than CPUs. 16377, a
// quarter, was measured to be too little then. The window is exact, so width lets
// no replay in; it costs up to 64 KB for each receive SA, as far as it is used.
const defaultReplayWindow = 65529

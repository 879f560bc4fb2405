package evpn_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// TestRefused: a route that cannot be used is reported, counts as withdrawn, and
// leaves all others alone.
func TestRefused(t *testing.T) {
	esi := evpn.ESIFromMAC(host(900), 1)
	type change func(k *evpn.Key, a *evpn.Attrs)
	kinds := map[evpn.Kind]func(r remote) (evpn.Key, evpn.Attrs){
		evpn.MACIP: func(r remote) (evpn.Key, evpn.Attrs) { return r.mac(vni100, host(1), "192.0.2.9", evpn.Mobility{}) },
		evpn.Multicast: func(r remote) (evpn.Key, evpn.Attrs) {
			a := r.attrs(rt(t, "65000:100"))
			a.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: vni100, Endpoint: vtep(r.i)}
			return evpn.KeyOfMulticast(r.rd(vni100), 0, vtep(r.i)), a
		},
		evpn.Prefix: func(r remote) (evpn.Key, evpn.Attrs) { return r.prefix("198.51.100.0/24") },
		evpn.AutoDiscovery: func(r remote) (evpn.Key, evpn.Attrs) {
			a := r.attrs(rt(t, "65000:100"))
			a.ESILabel.Present = true
			return evpn.KeyOfAD(r.rd(1), esi, evpn.MaxTag), a
		},
		evpn.Segment: func(r remote) (evpn.Key, evpn.Attrs) {
			a := r.attrs()
			a.ESImport = esi.Import()
			return evpn.KeyOfSegment(r.rd(1), esi, vtep(r.i)), a
		},
	}
	for _, tt := range []struct {
		name string
		kind evpn.Kind
		do   change
		want evpn.Reason
	}{
		{"as it should be", evpn.MACIP, func(*evpn.Key, *evpn.Attrs) {}, 0},
		{"as it should be", evpn.Multicast, func(*evpn.Key, *evpn.Attrs) {}, 0},
		{"as it should be", evpn.Prefix, func(*evpn.Key, *evpn.Attrs) {}, 0},
		{"as it should be", evpn.AutoDiscovery, func(*evpn.Key, *evpn.Attrs) {}, 0},
		{"as it should be", evpn.Segment, func(*evpn.Key, *evpn.Attrs) {}, 0},

		{"type 6", evpn.MACIP, func(k *evpn.Key, _ *evpn.Attrs) { k.Kind = 6 }, evpn.ReasonKind},
		{"no next hop", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.NextHop = netip.Addr{} }, evpn.ReasonNextHop},
		{"next hop multicast", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.NextHop = addr("224.0.0.1") }, evpn.ReasonNextHop},
		{"no route target", evpn.Multicast, func(_ *evpn.Key, a *evpn.Attrs) { a.RTs = nil }, evpn.ReasonNoRT},
		{"MPLS by default", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.Encaps = 0 }, evpn.ReasonEncap},
		{"Geneve only", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.Encaps = 1 << 19 }, evpn.ReasonEncap},
		{"IPv4 mapped into IPv6", evpn.Prefix, func(k *evpn.Key, _ *evpn.Attrs) {
			*k = evpn.KeyOfPrefix(k.RD, 0, netip.MustParsePrefix("::ffff:198.51.100.0/120"))
		}, evpn.ReasonIP},
		{"MAC zero", evpn.MACIP, func(k *evpn.Key, _ *evpn.Attrs) { k.MAC = 0 }, evpn.ReasonMAC},
		{"MAC multicast", evpn.MACIP, func(k *evpn.Key, _ *evpn.Attrs) { k.MAC = 0x0100_5e00_0001 }, evpn.ReasonMAC},
		{"IP loops", evpn.MACIP, func(k *evpn.Key, _ *evpn.Attrs) { k.IP = addr("255.255.255.255") }, evpn.ReasonIP},
		{"IP unspecified", evpn.MACIP, func(k *evpn.Key, _ *evpn.Attrs) { k.IP = addr("::") }, evpn.ReasonIP},
		{"label 0", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.Label1 = 0 }, evpn.ReasonLabel},
		{"label too great", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.Label2 = table.MaxVNI + 1 }, evpn.ReasonLabel},
		{"Router's MAC multicast", evpn.MACIP, func(_ *evpn.Key, a *evpn.Attrs) { a.RouterMAC = table.Broadcast }, evpn.ReasonRouterMAC},
		{"no PMSI", evpn.Multicast, func(_ *evpn.Key, a *evpn.Attrs) { a.PMSI = evpn.PMSI{} }, evpn.ReasonTunnel},
		{"PIM", evpn.Multicast, func(_ *evpn.Key, a *evpn.Attrs) { a.PMSI.Type = 3 }, evpn.ReasonTunnel},
		{"tunnel to nowhere", evpn.Multicast, func(_ *evpn.Key, a *evpn.Attrs) { a.PMSI.Endpoint = addr("0.0.0.0") }, evpn.ReasonTunnel},
		{"flood label 0", evpn.Multicast, func(_ *evpn.Key, a *evpn.Attrs) { a.PMSI.VNI = 0 }, evpn.ReasonLabel},
		{"no originator", evpn.Multicast, func(k *evpn.Key, _ *evpn.Attrs) { k.IP = netip.Addr{} }, evpn.ReasonIP},
		{"no segment", evpn.AutoDiscovery, func(k *evpn.Key, _ *evpn.Attrs) { k.ESI = evpn.ESI{} }, evpn.ReasonESI},
		{"reserved segment", evpn.AutoDiscovery, func(k *evpn.Key, _ *evpn.Attrs) { k.ESI = evpn.MaxESI }, evpn.ReasonESI},
		{"no ESI label community", evpn.AutoDiscovery, func(_ *evpn.Key, a *evpn.Attrs) { a.ESILabel = evpn.ESILabel{} }, evpn.ReasonESI},
		{"per EVI without VNI", evpn.AutoDiscovery, func(k *evpn.Key, _ *evpn.Attrs) { k.Tag = 0 }, evpn.ReasonLabel},
		{"other ES-Import", evpn.Segment, func(_ *evpn.Key, a *evpn.Attrs) { a.ESImport = host(1) }, evpn.ReasonESI},
		{"no originator", evpn.Segment, func(k *evpn.Key, _ *evpn.Attrs) { k.IP = netip.Addr{} }, evpn.ReasonIP},
		{"bits behind the length", evpn.Prefix, func(k *evpn.Key, _ *evpn.Attrs) { k.IP = addr("198.51.100.1") }, evpn.ReasonIP},
		{"length 33", evpn.Prefix, func(k *evpn.Key, _ *evpn.Attrs) { k.Bits = 33 }, evpn.ReasonIP},
		// RFC 9136 section 3.2.
		{"gateway and segment", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.Gateway, a.ESI = addr("192.0.2.9"), esi }, evpn.ReasonOverlayIndex},
		{"gateway of the other family", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.Gateway = addr("2001:db8::9") }, evpn.ReasonOverlayIndex},
		{"label 0 and no overlay index", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.Label1, a.RouterMAC = 0, 0 }, evpn.ReasonLabel},
		{"no Router's MAC", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.RouterMAC = 0 }, evpn.ReasonRouterMAC},
		{"segment as overlay index", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.ESI = esi }, evpn.ReasonUnresolved},
		{"MAC as overlay index", evpn.Prefix, func(_ *evpn.Key, a *evpn.Attrs) { a.Label1 = 0 }, evpn.ReasonUnresolved},
	} {
		t.Run(tt.kind.String()+": "+tt.name, func(t *testing.T) {
			n := newNode(t, 1, leafConfig(t, 1))
			r := remoteOf(n, 2)
			good, goodAttrs := kinds[tt.kind](r)
			k, a := good, goodAttrs
			tt.do(&k, &a)
			if k == good { // an attribute is bad: the route was fine before
				r.announce(0, good, goodAttrs)
				n.flush(0)
			}
			r.announceMAC(0, vni200, host(5), "", evpn.Mobility{})
			r.announce(1, k, a)
			n.flush(1)
			var got evpn.Reason
			for _, e := range n.events {
				if e.Kind == evpn.EventRefused {
					got = e.Reason
					if e.Peer != r.peer || e.Key != k {
						t.Errorf("event %+v, want peer %d and key %s", e, r.peer, k)
					}
				}
			}
			if got != tt.want {
				t.Fatalf("refused for %q, want %q", got, tt.want)
			}
			keys, _ := n.Routes()
			if want := map[bool]int{true: 2, false: 1}[tt.want == 0]; keys != want {
				t.Errorf("%d routes held, want %d", keys, want)
			}
			if _, ok := n.macs[macKey{vni200, host(5)}]; !ok {
				t.Error("another route of the peer is gone")
			}
		})
	}
}

// TestRefusedOthers: sessions that are not known, and the flood of reports.
func TestRefusedOthers(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	r := remote{n, 77, 2}
	r.announceMAC(0, vni100, host(1), "", evpn.Mobility{})
	if c := n.flush(0); len(c.MACs) > 0 || len(c.Events) != 1 || c.Events[0].Reason != evpn.ReasonUnknownPeer {
		t.Errorf("of an unknown peer: %+v", c)
	}
	r = remoteOf(n, 2)
	for i := range 1000 {
		k, a := r.mac(vni100, host(i), "", evpn.Mobility{})
		a.Label1 = 0
		r.announce(0, k, a)
	}
	if c := n.flush(0); len(c.Events) != 256 || c.Suppressed != 744 {
		t.Errorf("%d events, %d suppressed; want 256, 744", len(c.Events), c.Suppressed)
	}
}

// TestAssumeVXLAN: RFC 8365 section 5.1.3, "MPLS encapsulation or a statically
// configured encapsulation is assumed".
func TestAssumeVXLAN(t *testing.T) {
	c := leafConfig(t, 1)
	c.AssumeVXLAN = true
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	k, a := r.mac(vni100, host(1), "", evpn.Mobility{})
	a.Encaps = 0
	r.announce(0, k, a)
	if n.flush(0); len(n.macs) != 1 {
		t.Errorf("macs %v, events %v", n.macs, n.events)
	}
	a.Encaps = 1 << 10 // MPLS, said outright
	r.announce(0, k, a)
	if n.flush(0); len(n.macs) != 0 {
		t.Errorf("macs %v", n.macs)
	}
}

// TestOwnRoutesReflected: what a reflector sends back is no claim of others.
func TestOwnRoutesReflected(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	n.learn(0, vni100, host(1))
	n.flush(0)
	r := remoteOf(n, 9)
	for k, a := range n.announced {
		r.announce(1, k, a)
	}
	if c := n.flush(1); !c.Empty() {
		t.Errorf("changes %+v", c)
	}
	if keys, _ := n.Routes(); keys != 0 {
		t.Errorf("%d routes held", keys)
	}
}

package wire_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/wire"
)

func addr6(s string) wire.Addr { return wire.AddrFrom(netip.MustParseAddr(s)) }

// ndPacket is a packet of gopacket's with one message, IPv6 header first.
func ndPacket(t testing.TB, src, dst string, hops uint8, typ uint8, l gopacket.SerializableLayer) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return build(t, ip, icmp, l)
}

func linkOption(typ layers.ICMPv6Opt, mac net.HardwareAddr) layers.ICMPv6Options {
	return layers.ICMPv6Options{{Type: typ, Data: mac}}
}

func TestNDValid(t *testing.T) {
	target := net.ParseIP("fd00:1::1")
	ns := func(src, dst string, hops uint8, opts layers.ICMPv6Options) []byte {
		return ndPacket(t, src, dst, hops, 135, &layers.ICMPv6NeighborSolicitation{TargetAddress: target, Options: opts})
	}
	na := func(dst string, flags uint8) []byte {
		return ndPacket(t, "fd00:1::b", dst, 255, 136, &layers.ICMPv6NeighborAdvertisement{
			Flags: flags, TargetAddress: net.ParseIP("fd00:1::b"), Options: linkOption(layers.ICMPv6OptTargetAddress, macB)})
	}
	mac := linkOption(layers.ICMPv6OptSourceAddress, macA)
	set := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"solicitation", ns("fd00:1::a", "ff02::1:ff00:1", 255, mac), true},
		{"unicast solicitation", ns("fd00:1::a", "fd00:1::1", 255, mac), true},
		{"duplicate address detection", ns("::", "ff02::1:ff00:1", 255, nil), true},
		{"advertisement", na("fd00:1::a", 0x60), true},
		{"advertisement to all", na("ff02::1", 0x20), true},

		{"hop limit", ns("fd00:1::a", "ff02::1:ff00:1", 254, mac), false},
		{"from :: with a MAC", ns("::", "ff02::1:ff00:1", 255, mac), false},
		{"from :: to one", ns("::", "fd00:1::1", 255, nil), false},
		{"solicited advertisement to all", na("ff02::1", 0x60), false},
		{"code", set(ns("fd00:1::a", "ff02::1:ff00:1", 255, mac), 41, 1), false},
		{"checksum", set(ns("fd00:1::a", "ff02::1:ff00:1", 255, mac), 60, 9), false},
		{"multicast target", ndPacket(t, "fd00:1::a", "ff02::1:ff00:1", 255, 135, &layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP("ff02::1")}), false},
		{"short", ndPacket(t, "fd00:1::a", "ff02::1:ff00:1", 255, 135, gopacket.Payload(make([]byte, 8))), false},
		{"empty option", ndPacket(t, "fd00:1::a", "ff02::1:ff00:1", 255, 135, gopacket.Payload(append(make([]byte, 20), 1, 0, 0, 0, 0, 0, 0, 0))), false},
		{"option cut off", ndPacket(t, "fd00:1::a", "ff02::1:ff00:1", 255, 135, gopacket.Payload(append(make([]byte, 20), 1, 2, 0, 0, 0, 0, 0, 0))), false},
		{"router solicitation", ndPacket(t, "fd00:1::a", "ff02::2", 255, 133, &layers.ICMPv6RouterSolicitation{}), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := wire.ND(tt.b[40:]).Valid(tt.b); got != tt.want {
				t.Errorf("Valid = %v, want %v", got, tt.want)
			}
		})
	}
	m := wire.ND(ns("fd00:1::a", "ff02::1:ff00:1", 255, mac)[40:])
	if m.Target() != addr6("fd00:1::1") {
		t.Errorf("Target = %v", m.Target())
	}
	if got, ok := m.LinkAddr(wire.NDSourceLinkAddr); !ok || !bytes.Equal(got, macA) {
		t.Errorf("LinkAddr = %x, %v", got, ok)
	}
	if _, ok := m.LinkAddr(wire.NDTargetLinkAddr); ok {
		t.Error("a target's MAC in a solicitation")
	}
}

func TestRouterSolicit(t *testing.T) {
	rs := func(src string, hops uint8, opts layers.ICMPv6Options) []byte {
		return ndPacket(t, src, "ff02::2", hops, 133, &layers.ICMPv6RouterSolicitation{Options: opts})
	}
	mac := linkOption(layers.ICMPv6OptSourceAddress, macA)
	for _, tt := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"with a MAC", rs("fe80::a", 255, mac), true},
		{"without", rs("fe80::a", 255, nil), true},
		{"from ::", rs("::", 255, nil), true},
		{"from :: with a MAC", rs("::", 255, mac), false},
		{"hop limit", rs("fe80::a", 64, mac), false},
	} {
		if got := wire.RouterSolicitValid(tt.b[40:], tt.b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestNDBuilt: gopacket reads what is written, and ours takes it.
func TestNDBuilt(t *testing.T) {
	src, dst, target := addr6("fd00:1::1"), addr6("fd00:1::a"), addr6("fd00:1::b")
	group, mac := wire.SolicitedNode(target)
	if group != addr6("ff02::1:ff00:b") || mac != 0x3333ff00000b {
		t.Errorf("solicited node %v, %012x", group, mac)
	}
	b := make(wire.IPv6, wire.NDSolicitLen)
	b.PutSolicit(src, group, target, macA)
	p := gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default)
	ns, ok := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation)
	if !ok || !ns.TargetAddress.Equal(net.ParseIP("fd00:1::b")) || len(ns.Options) != 1 || !bytes.Equal(ns.Options[0].Data, macA) {
		t.Errorf("solicitation reads %+v", p)
	}
	if !wire.ND(b[40:]).Valid(b) {
		t.Error("our solicitation is not valid")
	}
	b.PutAdvert(src, dst, src, macA, true)
	p = gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default)
	na, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	if !ok || !na.Router() || !na.Solicited() || !na.Override() || !na.TargetAddress.Equal(net.ParseIP("fd00:1::1")) {
		t.Errorf("advertisement reads %+v", p)
	}
	if !wire.ND(b[40:]).Valid(b) {
		t.Error("our advertisement is not valid")
	}

	ra := make(wire.IPv6, 200)
	n := ra.PutRouterAdvert(addr6("fe80::1"), addr6("ff02::1"), &wire.NDRouter{HopLimit: 64, Lifetime: 1800, MTU: 1358, MAC: macA},
		[]wire.NDPrefixInfo{{Prefix: addr6("fd00:1::"), Bits: 64, Autonomous: true, Valid: 86400, Preferred: 14400}})
	ra = ra[:n]
	p = gopacket.NewPacket(ra, layers.LayerTypeIPv6, gopacket.Default)
	adv, ok := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	if !ok || adv.HopLimit != 64 || adv.RouterLifetime != 1800 || len(adv.Options) != 3 || adv.Options[2].Type != layers.ICMPv6OptPrefixInfo {
		t.Errorf("router advertisement reads %+v", p)
	}
	if wire.Fold(wire.Sum(ra[40:], ra.Pseudo(58, n-40))) != 0xffff {
		t.Error("checksum of the router advertisement")
	}
	if ra[:n-1].PutRouterAdvert(src, dst, &wire.NDRouter{MAC: macA}, make([]wire.NDPrefixInfo, 1)) != 0 {
		t.Error("a router advertisement without room")
	}
}

// FuzzND: no message makes a reader go beyond it, and what is valid has a target.
func FuzzND(f *testing.F) {
	f.Add(ndPacket(f, "fd00:1::a", "ff02::1:ff00:1", 255, 135, &layers.ICMPv6NeighborSolicitation{
		TargetAddress: net.ParseIP("fd00:1::1"), Options: linkOption(layers.ICMPv6OptSourceAddress, macA)}))
	f.Add(ndPacket(f, "fe80::a", "ff02::2", 255, 133, &layers.ICMPv6RouterSolicitation{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := wire.IPv6(b)
		if !h.Valid() {
			return
		}
		wire.RouterSolicitValid(b[40:], h)
		if m := wire.ND(b[40:]); m.Valid(h) {
			m.LinkAddr(wire.NDSourceLinkAddr)
			m.LinkAddr(wire.NDTargetLinkAddr)
			if m.Target().Hi>>56 == 0xff {
				t.Error("a multicast target is valid")
			}
		}
	})
}

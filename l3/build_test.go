package l3_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3"
)

// Frames in these tests are built and read by gopacket, not by us.

const (
	vni1, vni2, vni9 table.VNI = 101, 102, 109 // two bridge domains and the L3VNI
	gwMAC            table.MAC = 0x025a54000065
	hostMAC          table.MAC = 0x020000000001
)

func addr(s string) netip.Addr  { return netip.MustParseAddr(s) }
func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// gateway is the interface of vni1.
func gateway(t testing.TB) *l3.Interface {
	t.Helper()
	i, err := l3.NewInterface(l3.Interface{
		VNI: vni1, MAC: gwMAC, MTU: 1358, Advertise: true,
		Addresses: []netip.Prefix{pfx("10.1.1.1/24"), pfx("fd00:1::1/64")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func hw(m table.MAC) net.HardwareAddr {
	b := make([]byte, 6)
	m.Put(b)
	return b
}

// build serialises layers behind an Ethernet header and parses the frame.
func build(t testing.TB, dst, src table.MAC, typ layers.EthernetType, ls ...gopacket.SerializableLayer) *pkt.Frame {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	ls = append([]gopacket.SerializableLayer{&layers.Ethernet{DstMAC: hw(dst), SrcMAC: hw(src), EthernetType: typ}}, ls...)
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	f := &pkt.Frame{}
	f.Reset(buf.Bytes())
	wire.Parse(f)
	return f
}

// udp is a UDP packet to the gateway's MAC.
func udp(t testing.TB, src, dst string, ttl uint8) *pkt.Frame {
	t.Helper()
	u := &layers.UDP{SrcPort: 1000, DstPort: 33434}
	if addr(src).Is4() {
		ip := &layers.IPv4{Version: 4, IHL: 5, TTL: ttl, Protocol: layers.IPProtocolUDP, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
		if err := u.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		return build(t, gwMAC, hostMAC, layers.EthernetTypeIPv4, ip, u, gopacket.Payload("hello"))
	}
	ip := &layers.IPv6{Version: 6, HopLimit: ttl, NextHeader: layers.IPProtocolUDP, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return build(t, gwMAC, hostMAC, layers.EthernetTypeIPv6, ip, u, gopacket.Payload("hello"))
}

// neighbour returns the cell of a host of vni2, resolved iff mac is not 0.
func neighbour(t testing.TB, s string, mac table.MAC) *l3.Neighbour {
	t.Helper()
	n := l3.NewNeighbours()
	c := l3.LinkConfig{VNI: vni2, Prefixes: []netip.Prefix{pfx("0.0.0.0/0"), pfx("::/0")}}
	if mac == 0 {
		c.Held = []netip.Addr{addr(s)}
	} else {
		c.Statics = map[netip.Addr]table.MAC{addr(s): mac}
	}
	n.SetLink(c, 1)
	return n.Host(vni2, addr(s))
}

// vrf returns a VRF with the routes.
func vrf(t testing.TB, u l3.URPF, routes map[netip.Prefix]*l3.Route) *l3.VRF {
	t.Helper()
	r := l3.NewRoutes()
	own := map[netip.Prefix]*l3.Route{}
	l3.GatewayRoutes(own, gateway(t))
	r.Replace(l3.OriginGateway, own)
	r.Replace(l3.OriginStatic, routes)
	if err := r.Commit(); err != nil {
		t.Fatal(err)
	}
	var f *fib.FIB[*l3.Route] = r.FIB()
	return &l3.VRF{ID: 1, Name: "red", L3VNI: vni9, RouterMAC: 0x025b0aff0001, URPF: u, FIB: f}
}

func to(n ...*l3.Neighbour) *l3.Route {
	r := &l3.Route{Kind: l3.Forward}
	for _, h := range n {
		r.Paths = append(r.Paths, l3.Path{Host: h})
	}
	return r
}

func leaf(ids ...table.VTEPID) *l3.Route {
	r := &l3.Route{Kind: l3.Forward}
	for _, id := range ids {
		r.Paths = append(r.Paths, l3.Path{VNI: vni9, VTEP: id, RouterMAC: 0x025b0aff0000 | table.MAC(id)})
	}
	return r
}

package l3_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3"
)

func arp(t testing.TB, op uint16, sender, target string) *pkt.Frame {
	s, d := addr(sender).As4(), addr(target).As4()
	return build(t, table.Broadcast, hostMAC, layers.EthernetTypeARP, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: hw(hostMAC), SourceProtAddress: s[:], DstHwAddress: make([]byte, 6), DstProtAddress: d[:],
	})
}

// icmp6 is an ICMPv6 message to the gateway's MAC.
func icmp6(t testing.TB, src, dst string, hops, typ uint8, ls ...gopacket.SerializableLayer) *pkt.Frame {
	ip := &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
	m := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := m.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return build(t, gwMAC, hostMAC, layers.EthernetTypeIPv6, append([]gopacket.SerializableLayer{ip, m}, ls...)...)
}

func solicit(t testing.TB, src, target string, mac net.HardwareAddr) *pkt.Frame {
	group, _ := wire.SolicitedNode(wire.AddrFrom(addr(target)))
	m := &layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP(target)}
	if mac != nil {
		m.Options = layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: mac}}
	}
	return icmp6(t, src, group.String(), 255, 135, m)
}

func advert(t testing.TB, target string, mac net.HardwareAddr) *pkt.Frame {
	m := &layers.ICMPv6NeighborAdvertisement{Flags: 0x60, TargetAddress: net.ParseIP(target)}
	if mac != nil {
		m.Options = layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: mac}}
	}
	return icmp6(t, target, "fd00:1::1", 255, 136, m)
}

func echo(t testing.TB, src, dst string) *pkt.Frame {
	if addr(src).Is4() {
		ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
		m := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 7, Seq: 9}
		return build(t, gwMAC, hostMAC, layers.EthernetTypeIPv4, ip, m, gopacket.Payload("content"))
	}
	return icmp6(t, src, dst, 64, 128, &layers.ICMPv6Echo{Identifier: 7, SeqNumber: 9}, gopacket.Payload("content"))
}

// answer returns what gopacket reads in the gateway's answer; nil for none.
func answer(t *testing.T, f *pkt.Frame) gopacket.Packet {
	t.Helper()
	before := bytes.Clone(f.Head)
	dst := make([]byte, max(l3.MaxAnswer, len(f.Head)))
	n := gateway(t).Answer(dst, f)
	if !bytes.Equal(before, f.Head) {
		t.Error("Answer changed the question")
	}
	if n == 0 {
		return nil
	}
	p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("the answer does not read: %v", e.Error())
	}
	if src := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet).SrcMAC; !bytes.Equal(src, hw(gwMAC)) {
		t.Errorf("the answer comes from %v", src)
	}
	return p
}

func TestAnswerARP(t *testing.T) {
	p := answer(t, arp(t, 1, "10.1.1.5", "10.1.1.1"))
	if p == nil {
		t.Fatal("no answer")
	}
	a := p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if a.Operation != 2 || !bytes.Equal(a.SourceHwAddress, hw(gwMAC)) || net.IP(a.SourceProtAddress).String() != "10.1.1.1" ||
		!bytes.Equal(a.DstHwAddress, hw(hostMAC)) || net.IP(a.DstProtAddress).String() != "10.1.1.5" {
		t.Errorf("the answer is %+v", a)
	}
	for name, f := range map[string]*pkt.Frame{
		"another's address": arp(t, 1, "10.1.1.5", "10.1.1.9"), "a reply": arp(t, 2, "10.1.1.5", "10.1.1.1"),
	} {
		if answer(t, f) != nil {
			t.Errorf("%s is answered", name)
		}
	}
	if answer(t, arp(t, 1, "0.0.0.0", "10.1.1.1")) == nil {
		t.Error("who asks whether the gateway's address is free is not told")
	}
}

func TestAnswerND(t *testing.T) {
	in := gateway(t)
	read := func(f *pkt.Frame) (*layers.IPv6, *layers.ICMPv6NeighborAdvertisement) {
		t.Helper()
		p := answer(t, f)
		if p == nil {
			t.Fatal("no answer")
		}
		m, ok := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
		if !ok {
			t.Fatalf("the answer is %v", p)
		}
		return p.Layer(layers.LayerTypeIPv6).(*layers.IPv6), m
	}
	for _, target := range []string{"fd00:1::1", in.LinkLocal.String()} {
		ip, m := read(solicit(t, "fd00:1::5", target, hw(hostMAC)))
		if ip.DstIP.String() != "fd00:1::5" || ip.HopLimit != 255 || !m.Solicited() || !m.Router() ||
			m.TargetAddress.String() != target || !bytes.Equal(m.Options[0].Data, hw(gwMAC)) {
			t.Errorf("for %s: %+v, %+v", target, ip, m)
		}
	}
	ip, m := read(solicit(t, "::", "fd00:1::1", nil))
	if ip.DstIP.String() != "ff02::1" || m.Solicited() {
		t.Errorf("to who wants our address: %+v, %+v", ip, m)
	}
	for name, f := range map[string]*pkt.Frame{
		"another's address": solicit(t, "fd00:1::5", "fd00:1::9", hw(hostMAC)),
		"an advertisement":  advert(t, "fd00:1::5", hw(hostMAC)),
	} {
		if answer(t, f) != nil {
			t.Errorf("%s is answered", name)
		}
	}
	p := answer(t, icmp6(t, "fe80::5", "ff02::2", 255, 133, &layers.ICMPv6RouterSolicitation{}))
	ra, ok := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	if !ok || ra.RouterLifetime == 0 || len(ra.Options) != 3 {
		t.Errorf("to a router solicitation: %v", p)
	}
	quiet, err := l3.NewInterface(l3.Interface{VNI: vni1, MAC: gwMAC, Addresses: []netip.Prefix{pfx("fd00:1::1/64")}})
	if err != nil {
		t.Fatal(err)
	}
	if quiet.Answer(make([]byte, l3.MaxAnswer), icmp6(t, "fe80::5", "ff02::2", 255, 133, &layers.ICMPv6RouterSolicitation{})) != 0 {
		t.Error("an interface that does not advertise does")
	}
}

func TestAnswerEcho(t *testing.T) {
	p := answer(t, echo(t, "10.1.1.5", "10.1.1.1"))
	m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || m.TypeCode != layers.CreateICMPv4TypeCode(0, 0) || m.Id != 7 || m.Seq != 9 || string(m.Payload) != "content" {
		t.Errorf("the answer is %v", p)
	}
	if ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ip.SrcIP.String() != "10.1.1.1" || ip.DstIP.String() != "10.1.1.5" {
		t.Errorf("from %v to %v", ip.SrcIP, ip.DstIP)
	}
	p = answer(t, echo(t, "fd00:1::5", "fd00:1::1"))
	e, ok := p.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
	if !ok || e.Identifier != 7 || e.SeqNumber != 9 || p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6).TypeCode.Type() != 129 {
		t.Errorf("the answer is %v", p)
	}
	broken := echo(t, "10.1.1.5", "10.1.1.1")
	broken.Head[14+20+10] ^= 1 // of the content
	if answer(t, broken) != nil || answer(t, udp(t, "10.1.1.5", "10.1.1.1", 64)) != nil {
		t.Error("a broken request, or none, is answered")
	}
}

func TestFault(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause l3.Cause
		v4    layers.ICMPv4TypeCode
		v6    layers.ICMPv6TypeCode
	}{
		{"expired", l3.Expired, layers.CreateICMPv4TypeCode(11, 0), layers.CreateICMPv6TypeCode(3, 0)},
		{"no route", l3.NoRoute, layers.CreateICMPv4TypeCode(3, 0), layers.CreateICMPv6TypeCode(1, 0)},
		{"unresolved", l3.Unresolved, layers.CreateICMPv4TypeCode(3, 1), layers.CreateICMPv6TypeCode(1, 3)},
		{"port", l3.ForGateway, layers.CreateICMPv4TypeCode(3, 3), layers.CreateICMPv6TypeCode(1, 4)},
		{"too big", l3.PacketTooBig, layers.CreateICMPv4TypeCode(3, 4), layers.CreateICMPv6TypeCode(2, 0)},
	} {
		dst := make([]byte, l3.MaxAnswer)
		n := l3.Fault(dst, udp(t, "10.1.1.5", "10.1.2.2", 1), tt.cause, 1358, addr("10.1.1.1"))
		p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
		if m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); !ok || m.TypeCode != tt.v4 {
			t.Errorf("%s: %v", tt.name, p)
		}
		n = l3.Fault(dst, udp(t, "fd00:1::5", "fd00:2::2", 1), tt.cause, 1358, addr("fd00:1::1"))
		p = gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
		if m, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); !ok || m.TypeCode != tt.v6 {
			t.Errorf("%s: %v", tt.name, p)
		}
	}
	if l3.Fault(make([]byte, l3.MaxAnswer), echo(t, "10.1.1.5", "10.1.1.1"), l3.ForGateway, 0, addr("10.1.1.1")) != 0 {
		t.Error("port unreachable for what has no port")
	}
}

func TestSender(t *testing.T) {
	in := gateway(t)
	other := hw(0x020000000009)
	tagged := arp(t, 1, "10.1.1.5", "10.1.1.9")
	tagged.L3Off = 18
	for _, tt := range []struct {
		name      string
		f         *pkt.Frame
		addr      string
		ok, clash bool
	}{
		{"request", arp(t, 1, "10.1.1.5", "10.1.1.9"), "10.1.1.5", true, false},
		{"reply", arp(t, 2, "10.1.1.5", "10.1.1.1"), "10.1.1.5", true, false},
		{"solicitation", solicit(t, "fd00:1::5", "fd00:1::9", hw(hostMAC)), "fd00:1::5", true, false},
		{"advertisement", advert(t, "fd00:1::5", hw(hostMAC)), "fd00:1::5", true, false},
		{"advertisement without a MAC", advert(t, "fd00:1::5", nil), "fd00:1::5", true, false},

		{"another operation", arp(t, 3, "10.1.1.5", "10.1.1.1"), "", false, false},
		{"no address", arp(t, 1, "0.0.0.0", "10.1.1.5"), "", false, false},
		{"another subnet", arp(t, 1, "10.1.9.5", "10.1.1.1"), "10.1.9.5", false, false},
		{"the gateway's address", arp(t, 1, "10.1.1.1", "10.1.1.1"), "", false, true},
		{"the gateway's IPv6 address", advert(t, "fd00:1::1", hw(hostMAC)), "", false, true},
		{"another's MAC", solicit(t, "fd00:1::5", "fd00:1::9", other), "", false, false},
		{"no MAC", solicit(t, "::", "fd00:1::9", nil), "", false, false},
		{"inside a tag", tagged, "", false, false},
		{"no word of a neighbour", udp(t, "10.1.1.5", "10.1.2.2", 64), "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, mac, ok, clash := in.Sender(tt.f)
			if ok != tt.ok || clash != tt.clash || ok && (a.String() != tt.addr || mac != hostMAC) {
				t.Errorf("got %v %v, %v, clash %v", a, mac, ok, clash)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	in := gateway(t)
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want l3.Interest
		word bool
	}{
		{"asks for the gateway", arp(t, 1, "10.1.1.5", "10.1.1.1"), l3.Mine, true},
		{"asks for another", arp(t, 1, "10.1.1.5", "10.1.1.9"), l3.Copy, true},
		{"says where it is", arp(t, 2, "10.1.1.5", "10.1.1.5"), l3.Copy, true},
		{"ND for the gateway", solicit(t, "fd00:1::5", "fd00:1::1", hw(hostMAC)), l3.Mine, true},
		{"ND for another", solicit(t, "fd00:1::5", "fd00:1::9", hw(hostMAC)), l3.Copy, true},
		{"router solicitation", icmp6(t, "fe80::5", "ff02::2", 255, 133, &layers.ICMPv6RouterSolicitation{}), l3.Copy, true},
		{"echo", echo(t, "fd00:1::5", "fd00:1::1"), l3.None, false},
		{"UDP", udp(t, "10.1.1.5", "10.1.1.255", 64), l3.None, false},
	} {
		if got := in.Inspect(tt.f); got != tt.want || l3.IsNeighbourWord(tt.f) != tt.word {
			t.Errorf("%s: %v, %v", tt.name, got, l3.IsNeighbourWord(tt.f))
		}
	}
}

// TestProbe: a host that is asked would answer the gateway.
func TestProbe(t *testing.T) {
	in := gateway(t)
	dst := make([]byte, l3.MaxAnswer)
	for _, tt := range []struct {
		host  string
		mac   table.MAC
		toMAC string
	}{
		{"10.1.1.5", 0, "ff:ff:ff:ff:ff:ff"}, {"10.1.1.5", hostMAC, "02:00:00:00:00:01"},
		{"fd00:1::5", 0, "33:33:ff:00:00:05"}, {"fd00:1::5", hostMAC, "02:00:00:00:00:01"},
	} {
		n := in.Probe(dst, addr(tt.host), tt.mac)
		p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
		e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		if e.DstMAC.String() != tt.toMAC || !bytes.Equal(e.SrcMAC, hw(gwMAC)) {
			t.Errorf("%s: from %v to %v", tt.host, e.SrcMAC, e.DstMAC)
		}
		if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
			if net.IP(a.SourceProtAddress).String() != "10.1.1.1" || net.IP(a.DstProtAddress).String() != tt.host || a.Operation != 1 {
				t.Errorf("%s: asks %+v", tt.host, a)
			}
			continue
		}
		f := &pkt.Frame{}
		f.Reset(dst[:n])
		wire.Parse(f)
		if m := wire.ND(f.Head[f.L4Off:]); !m.Valid(f.Head[14:]) || m.Target().String() != tt.host {
			t.Errorf("%s: asks %v", tt.host, p)
		}
	}
	four, err := l3.NewInterface(l3.Interface{VNI: vni1, MAC: gwMAC, Addresses: []netip.Prefix{pfx("fd00:1::1/64")}})
	if err != nil {
		t.Fatal(err)
	}
	if four.Probe(dst, addr("10.1.1.5"), 0) != 0 {
		t.Error("a gateway without an IPv4 address asks by ARP")
	}
}

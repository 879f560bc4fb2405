package wire_test

import (
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
)

// Frames in these tests are built by gopacket, not by us.

var (
	macA = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x0a}
	macB = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x0b}
	ip4A = net.IP{10, 1, 2, 3}
	ip4B = net.IP{10, 1, 2, 4}
	ip6A = net.ParseIP("2001:db8::a")
	ip6B = net.ParseIP("2001:db8::b")
)

// build serialises layers with lengths and checksums filled in.
func build(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, ls...); err != nil {
		t.Fatalf("build: %v", err)
	}
	return buf.Bytes()
}

func eth(typ layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{DstMAC: macB, SrcMAC: macA, EthernetType: typ}
}

func ip4(proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Id: 77, Flags: layers.IPv4DontFragment,
		Protocol: proto, SrcIP: ip4A, DstIP: ip4B,
	}
}

func ip6(next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: next, SrcIP: ip6A, DstIP: ip6B}
}

func tcp(t testing.TB, over gopacket.NetworkLayer, opts ...layers.TCPOption) *layers.TCP {
	l := &layers.TCP{
		SrcPort: 1000, DstPort: 80, Seq: 0x01020304, Ack: 0x05060708,
		ACK: true, PSH: true, Window: 512, Options: opts,
	}
	if err := l.SetNetworkLayerForChecksum(over); err != nil {
		t.Fatal(err)
	}
	return l
}

func udp(t testing.TB, over gopacket.NetworkLayer) *layers.UDP {
	l := &layers.UDP{SrcPort: 1000, DstPort: 53}
	if err := l.SetNetworkLayerForChecksum(over); err != nil {
		t.Fatal(err)
	}
	return l
}

func frame(b []byte) *pkt.Frame {
	f := &pkt.Frame{}
	f.Reset(b)
	return f
}

func tcp4Frame(t testing.TB, n int) []byte {
	ip := ip4(layers.IPProtocolTCP)
	return build(t, eth(layers.EthernetTypeIPv4), ip, tcp(t, ip), gopacket.Payload(make([]byte, n)))
}

func tcp6Frame(t testing.TB, n int) []byte {
	ip := ip6(layers.IPProtocolTCP)
	return build(t, eth(layers.EthernetTypeIPv6), ip, tcp(t, ip), gopacket.Payload(make([]byte, n)))
}

func udp4Frame(t testing.TB, n int) []byte {
	ip := ip4(layers.IPProtocolUDP)
	return build(t, eth(layers.EthernetTypeIPv4), ip, udp(t, ip), gopacket.Payload(make([]byte, n)))
}

func udp6Frame(t testing.TB, n int) []byte {
	ip := ip6(layers.IPProtocolUDP)
	return build(t, eth(layers.EthernetTypeIPv6), ip, udp(t, ip), gopacket.Payload(make([]byte, n)))
}

// insert returns b with ins put in at offset at.
func insert(b []byte, at int, ins ...byte) []byte {
	out := append([]byte{}, b[:at]...)
	out = append(out, ins...)
	return append(out, b[at:]...)
}

package wire_test

import (
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/wire"
)

// TestICMPFault: gopacket reads type, code and source of errors of both families.
func TestICMPFault(t *testing.T) {
	var dst [wire.MaxTooBig]byte
	f := frame(udp4Frame(t, 100))
	wire.Parse(f)
	n := wire.ICMPFault(dst[:], f, wire.ICMPTimeExceeded, 0, 0, wire.AddrFrom4(0x0a010201))
	p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
	m4, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || m4.TypeCode != layers.CreateICMPv4TypeCode(11, 0) {
		t.Errorf("IPv4 reads %v", p)
	}
	if ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ip.SrcIP.String() != "10.1.2.1" || !ip.DstIP.Equal(ip4A) {
		t.Errorf("from %v to %v", ip.SrcIP, ip.DstIP)
	}
	f = frame(udp6Frame(t, 100))
	wire.Parse(f)
	n = wire.ICMPFault(dst[:], f, wire.ICMPv6Unreachable, 3, 0, addr6("2001:db8::1"))
	p = gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
	m6, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if !ok || m6.TypeCode != layers.CreateICMPv6TypeCode(1, 3) {
		t.Errorf("IPv6 reads %v", p)
	}
	if ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); ip.SrcIP.String() != "2001:db8::1" || !ip.DstIP.Equal(ip6A) {
		t.Errorf("from %v to %v", ip.SrcIP, ip.DstIP)
	}
	// An error is not answered by another.
	wire.Parse(frame(dst[:n]))
	e := frame(append([]byte(nil), dst[:n]...))
	wire.Parse(e)
	if wire.ICMPFault(dst[:], e, wire.ICMPv6TimeExceeded, 0, 0, addr6("2001:db8::1")) != 0 {
		t.Error("an error about an error")
	}
}

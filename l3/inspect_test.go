package l3_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3"
)

// TestInspectDHCP: only what clients send to all servers is taken from a bridge
// domain, and only where there is a relay of its family.
func TestInspectDHCP(t *testing.T) {
	four := func(dst table.MAC, port uint16) []byte {
		b := make([]byte, 14+20+8+300)
		dst.Put(b)
		wire.Ethernet(b).SetType(wire.TypeIPv4)
		wire.IPv4(b[14:]).Put(&wire.IPv4Fields{TotalLen: len(b) - 14, TTL: 64, Proto: wire.ProtoUDP, Dst: 0xffffffff})
		wire.UDP(b[34:]).Put(68, port, len(b)-34, 0)
		return b
	}
	six := func(dst string, port uint16) []byte {
		b := make([]byte, 14+40+8+100)
		table.MAC(0x333300010002).Put(b)
		wire.Ethernet(b).SetType(wire.TypeIPv6)
		wire.IPv6(b[14:]).Put(&wire.IPv6Fields{
			PayloadLen: len(b) - 54, NextHeader: wire.ProtoUDP, HopLimit: 1,
			Src: wire.AddrFrom(netip.MustParseAddr("fe80::1")), Dst: wire.AddrFrom(netip.MustParseAddr(dst)),
		})
		wire.UDP(b[54:]).Put(546, port, len(b)-54, 0)
		return b
	}
	for _, tt := range []struct {
		name         string
		frame        []byte
		with4, with6 l3.Interest
	}{
		{"to all servers", four(table.Broadcast, 67), l3.Relayed, l3.None},
		{"to all clients", four(table.Broadcast, 68), l3.None, l3.None},
		{"to a server that is not learned", four(0x020000000009, 67), l3.None, l3.None},
		{"to a multicast group", four(0x01005e000001, 67), l3.None, l3.None},
		{"port 547 over IPv4", four(table.Broadcast, 547), l3.None, l3.None},
		{"to all servers, IPv6", six("ff02::1:2", 547), l3.None, l3.Relayed},
		{"to all servers of the site", six("ff05::1:3", 547), l3.None, l3.None},
		{"to clients, IPv6", six("ff02::1:2", 546), l3.None, l3.None},
	} {
		for _, k := range []struct {
			four bool
			want l3.Interest
		}{{true, tt.with4}, {false, tt.with6}} {
			in, err := l3.NewInterface(l3.Interface{
				VNI: 10, MAC: 0x020000000001, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.1/24")}, Relay4: k.four, Relay6: !k.four,
			})
			if err != nil {
				t.Fatal(err)
			}
			var f pkt.Frame
			f.Reset(tt.frame)
			wire.Parse(&f)
			if got := in.Inspect(&f); got != k.want {
				t.Errorf("%s, relay of IPv4 %v: %v, want %v", tt.name, k.four, got, k.want)
			}
			if n := testing.AllocsPerRun(10, func() { in.Inspect(&f) }); n != 0 {
				t.Errorf("%s: %v allocations", tt.name, n)
			}
		}
	}
}
